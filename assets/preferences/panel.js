// The fold of settings: fields are built once, what is entered is kept in this browser.

const KEY = "sightline.preferences";
const { texts, fields, most } = props;

const read = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return kept && typeof kept === "object" && !Array.isArray(kept) ? kept : {};
  } catch {
    return {};
  }
};

const keep = (entered) => {
  try {
    if (Object.keys(entered).length) localStorage.setItem(KEY, JSON.stringify(entered));
    else localStorage.removeItem(KEY);
  } catch {
    // a browser that keeps nothing: they hold until the page is left
  }
};

const system = make("textarea", {
  id: "preference-system",
  rows: 3,
  maxlength: most,
  "data-placeholder": texts.system_example,
});
const inputs = new Map();
const labels = new Map();
const problems = new Map();

const changed = make("small");
const grid = make("div", { class: "fields" });
for (const field of fields) {
  const id = `preference-${field.name}`;
  const input = make("input", {
    id,
    type: "number",
    min: field.low,
    max: field.high,
    step: field.is_whole ? 1 : "any",
    autocomplete: "off",
    "aria-describedby": `${id}-hint ${id}-problem`,
  });
  const problem = make("p", { id: `${id}-problem`, class: "problem", role: "alert" });
  inputs.set(field, input);
  problems.set(field, problem);
  labels.set(field.name, field.label);
  const hint = make("small", { id: `${id}-hint`, "data-text": field.hint });
  grid.append(
    make("div", { "data-field": field.name }, make("label", { for: id, "data-text": field.label }), input, hint, problem),
  );
}
const reset = make("button", { type: "button", "data-text": texts.reset });
const summary = make("summary", {}, make("span", { "data-text": texts.title }), " ", changed);
const fold = make(
  "details",
  {},
  summary,
  make(
    "div",
    { class: "inside" },
    make("label", { for: system.id, "data-text": texts.system }),
    system,
    grid,
    make("div", { class: "ending" }, reset, make("small", { "data-text": texts.kept })),
  ),
);
element.replaceChildren(fold);
sightline.fill(element);

const problemOf = (field, input) => {
  const [low, high] = [field.low, field.high].map((number) => number.toLocaleString("en"));
  const refusal = sightline.say(field.refusal, { low, high });
  if (input.validity.badInput) return refusal;
  if (input.value === "") return "";
  const number = input.valueAsNumber;
  const fits = number >= field.low && number <= field.high;
  return fits && (!field.is_whole || Number.isInteger(number)) ? "" : refusal;
};

const isOffered = (field) => field.name !== "thinking_budget" || Boolean(props.known?.budget);

const showChanges = () => {
  const names = Object.keys(props.value ?? {});
  const shown = fields.filter((field) => names.includes(field.name) && isOffered(field));
  const list = [...(names.includes("system") ? [texts.system] : []), ...shown.map((f) => f.label)];
  const said = list.map((label) => sightline.say(label)).join(sightline.say(", "));
  changed.textContent = list.length ? sightline.say(texts.changed, { names: said }) : "";
};

const enter = () => {
  const entered = {};
  if (typeof props.value?.thinking === "boolean") entered.thinking = props.value.thinking;
  if (system.value.trim()) entered.system = system.value;
  for (const [field, input] of inputs) {
    const problem = problemOf(field, input);
    problems.get(field).textContent = problem;
    input.toggleAttribute("aria-invalid", false);
    if (problem) input.setAttribute("aria-invalid", "true");
    else if (input.value !== "") entered[field.name] = input.valueAsNumber;
  }
  props.value = entered;
  keep(entered);
  showChanges();
};

const describe = () => {
  for (const [field, input] of inputs) {
    input.placeholder = sightline.say(props.known?.defaults?.[field.name] ?? texts.unknown);
    input.closest("[data-field]").hidden = !isOffered(field);
  }
  showChanges();
};

const fill = (entered) => {
  system.value = typeof entered.system === "string" ? entered.system : "";
  for (const [field, input] of inputs) input.value = entered[field.name] ?? "";
};

fold.addEventListener("input", enter);
fold.addEventListener("toggle", () => fold.open && trigger("describe"));
document.addEventListener("sightline:status", () => element.isConnected && trigger("describe"));
reset.addEventListener("click", () => {
  props.value = {};
  fill({});
  enter();
  trigger("restore");
  system.focus();
});
// the switch beside the message box is a part of the value too
watch("value", () => {
  keep(props.value ?? {});
  showChanges();
});
watch("known", describe);

document.addEventListener("sightline-language", () => {
  if (!element.isConnected) return;
  enter();
  describe();
});

const kept = read();
fill(kept);
if (typeof kept.thinking === "boolean") props.value = { thinking: kept.thinking };
enter();
describe();
trigger("restore");
trigger("describe");
