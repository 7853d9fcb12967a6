// Returns what a person sees of the marked elements, and every visible character.
() => {
  const SHOWN = 0.75; // of an element's area must be inside the window and its scrolling parents

  const shrink = (box, by) => {
    const cut = {
      left: Math.max(box.left, by.left), top: Math.max(box.top, by.top),
      right: Math.min(box.right, by.right), bottom: Math.min(box.bottom, by.bottom),
    };
    return cut.right > cut.left && cut.bottom > cut.top ? cut : null;
  };
  const area = (box) => (box.right - box.left) * (box.bottom - box.top);
  const windowBox = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };

  // The part of a box that the window and parents that cut their content off leave.
  const clip = (element, box) => {
    let left = shrink(box, windowBox);
    for (let parent = element.parentElement; parent && left; parent = parent.parentElement) {
      if (parent === document.body || parent === document.documentElement) break;
      if (getComputedStyle(parent).overflowX !== "visible") {
        left = shrink(left, parent.getBoundingClientRect());
      }
    }
    return left;
  };

  const union = (rects) => {
    const boxes = [...rects].filter((r) => r.width > 0 && r.height > 0);
    if (!boxes.length) return null;
    return {
      left: Math.min(...boxes.map((r) => r.left)), top: Math.min(...boxes.map((r) => r.top)),
      right: Math.max(...boxes.map((r) => r.right)), bottom: Math.max(...boxes.map((r) => r.bottom)),
    };
  };

  const contentBox = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return union(range.getClientRects());
  };

  // Whether what is seen in the middle of a box, and near its corners, belongs to the element.
  const isOnTop = (element, box) => {
    const label = element.closest("label") || element;
    const spots = [[0.5, 0.5], [0.2, 0.3], [0.8, 0.3], [0.2, 0.7], [0.8, 0.7]];
    const seen = spots.filter(([x, y]) => {
      const top = document.elementFromPoint(
        box.left + x * (box.right - box.left), box.top + y * (box.bottom - box.top));
      return top && (label.contains(top) || top.contains(element));
    });
    return seen.length >= 4;
  };

  const isShown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  const transform = (text, style) => {
    if (style.textTransform === "uppercase") return text.toUpperCase();
    if (style.textTransform === "lowercase") return text.toLowerCase();
    if (style.textTransform === "capitalize") {
      return text.replace(/(^|\s)\S/g, (letter) => letter.toUpperCase());
    }
    return text;
  };

  const elements = [];
  for (const element of document.querySelectorAll("[data-mark]")) {
    const mark = JSON.parse(element.dataset.mark);
    const style = getComputedStyle(element);
    const whole = mark.fit === "border"
      ? union(element.getClientRects()) : contentBox(element);
    if (!whole || !isShown(element)) continue;
    const box = clip(element, whole);
    if (!box || area(box) < SHOWN * area(whole) || !isOnTop(element, box)) continue;
    if (box.right - box.left < 4 || box.bottom - box.top < 4) continue;
    const isCut = element.scrollWidth > element.clientWidth + 2 && element.clientWidth > 0
      && style.display !== "inline" && mark.fit === "border" && element.tagName !== "INPUT";
    if (isCut && mark.name) continue;
    elements.push({
      ...mark,
      name: mark.role === "icon" ? mark.name : transform(mark.name, style),
      box: [box.left, box.top, box.right, box.bottom],
      background: style.backgroundColor, foreground: style.color,
    });
  }

  const characters = [];
  const isGlyph = (text) => {
    const point = text.codePointAt(0);
    return point >= 0xe000 && point <= 0xf8ff || point >= 0xf0000;
  };
  const addCharacter = (text, element, rect, size) => {
    if (!text.trim() || isGlyph(text)) return;
    const whole = { left: rect.left, top: rect.top, right: rect.right, bottom: rect.bottom };
    if (area(whole) <= 0) return;
    const seen = clip(element, whole);
    if (!seen || area(seen) < 0.6 * area(whole)) return;
    const top = document.elementFromPoint(
      (whole.left + whole.right) / 2, (whole.top + whole.bottom) / 2);
    if (top && !(top.contains(element) || element.contains(top)
        || (element.closest("label") || element).contains(top))) return;
    characters.push([text, whole.left, whole.right, (whole.top + whole.bottom) / 2, size]);
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!parent || ["STYLE", "SCRIPT", "OPTION"].includes(parent.tagName) || !isShown(parent)) {
      continue;
    }
    const style = getComputedStyle(parent);
    const drawn = transform(node.data, style);
    if (drawn.length !== node.data.length) continue;
    let at = 0;
    for (const letter of drawn) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at += letter.length);
      const rect = range.getClientRects()[0];
      if (rect) addCharacter(letter, parent, rect, parseFloat(style.fontSize));
    }
  }

  // What stands in a field is no text of the page: it is laid out again with the field's own font.
  const pen = document.createElement("canvas").getContext("2d");
  for (const field of document.querySelectorAll("input[type=text], select")) {
    const text = field.tagName === "SELECT"
      ? field.selectedOptions[0].text : field.value || field.placeholder;
    if (!text || !isShown(field)) continue;
    const style = getComputedStyle(field), box = field.getBoundingClientRect();
    pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const start = box.left + parseFloat(style.borderLeftWidth) + parseFloat(style.paddingLeft);
    const end = box.right - parseFloat(style.paddingRight) - parseFloat(style.borderRightWidth);
    const size = parseFloat(style.fontSize);
    const middle = (box.top + parseFloat(style.borderTopWidth) + parseFloat(style.paddingTop)
      + box.bottom - parseFloat(style.borderBottomWidth) - parseFloat(style.paddingBottom)) / 2;
    for (let i = 0; i < text.length; i++) {
      const left = start + pen.measureText(text.slice(0, i)).width;
      const right = start + pen.measureText(text.slice(0, i + 1)).width;
      if (right > end + 1) break;
      addCharacter(text[i], field,
        { left, right, top: middle - size / 2, bottom: middle + size / 2 }, size);
    }
  }
  return { elements, characters };
}
