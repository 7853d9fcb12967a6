// Where the target really is, drawn by the person: how far what was found is from it.
//
// By the rules of the benchmarks (grounding/evaluation/metrics.py): right is a point, or the middle of
// a box, inside of the true box; IoU is the area that two boxes share over the area that they cover.

const TRUTH = `
  <div class="truth" hidden>
    <span data-text="Drag over the picture, or type its pixels:"></span>
    <label><span data-text="left"></span> <input type="number" min="0"></label>
    <label><span data-text="top"></span> <input type="number" min="0"></label>
    <label><span data-text="right"></span> <input type="number" min="0"></label>
    <label><span data-text="bottom"></span> <input type="number" min="0"></label>
    <ul role="status" data-label="Against the true box"></ul>
  </div>`;

function isInside([x, y], [x0, y0, x1, y1]) {
  return x0 <= x && x <= x1 && y0 <= y && y <= y1; // edges included
}

function iou(a, b) {
  const shared = overlap(a, b);
  const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  const covered = area(a) + area(b) - shared;
  return covered > 0 ? shared / covered : 0;
}

// Says in a sentence how a target does against the true box.
function describeScore({ number, box, at }, truth) {
  const middle = box ? [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] : at;
  const hit = isInside(middle, truth);
  if (!box) {
    return hit
      ? sightline.say("#{number}: a hit, the point is inside", { number })
      : sightline.say("#{number}: a miss, the point is outside", { number });
  }
  const share = iou(box, truth).toFixed(3);
  return hit
    ? sightline.say("#{number}: a hit, the middle is inside; IoU {share}", { number, share })
    : sightline.say("#{number}: a miss, the middle is outside; IoU {share}", { number, share });
}

class Truth {
  #targets = [];
  #size = [0, 0];
  #box = null; // in pixels of the picture

  constructor(root, view, stage, svg, button) {
    this.stage = stage;
    this.button = button;
    this.panel = root.querySelector(".truth");
    this.fields = [...this.panel.querySelectorAll("input")];
    this.list = this.panel.querySelector("ul");
    this.drawn = make("g", { class: "true-box" });
    svg.after((this.layer = make("svg", { preserveAspectRatio: "none" }, this.drawn)));
    this.layer.classList.add("truth-layer");
    button.onclick = () => this.#toggle(this.panel.hidden);
    for (const field of this.fields) field.oninput = () => this.#read();
    // before the picture is panned
    view.addEventListener("pointerdown", (event) => this.#drag(event), true);
  }

  get isOn() {
    return !this.panel.hidden;
  }

  // Takes the page that is shown; on another one, the box is another, too.
  show({ targets, width, height, src }) {
    if (src !== this.src) this.#set(null);
    this.src = src;
    this.#targets = targets;
    this.#size = [width, height];
    this.layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#tell();
  }

  #toggle(on) {
    this.panel.hidden = !on;
    this.layer.toggleAttribute("hidden", !on);
    this.stage.classList.toggle("drawing", on);
    this.button.setAttribute("aria-pressed", on);
  }

  #drag(down) {
    if (!this.isOn || down.button !== 0) return;
    down.preventDefault();
    down.stopPropagation();
    const place = ({ clientX, clientY }) => {
      const { left, top, width, height } = this.stage.getBoundingClientRect();
      const [w, h] = this.#size;
      const clamp = (number, most) => Math.max(0, Math.min(most, Math.round(number)));
      return [
        clamp(((clientX - left) / width) * w, w),
        clamp(((clientY - top) / height) * h, h),
      ];
    };
    const [x, y] = place(down);
    followPointer((event) => {
      const [x1, y1] = place(event);
      this.#set([Math.min(x, x1), Math.min(y, y1), Math.max(x, x1), Math.max(y, y1)]);
    });
  }

  #read() {
    const numbers = this.fields.map(({ value }) => (value === "" ? NaN : Number(value)));
    const [x0, y0, x1, y1] = numbers;
    this.#box = x0 < x1 && y0 < y1 ? numbers : null;
    this.#tell();
  }

  #set(box) {
    this.fields.forEach((field, index) => (field.value = box ? box[index] : ""));
    this.#read();
  }

  #tell() {
    const [x0, y0, x1, y1] = this.#box ?? [];
    const sides = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
    this.drawn.replaceChildren(...(this.#box ? outlined("rect", sides) : []));
    const says = this.#box ? this.#targets.map((target) => describeScore(target, this.#box)) : [];
    this.list.replaceChildren(
      ...says.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
    );
  }
}
