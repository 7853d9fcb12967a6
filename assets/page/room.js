// The conversation is as high as the window has room for it, so that the message box is in sight.

const ATTACHED_PX = 208; // of what is attached, at most, is kept in sight too

const measure = () => {
  const log = document.querySelector("#log");
  const controls = document.querySelector("#chat .controls");
  if (!log?.checkVisibility() || !controls) return;
  const box = log.getBoundingClientRect();
  const strip = document.querySelector("#strip .strip")?.offsetHeight ?? 0;
  const below = controls.getBoundingClientRect().bottom - box.bottom;
  const taken = box.top + scrollY + below + Math.min(strip, ATTACHED_PX) + 16;
  document.documentElement.style.setProperty("--taken", `${Math.ceil(taken)}px`);
};

new ResizeObserver(measure).observe(document.body);
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[role=tab]")) requestAnimationFrame(measure);
});
