// Serves the buttons under the answers and those of the bar over the message box, which is `element`.
// While an answer is written all of them rest; then the one that was pressed has the focus again.
const ASKS = ["regenerate", "continue"];
const TYPES = ["edit", "undo", "cancel"];
const ROWS = "#log .turn-tools, #editing .turn-tools";
let pressed = null;

const copy = async (button) => {
  if (await copyText(button.dataset.answer)) markCopied(button);
};

const press = (event) => {
  const button = event.target.closest?.("button[data-act]");
  if (!element.isConnected || !button?.closest(ROWS)) return;
  const {act, turn, name} = button.dataset;
  if (act === "copy") {
    copy(button);
    return;
  }
  const types = TYPES.includes(act);
  pressed = types ? null : {name, number: button.closest(".turn-tools").dataset.number};
  // at once, or phones show no keyboard
  if (types) document.querySelector("#prompt textarea").focus();
  trigger(ASKS.includes(act) ? "submit" : "edit", {act, turn});
};

const refocus = () => {
  const row = [...document.querySelectorAll(ROWS)].find(
    ({dataset}) => dataset.number === pressed.number,
  );
  const buttons = [...(row?.querySelectorAll("button:enabled") ?? [])];
  const wanted = buttons.find(({dataset}) => dataset.name === pressed.name) ?? buttons[0];
  const {activeElement} = document;
  // Gradio may have made another button of the one with the focus
  const isLost = activeElement === document.body || activeElement?.closest(ROWS);
  if (wanted && wanted !== activeElement && isLost) wanted.focus();
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

// whoever goes on is not called back
for (const type of ["keydown", "pointerdown"]) {
  document.addEventListener(type, () => (pressed = null), true);
}
document.addEventListener("click", press);
new MutationObserver(() => element.isConnected && rest()).observe(
  document.querySelector("#chat") ?? document.body,
  {childList: true, subtree: true, attributeFilter: ["disabled", "data-turn", "data-running"]},
);
