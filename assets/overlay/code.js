// Words in code cannot be links: they are found by their text, and lit by the browser itself.
//
// The element says what the words of each target are; where the answer has them in code, their
// ranges are looked up when a pointer or the focus asks for them.

const HIGHLIGHT = "sightline-target"; // as the page's style sheet calls it

// Returns [[number, range], ...] of an overlay's targets whose words stand in the given code.
function findWords(code, targets) {
  const text = code.textContent;
  const found = [];
  let from = 0;
  let before = null;
  for (const { number, words, start } of [...targets].sort((a, b) => a.start - b.start)) {
    if (!words) continue;
    // those of an action hold those of its place; the same words again are the next ones
    const at = text.indexOf(words, words === before ? from + 1 : from);
    if (at < 0) continue;
    found.push([number, makeRange(code, at, at + words.length)]);
    [from, before] = [at, words];
  }
  return found;
}

function makeRange(root, start, end) {
  const range = new Range();
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let passed = 0;
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const length = node.data.length;
    if (start >= passed && start <= passed + length) range.setStart(node, start - passed);
    if (end >= passed && end <= passed + length) {
      range.setEnd(node, end - passed);
      break;
    }
    passed += length;
  }
  return range;
}

function codeOf(overlay) {
  return [...document.querySelectorAll("code")].filter((code) => overlayOf(code) === overlay);
}

function lightCode(overlay, number) {
  const highlights = CSS.highlights; // not in every browser
  if (!highlights) return;
  highlights.delete(HIGHLIGHT);
  if (!overlay) return;
  const targets = overlay.targets;
  const ranges = codeOf(overlay)
    .flatMap((code) => findWords(code, targets))
    .filter(([other]) => other === number)
    .map(([, range]) => range);
  if (ranges.length) highlights.set(HIGHLIGHT, new Highlight(...ranges));
}

// Returns {overlay, number} for the words in code at a place of the screen, or null.
function findInCode(code, x, y) {
  const overlay = overlayOf(code);
  if (!overlay) return null;
  const caret = document.caretPositionFromPoint
    ? document.caretPositionFromPoint(x, y)
    : document.caretRangeFromPoint?.(x, y);
  const node = caret?.offsetNode ?? caret?.startContainer;
  if (!node) return null;
  const offset = caret.offset ?? caret.startOffset;
  const under = findWords(code, overlay.targets)
    .filter(([, range]) => range.isPointInRange(node, offset))
    .at(-1); // the innermost
  return under ? { overlay, number: under[0] } : null;
}
