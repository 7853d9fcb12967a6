// Serves the buttons under the answers and those of the bar over the message box, which is `element`.
// While an answer is written all of them rest; then the one that was pressed has the focus again.
const ASKS = ["regenerate", "continue"];
const ROWS = "#log .turn-tools, #editing .turn-tools";
let pressed = null;

const copy = async (button) => {
  if (!(await copyText(button.dataset.answer))) return;
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
};

const press = (event) => {
  const button = event.target.closest?.("button[data-act]");
  if (!element.isConnected || !button?.closest(ROWS)) return;
  const {act, turn, name} = button.dataset;
  if (act === "copy") {
    copy(button);
    return;
  }
  pressed = {name, number: button.closest(".turn-tools").dataset.number};
  trigger(ASKS.includes(act) ? "submit" : "edit", {act, turn});
};

const refocus = () => {
  const row = [...document.querySelectorAll(ROWS)].find(
    ({dataset}) => dataset.number === pressed.number,
  );
  const buttons = [...(row?.querySelectorAll("button:enabled") ?? [])];
  const {activeElement} = document;
  if (!buttons.length || (activeElement !== document.body && !activeElement.disabled)) return;
  (buttons.find(({dataset}) => dataset.name === pressed.name) ?? buttons[0]).focus();
  pressed = null;
};

const rest = () => {
  const log = document.querySelector("#log");
  const running = Boolean(log?.querySelector(".turn-tools[data-running]"));
  for (const button of log?.querySelectorAll(".turn-tools button[data-act]") ?? []) {
    const disabled = button.dataset.act !== "copy" && (running || !button.dataset.turn);
    if (button.disabled !== disabled) button.disabled = disabled;
  }
  if (pressed && !running) refocus();
};

document.addEventListener("click", press);
new MutationObserver(() => element.isConnected && rest()).observe(
  document.querySelector("#chat") ?? document.body,
  {childList: true, subtree: true, attributeFilter: ["disabled", "data-turn", "data-running"]},
);
