// A note for first-time visitors: shown until it is closed, which this browser remembers.

const hint = element.querySelector(".hint");
const key = `sightline.hint.${hint.dataset.hint}`;
let isClosed = false;
try {
  isClosed = localStorage.getItem(key) !== null;
} catch {
  // a browser that keeps nothing shows it each time
}
hint.hidden = isClosed;
hint.querySelector("button").addEventListener("click", () => {
  hint.hidden = true;
  try {
    localStorage.setItem(key, "closed");
  } catch {
    // see above
  }
});
