// Zoom and pan: the stage grows inside of a view that scrolls, so panning is scrolling.

const MAX_ZOOM = 16;
const ZOOM_STEP = 1.5;
const DRAG_STARTS_PX = 4;

// Calls `move` wherever the pointer goes, until it is up.
function followPointer(move) {
  const up = new AbortController();
  const { signal } = up;
  window.addEventListener("pointermove", move, { signal });
  for (const type of ["pointerup", "pointercancel"]) {
    window.addEventListener(type, () => up.abort(), { signal });
  }
}

class Zoom {
  constructor(view, stage, changed) {
    this.view = view;
    this.stage = stage;
    this.changed = changed;
    this.level = 1;
    this.aim = () => null; // the part of the picture, in shares, that a step closer keeps in sight
    this.dragged = false; // whether the pointer that is down has moved the picture
    view.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    view.addEventListener("pointerdown", (event) => this.#grab(event));
    view.addEventListener("touchstart", (event) => this.#pinch(event), { passive: false });
    view.addEventListener("keydown", (event) => this.#key(event));
  }

  // Zooms to a level, 1 for all of the picture; what is at (x, y) on the screen stays there.
  to(level, x, y) {
    const view = this.view.getBoundingClientRect();
    x ??= view.left + view.width / 2;
    y ??= view.top + view.height / 2;
    const before = this.stage.getBoundingClientRect();
    const share = [(x - before.left) / before.width, (y - before.top) / before.height];
    this.level = Math.max(1, Math.min(MAX_ZOOM, level));
    this.stage.style.setProperty("--zoom", this.level);
    this.view.classList.toggle("zoomed", this.level > 1);
    const after = this.stage.getBoundingClientRect();
    this.view.scrollLeft += after.left + share[0] * after.width - x;
    this.view.scrollTop += after.top + share[1] * after.height - y;
    this.changed(this.level);
  }

  in() {
    const part = this.aim();
    this.to(this.level * ZOOM_STEP);
    if (part) this.show(part);
  }

  out() {
    this.to(this.level / ZOOM_STEP);
  }

  // Scrolls a part of the picture (shares of its sides) into the middle if it is out of sight.
  show([x0, y0, x1, y1]) {
    const { clientWidth, clientHeight } = this.view;
    const { width, height } = this.stage.getBoundingClientRect();
    const left = this.view.scrollLeft;
    const top = this.view.scrollTop;
    if (x0 * width < left || x1 * width > left + clientWidth) {
      this.view.scrollLeft = ((x0 + x1) / 2) * width - clientWidth / 2;
    }
    if (y0 * height < top || y1 * height > top + clientHeight) {
      this.view.scrollTop = ((y0 + y1) / 2) * height - clientHeight / 2;
    }
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls, as everywhere
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30;
    this.to(this.level * Math.exp((-event.deltaY * unit) / 200), event.clientX, event.clientY);
  }

  #grab(down) {
    this.dragged = false;
    if (down.button !== 0 || down.pointerType === "touch" || this.level === 1) return;
    let { clientX: x, clientY: y } = down;
    followPointer((event) => {
      const way = Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY);
      if (!this.dragged && way < DRAG_STARTS_PX) return;
      this.dragged = true;
      this.view.scrollLeft -= event.clientX - x;
      this.view.scrollTop -= event.clientY - y;
      [x, y] = [event.clientX, event.clientY];
    });
  }

  #pinch(start) {
    if (start.touches.length !== 2) return;
    start.preventDefault(); // neither the page's own zoom nor a scroll of two fingers
    const spread = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const level = this.level;
    const apart = spread(start.touches);
    const move = (event) => {
      if (event.touches.length !== 2) return;
      event.preventDefault();
      const [a, b] = event.touches;
      const middle = [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2];
      this.to((level * spread(event.touches)) / apart, ...middle);
    };
    const end = (event) => {
      if (event.touches.length === 2) return;
      this.view.removeEventListener("touchmove", move);
      this.view.removeEventListener("touchend", end);
      this.view.removeEventListener("touchcancel", end);
    };
    this.view.addEventListener("touchmove", move, { passive: false });
    this.view.addEventListener("touchend", end);
    this.view.addEventListener("touchcancel", end);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") this.in();
    else if (event.key === "-") this.out();
    else if (event.key === "0") this.to(1);
    else return;
    event.preventDefault();
  }
}
