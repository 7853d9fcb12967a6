// Keys: they never act where a field means something else by them.

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const help = element.querySelector("#keyboard-help");
for (const key of help.querySelectorAll("[data-mac]")) if (isMac) key.textContent = key.dataset.mac;

const BOXES = "#prompt textarea, #instruction textarea";
const FIELDS = "textarea, select, [contenteditable=true], input:not([type=checkbox], [type=radio])";
const STOPS = "#prompt .stop-button, #stop, #agent-stop, #live-stop";
const SENDS = { prompt: "#prompt .submit-button", instruction: "#start" };

const seen = (selector) =>
  [...document.querySelectorAll(selector)].find((each) => each.checkVisibility());

const toMessage = () => {
  document.querySelector("[role=tab][data-tab-id=chat]")?.click();
  // a tab's content is made when it is opened first
  let tries = 100;
  const focus = () => {
    const box = seen("#prompt textarea");
    if (box) box.focus();
    else if (tries--) requestAnimationFrame(focus);
  };
  requestAnimationFrame(focus);
};

const act = (event) => {
  const { key, code, target } = event;
  const box = target.closest?.(BOXES);
  const isFree = Boolean(box) || !target.closest?.(FIELDS);
  if (key === "Escape" && isFree) return seen(STOPS);
  if (key === "Enter" && (event.ctrlKey || event.metaKey) && box) {
    return seen(SENDS[box.closest("[id]:not(textarea)").id]);
  }
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return null;
  // on a Mac these type letters
  if (isMac && target.closest?.(FIELDS)) return null;
  if (code === "KeyM") return { click: toMessage };
  if (code === "KeyN") return seen("#new-conversation") ?? { click: toMessage };
  return null;
};

// Enter that ends the choice of a character must not send what is half written
document.addEventListener(
  "keydown",
  (event) => {
    const isChoosing = event.isComposing || event.keyCode === 229;
    if (element.isConnected && isChoosing && event.key === "Enter") event.stopPropagation();
  },
  true,
);
document.addEventListener("keydown", (event) => {
  const isOurs = element.isConnected && !event.defaultPrevented && !event.isComposing;
  if (!isOurs || event.repeat || document.querySelector("dialog[open]")) return;
  const wanted = act(event);
  if (!wanted) return;
  event.preventDefault();
  wanted.click();
});
element.querySelector("#keyboard").addEventListener("click", () => help.showModal());
help.addEventListener("click", (event) => {
  // the button in it, or what is around it
  if (event.target.closest("button") || event.target === help) help.close();
});
