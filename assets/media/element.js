// <sightline-media data-key="..." data-view='{...}'>: a sent clip in a player, a document as pages.
//
// The view is written by ui/rendering/media_view.py; everything in it is data. Words of an answer are links to
// "#time-KEY-SECONDS" and "#page-KEY-NUMBER"; they are listened for at the document, because their
// HTML is written anew while an answer grows.

const UNPLAYABLE = "This browser cannot play the file. These are the frames that were sent.";
const PLACES = 'a[href^="#time-"], a[href^="#page-"]';

class Media extends HTMLElement {
  static observedAttributes = ["data-view"];

  #view = null;
  #parts = null;

  connectedCallback() {
    if (this.#parts === null) this.#build();
  }

  attributeChangedCallback(name, before, now) {
    if (this.#parts !== null && before !== now) this.#update();
  }

  // Shows what is at a place: seconds of a clip, or the number of a page.
  goTo(place, overlays) {
    const { video } = this.#parts;
    if (!video.hidden) {
      this.scrollIntoView({ block: "nearest" });
      video.currentTime = place;
      video.focus({ preventScroll: true });
      return;
    }
    const { items } = this.#view;
    const away = items.map((item) => Math.abs(item.place - place));
    openViewer(items, away.indexOf(Math.min(...away)), overlays);
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${BASE_STYLE}${MEDIA_STYLE}</style>
      <video controls playsinline preload="metadata" hidden></video><p hidden></p><ol hidden></ol>`;
    const [video, note, list] = root.querySelectorAll("video, p, ol");
    this.#parts = { video, note, list };
    video.addEventListener("error", () => this.#showFrames());
    // a player of a format that is only half known plays the sound to a black picture
    video.addEventListener("loadedmetadata", () => video.videoWidth || this.#showFrames());
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) openViewer(this.#view.items, Number(button.value), overlaysAfter(this));
    });
    this.#update();
  }

  #update() {
    this.#view = JSON.parse(this.dataset.view);
    const { kind, name, src, items } = this.#view;
    const { video, list, note } = this.#parts;
    const isClip = kind === "video" && src !== "";
    list.replaceChildren(...items.map(makeThumbnail));
    video.hidden = !isClip;
    list.hidden = isClip;
    note.hidden = true;
    if (!isClip) return;
    video.setAttribute("aria-label", name);
    video.src = src;
  }

  #showFrames() {
    const { video, list, note } = this.#parts;
    video.hidden = true;
    list.hidden = false;
    note.textContent = sightline.say(UNPLAYABLE);
    note.hidden = false;
  }
}

function makeThumbnail({ name, label, src }, index) {
  const button = document.createElement("button");
  button.value = index;
  button.setAttribute("aria-label", sightline.say("Open {name}", { name }));
  const picture = document.createElement("img");
  picture.src = src;
  picture.alt = "";
  picture.loading = "lazy";
  const page = label.match(/^Page (\d+)$/);
  button.append(picture, page ? sightline.say("Page {number}", { number: page[1] }) : label);
  const item = document.createElement("li");
  item.append(button);
  return item;
}

// The overlays of the answers that follow, those of later answers last.
function overlaysAfter(node) {
  const overlays = [...document.querySelectorAll("sightline-overlay")];
  return overlays.filter((other) => follows(other, node));
}

function goToPlace(link) {
  const [, key, place] = link.getAttribute("href").split("-");
  const known = [...document.querySelectorAll("sightline-media")].filter(
    (media) => media.dataset.key === key,
  );
  const media = known.findLast((before) => follows(link, before)) ?? known.at(-1);
  media?.goTo(Number(place), [overlayOf(link), ...overlaysAfter(media)].filter(Boolean));
}

document.addEventListener(
  "click",
  (event) => {
    const link = event.target.closest?.(PLACES);
    if (!link) return;
    event.preventDefault(); // the page stays where it is
    goToPlace(link);
  },
  true,
);

customElements.define("sightline-media", Media);
