// Words, rows and shapes of one target light up together.
//
// Words are links to "#target-N", rows have data-target="N"; both belong to the overlay next to
// them. Their HTML is written anew while an answer grows, so everything is listened for at the
// document, and nothing is attached to them.

const WORDS = 'a[href^="#target-"]';
const NAMED = `${WORDS}, tr[data-target]`;

const lit = { hovered: null, focused: null }; // each {overlay, number}, or null

// Returns the overlay that words or a row belong to: the one that follows, in the smallest part of
// the page that has any; where none follows, the one before.
function overlayOf(node) {
  let part = node.parentElement;
  while (part && part.querySelector("sightline-overlay") === null) part = part.parentElement;
  if (!part) return null;
  const overlays = [...part.querySelectorAll("sightline-overlay")];
  return overlays.find((other) => follows(other, node)) ?? overlays.at(-1);
}

function follows(other, node) {
  return node.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
}

function numberNamedBy(node) {
  return Number(node.dataset.target ?? node.getAttribute("href").slice("#target-".length));
}

// Returns {overlay, number} for what an event is about, or null.
function findTarget(event) {
  const path = event.composedPath().filter((node) => node instanceof Element);
  // the path of an event that stays in a shadow tree ends there
  const host = event.currentTarget.host;
  const overlay = host ?? path.find((node) => node.localName === "sightline-overlay");
  if (overlay) {
    const number = path.map(numberOf).find((found) => found !== null);
    return number === undefined ? null : { overlay, number };
  }
  const named = path.find((node) => node.matches(NAMED));
  if (!named) return null;
  const found = overlayOf(named);
  return found && { overlay: found, number: numberNamedBy(named) };
}

function show() {
  const now = lit.hovered ?? lit.focused;
  for (const overlay of document.querySelectorAll("sightline-overlay")) {
    overlay.light(overlay === now?.overlay ? now.number : null);
  }
  for (const named of document.querySelectorAll(NAMED)) {
    const isLit = now && numberNamedBy(named) === now.number && overlayOf(named) === now.overlay;
    named.classList.toggle("lit", Boolean(isLit));
  }
  lightCode(now?.overlay ?? null, now?.number);
}

function note(how, found) {
  const before = lit[how];
  if (before?.overlay === found?.overlay && before?.number === found?.number) return;
  lit[how] = found;
  show();
}

function follow(event) {
  const found = event.type === "focusout" ? null : findTarget(event);
  const isInside = event.currentTarget.host || event.composedPath().includes(found?.overlay);
  if (found && !isInside) found.overlay.reveal(found.number);
  note(event.type.startsWith("focus") ? "focused" : "hovered", found);
}

// Within a shadow tree, too: what moves from one shape to another never leaves it.
function followIn(root) {
  for (const type of ["pointerover", "focusin", "focusout"]) root.addEventListener(type, follow);
}

followIn(document);
document.addEventListener("pointermove", (event) => {
  const code = event.target.closest?.("code");
  if (!code) return;
  const found = findInCode(code, event.clientX, event.clientY);
  found?.overlay.reveal(found.number);
  note("hovered", found);
});
document.documentElement.addEventListener("pointerleave", () => note("hovered", null));

document.addEventListener(
  "click",
  (event) => {
    const path = event.composedPath().filter((node) => node instanceof Element);
    const button = path.find((node) => node.matches("button[data-copy]"));
    if (button) {
      copyFrom(button);
      return;
    }
    const named = path.find((node) => node.matches(NAMED));
    if (!named) return;
    if (named.matches(WORDS)) event.preventDefault(); // the page stays where it is
    const overlay = overlayOf(named);
    overlay?.reveal(numberNamedBy(named));
    overlay?.scrollIntoView({ block: "nearest" });
  },
  true,
);

async function copyFrom(button) {
  const copied = await overlayOf(button)?.copy(Number(button.dataset.copy));
  if (copied) markCopied(button);
}

customElements.define("sightline-overlay", Overlay);
