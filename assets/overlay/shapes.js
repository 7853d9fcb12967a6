// A target -> its shape over the picture, in pixels of the original picture.
//
// What has to keep its size on the screen is a group of class "glyph": it is drawn in pixels of the
// screen and scaled as a whole (the element does so whenever the picture changes its size).

const SVG = "http://www.w3.org/2000/svg";
const CROSS = "M-14 0H-5M5 0H14M0 -14V-5M0 5V14";
const CARET = "M-4 -10H4M0 -10V10M-4 10H4";
const HEAD = "M0 0L-13 -6L-13 6Z";
const REACH_PX = 14; // of a glyph, in pixels of the screen

function make(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Twice, so that it can be seen on any ground: light and wide, then narrow in its own colour.
function outlined(name, attributes) {
  return [
    make(name, { ...attributes, class: "halo" }),
    make(name, { ...attributes, class: "line" }),
  ];
}

function glyph([x, y], turn, ...children) {
  return make("g", { class: "glyph", "data-x": x, "data-y": y, "data-turn": turn }, ...children);
}

function circle(radius, name) {
  return make("circle", { r: radius, class: name });
}

function drawMark(target) {
  switch (target.mark) {
    case "box": {
      const [x0, y0, x1, y1] = target.box;
      return outlined("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
    }
    case "point":
      return [glyph(target.at, 0, ...outlined("circle", { r: 7 }), circle(2, "dot"))];
    case "caret":
      return [glyph(target.at, 0, circle(REACH_PX, "reach"), ...outlined("path", { d: CARET }))];
    case "arrow": {
      const [[x1, y1], [x2, y2]] = [target.at, target.end];
      const turn = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
      return [
        ...outlined("line", { x1, y1, x2, y2 }),
        glyph(target.at, 0, ...outlined("circle", { r: 5 })),
        glyph(target.end, turn, make("path", { d: HEAD, class: "head" })),
      ];
    }
    default:
      return [
        glyph(
          target.at,
          0,
          circle(REACH_PX, "reach"),
          ...outlined("circle", { r: 8 }),
          ...outlined("path", { d: CROSS }),
        ),
      ];
  }
}

function drawTarget(target) {
  const group = make("g", {
    class: target.dashed ? "target dashed" : "target",
    "data-target": target.number,
    role: "button",
    tabindex: -1,
    "aria-pressed": "false",
    "aria-label": target.says,
  });
  group.style.setProperty("--colour", target.colour);
  group.append(...drawMark(target));
  return group;
}

// Returns what a target covers: [x0, y0, x1, y1] in pixels of the screen.
// scale: pixels of the screen for one of the picture.
function coveredBy(target, scale) {
  if (target.box) return target.box.map((number) => number * scale);
  const ends = [target.at, target.end ?? target.at];
  const xs = ends.map(([x]) => x * scale);
  const ys = ends.map(([, y]) => y * scale);
  return [
    Math.min(...xs) - REACH_PX,
    Math.min(...ys) - REACH_PX,
    Math.max(...xs) + REACH_PX,
    Math.max(...ys) + REACH_PX,
  ];
}
