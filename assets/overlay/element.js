// <sightline-overlay data-view='{...}'>: pictures, and over them what was found.
//
// The view is written by ui/rendering/overlay.py, and grows while the answer does. Everything in it
// is data: it reaches the page as text and attributes, never as HTML. The element owns what is
// inside of it, so a new view changes only what is different, and zoom, focus and picture stay.

const SAID_FOR_MS = 2000;

class Overlay extends HTMLElement {
  static observedAttributes = ["data-view"];

  #view = null;
  #page = 0;
  #drawn = new Map(); // number of a target -> what is drawn of it on this page
  #chosen = null; // number of the target that was clicked
  #lit = null;
  #parts = null;
  #zoom = null;
  #truth = null;
  #resized = new ResizeObserver(() => this.#layOut());
  #translate = () => sightline.fill(this.shadowRoot);

  connectedCallback() {
    if (this.#parts === null) this.#build();
    this.#resized.observe(this.#parts.stage);
    document.addEventListener("sightline-language", this.#translate);
    this.#update();
  }

  disconnectedCallback() {
    this.#resized.disconnect();
    document.removeEventListener("sightline-language", this.#translate);
  }

  attributeChangedCallback(name, before, now) {
    if (this.#parts !== null && before !== now) this.#update();
  }

  // All targets of all pictures.
  get targets() {
    return this.#view.pages.flatMap(({ targets }) => targets);
  }

  // The pictures, with their targets.
  get pages() {
    return this.#view?.pages ?? [];
  }

  // Lights up one target and dims the others; null lights none.
  light(number) {
    this.#lit = number;
    this.#parts.stage.classList.toggle("has-lit", this.#drawn.has(number));
    const width = this.#parts.stage.clientWidth; // once: what follows would have it computed anew
    for (const [other, { group, label, at }] of this.#drawn) {
      group.classList.toggle("lit", other === number);
      label.classList.toggle("lit", other === number);
      if (at) moveLabel(label, at, width);
    }
  }

  // Brings a target into sight: its page, and its part of the picture.
  reveal(number) {
    const page = this.#view.pages.findIndex(({ targets }) =>
      targets.some((target) => target.number === number),
    );
    if (page < 0) return;
    if (page !== this.#page) this.#turnTo(page);
    this.#zoom.show(this.#partOf(this.#drawn.get(number).target));
    this.light(number);
  }

  // Copies one target, or all for null; returns whether there was something to copy.
  async copy(number) {
    const format = this.#parts.format.value;
    const lines = this.#view.lines[format] ?? {};
    const text = number === null ? Object.values(lines).join("\n") : lines[number];
    const title = this.#parts.format.selectedOptions[0]?.textContent;
    if (!text) {
      this.#say(sightline.say("Cannot be said as {format}", { format: title }));
      return false;
    }
    const copied = await copyText(text);
    const failed = () => sightline.say("The browser does not allow copying here");
    this.#say(copied ? sightline.say("Copied") : failed());
    return copied;
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${BASE_STYLE}${STYLE}</style>${SKELETON}`;
    sightline.fill(root);
    const find = (selector) => root.querySelector(selector);
    this.#parts = {
      pager: find(".pager"),
      pages: find(".pages"),
      view: find(".view"),
      stage: find(".stage"),
      img: find("img"),
      svg: find("svg"),
      labels: find(".labels"),
      foot: find(".foot"),
      format: find(".format"),
      copyOne: find(".copy-one"),
      files: find(".files"),
      said: find(".said"),
    };
    const { view, stage, pages, copyOne } = this.#parts;
    this.#zoom = new Zoom(view, stage, () => this.#layOut());
    this.#truth = new Truth(root, view, stage, find("svg"), find(".draw-truth"));
    this.#zoom.aim = () => this.#partOfTarget();
    find(".in").onclick = () => this.#zoom.in();
    find(".out").onclick = () => this.#zoom.out();
    find(".fit").onclick = () => this.#zoom.to(1);
    find(".full").onclick = () => this.#toggleFullScreen();
    find(".previous").onclick = () => this.#turnTo(this.#page - 1);
    find(".next").onclick = () => this.#turnTo(this.#page + 1);
    find(".copy-all").onclick = () => this.copy(null);
    pages.onchange = () => this.#turnTo(Number(pages.value));
    copyOne.onclick = () => this.copy(this.#chosen);
    followIn(root);
    view.addEventListener("click", (event) => {
      if (!this.#zoom.dragged && !this.#truth.isOn) this.#choose(numberOf(event.target));
    });
    // not at the SVG itself, which Chromium makes a stop of the tab key where it listens for focus
    stage.addEventListener("keydown", (event) => this.#key(event));
    stage.addEventListener("focusin", (event) => {
      this.#makeTabStop(numberOf(event.target));
      // what a pointer got at is in sight, and about to be dragged
      if (event.target.matches(":focus-visible")) this.reveal(numberOf(event.target));
    });
  }

  #update() {
    this.#view = JSON.parse(this.dataset.view);
    const { pages, format, files, foot, pager } = this.#parts;
    const names = this.#view.pages.map(({ name }) => name);
    fill(pages, names.map((name, index) => [index, name]));
    pager.hidden = names.length < 2;
    fill(format, this.#view.formats);
    foot.hidden = this.#view.formats.length === 0;
    this.#truth.button.hidden = foot.hidden; // until there is all to hold against it
    files.replaceChildren(...this.#view.files.map((file) => this.#makeFile(file)));
    this.#turnTo(Math.min(this.#page, names.length - 1));
  }

  #makeFile({ title, name, type, text }) {
    const button = document.createElement("button");
    button.textContent = title;
    button.onclick = () => saveText(name, type, text);
    return button;
  }

  #turnTo(index) {
    if (index < 0 || index >= this.#view.pages.length) return;
    const { img, svg, stage, pages, files, view } = this.#parts;
    if (index !== this.#page) this.#zoom.to(1);
    this.#page = index;
    pages.value = index;
    const page = this.#view.pages[index];
    if (img.getAttribute("src") !== page.src) img.src = page.src;
    img.alt = page.says;
    view.setAttribute("aria-label", page.says);
    svg.setAttribute("viewBox", `0 0 ${page.width} ${page.height}`);
    view.style.setProperty("--ratio", page.width / page.height);
    stage.dataset.page = index;
    files.querySelector("a")?.remove();
    const failed = () => this.#say(sightline.say("The picture is gone: ask again"));
    if (page.png) files.prepend(makeDownload(page, failed));
    this.#draw(page);
    this.#layOut();
    this.#truth.show(page);
  }

  // Draws what is new or different, and leaves the rest alone, focus included.
  #draw(page) {
    const { svg, labels } = this.#parts;
    const before = this.#drawn;
    this.#drawn = new Map();
    for (const target of page.targets) {
      const written = JSON.stringify([this.#page, target]);
      const known = before.get(target.number);
      const same = known?.written === written;
      const drawn = same
        ? known
        : { target, written, group: drawTarget(target), label: makeLabel(target) };
      this.#drawn.set(target.number, drawn);
      before.delete(same ? target.number : null);
    }
    for (const { group, label } of before.values()) {
      group.remove();
      label.remove();
    }
    // the smaller in front, where a pointer can get at them
    const area = ({ target: { box } }) => (box ? (box[2] - box[0]) * (box[3] - box[1]) : 0);
    const ordered = [...this.#drawn.values()].sort((a, b) => area(b) - area(a));
    ordered.forEach((drawn, index) => {
      if (svg.children[index] !== drawn.group) {
        svg.insertBefore(drawn.group, svg.children[index] ?? null);
      }
    });
    for (const { label } of this.#drawn.values()) if (!label.isConnected) labels.append(label);
    if (!this.#drawn.has(this.#chosen)) this.#choose(null);
    if (svg.querySelector("[tabindex='0']") === null) {
      this.#makeTabStop(this.#drawn.keys().next().value);
    }
    this.light(this.#lit);
  }

  #layOut() {
    const page = this.#view?.pages[this.#page];
    const { clientWidth: width, clientHeight: height } = this.#parts.stage;
    if (!page || !width) return;
    const scale = width / page.width;
    for (const glyph of this.#parts.svg.querySelectorAll(".glyph")) {
      const { x, y, turn } = glyph.dataset;
      const place = `translate(${x} ${y}) rotate(${turn}) scale(${1 / scale})`;
      glyph.setAttribute("transform", place);
    }
    const drawn = [...this.#drawn.values()];
    const labels = drawn.map(({ label }) => label);
    for (const label of labels) label.classList.remove("is-short");
    const measure = (short) => {
      this.#parts.labels.classList.toggle("measuring-short", short);
      return labels.map((label) => [label.offsetWidth, label.offsetHeight]);
    };
    const short = measure(true);
    const long = measure(false);
    const items = drawn.map(({ target }, i) => ({
      place: coveredBy(target, scale),
      sizes: [long[i], short[i]],
    }));
    const places = placeLabels(items, [width, height]);
    labels.forEach((label, i) => {
      const { x, y, which } = places[i] ?? { x: items[i].place[0], y: items[i].place[1], which: 1 };
      drawn[i].at = [x, y];
      moveLabel(label, [x, y], width);
      label.classList.toggle("is-short", which === 1);
      label.classList.toggle("no-room", places[i] === null);
    });
  }

  #choose(number) {
    this.#chosen = this.#chosen === number ? null : number;
    for (const [other, { group }] of this.#drawn) {
      group.setAttribute("aria-pressed", other === this.#chosen);
    }
    this.#parts.copyOne.hidden = this.#chosen === null;
    this.#parts.copyOne.textContent = sightline.say("Copy #{number}", { number: this.#chosen });
  }

  // The part of the target that was clicked, or is the only one; null if it is not in sight.
  #partOfTarget() {
    const [only] = this.#drawn.size === 1 ? this.#drawn.keys() : [];
    const drawn = this.#drawn.get(this.#chosen ?? only);
    if (!drawn) return null;
    const { left, right, top, bottom } = drawn.group.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    const view = this.#parts.view.getBoundingClientRect();
    const isSeen = x > view.left && x < view.right && y > view.top && y < view.bottom;
    return isSeen ? this.#partOf(drawn.target) : null;
  }

  #partOf(target) {
    const { width, height } = this.#view.pages[this.#page];
    const [x0, y0, x1, y1] = coveredBy(target, 1);
    return [x0 / width, y0 / height, x1 / width, y1 / height];
  }

  // One of the targets is a stop of the tab key; arrows go on from there.
  #makeTabStop(number) {
    for (const [other, { group }] of this.#drawn) {
      group.setAttribute("tabindex", other === number ? 0 : -1);
    }
  }

  #key(event) {
    const numbers = [...this.#drawn.keys()];
    const at = numbers.indexOf(numberOf(event.target));
    const last = numbers.length - 1;
    const to = {
      ArrowRight: Math.min(at + 1, last),
      ArrowDown: Math.min(at + 1, last),
      ArrowLeft: Math.max(at - 1, 0),
      ArrowUp: Math.max(at - 1, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      this.#drawn.get(numbers[to]).group.focus({ preventScroll: true });
    } else if (event.key === "Enter" || event.key === " ") {
      this.#choose(numbers[at]);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #say(text) {
    this.#parts.said.textContent = text;
    clearTimeout(this.#saidUntil);
    this.#saidUntil = setTimeout(() => (this.#parts.said.textContent = ""), SAID_FOR_MS);
  }

  #saidUntil;

  #toggleFullScreen() {
    if (document.fullscreenElement === this) document.exitFullscreen();
    else this.requestFullscreen();
  }
}
