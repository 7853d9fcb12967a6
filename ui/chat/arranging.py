"""What the strip's buttons and fields do in the browser: move and remove files, choose parts.

The strip's value is {"html": what it shows, "asked": what was asked for last}. Its buttons and
fields write the latter and raise an event; the functions below then change the message and the
choices, still in the browser, so that nothing typed meanwhile is lost on a way to the server.
"""

from __future__ import annotations

from typing import Any

TEMPLATE = "${value.html}"


def to_value(html: str) -> dict[str, Any]:
    """Return the strip's value, in which nothing is asked for yet."""
    return {"html": html, "asked": None}


# After a file was moved or removed, the same button is focused where it now is, for the next press.
# A file too large is stopped before its upload: Gradio would refuse the others of its upload too.
ON_LOAD = """
let pressed = null;

const ask = (event, control, asked) => {
  const {file, index} = control.closest("section").dataset;
  props.value = {...props.value, asked: {file, index: Number(index), ...asked}};
  trigger(event);
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-move]");
  if (!button) return;
  const {file, index} = button.closest("section").dataset;
  pressed = {file, index: Number(index), move: button.dataset.move};
  ask("arrange", button, {move: button.dataset.move});
});

element.addEventListener("change", (event) => {
  const field = event.target.closest("[data-choice]");
  if (!field) return;
  const value = field.type === "checkbox" ? field.checked : field.value;
  ask("choose", field, {choice: field.dataset.choice, value});
});

watch("value", () => {
  for (const field of element.querySelectorAll("[data-choice]")) {
    if (field.type === "checkbox") field.checked = field.hasAttribute("checked");
    else if (field !== document.activeElement) field.value = field.getAttribute("value");
  }
  const sections = [...element.querySelectorAll("section")];
  if (!pressed || sections[pressed.index]?.dataset.file === pressed.file) return;
  const wanted = pressed.move === "remove"
    ? sections[Math.min(pressed.index, sections.length - 1)]
    : sections.find((section) => section.dataset.file === pressed.file);
  const buttons = [...(wanted?.querySelectorAll("button[data-move]:enabled") ?? [])];
  const same = buttons.find((button) => button.dataset.move === pressed.move);
  (same ?? buttons[0])?.focus();
  pressed = null;
});

const split = (files) => {
  const kept = new DataTransfer();
  const refused = [];
  for (const file of files) {
    if (file.size > props.max_bytes) refused.push({name: file.name, size: file.size});
    else kept.items.add(file);
  }
  return {kept, refused};
};
// what the strip says is made by the server
document.addEventListener("sightline-language", () => element.isConnected && trigger("retell"));

const isOurs = (event) => element.isConnected && event.target.closest?.("#prompt");

document.addEventListener("change", (event) => {
  if (!isOurs(event) || event.target.type !== "file") return;
  const {kept, refused} = split(event.target.files);
  if (!refused.length) return;
  event.stopImmediatePropagation();
  event.target.files = kept.files;
  trigger("refuse", {files: refused});
  if (kept.files.length) event.target.dispatchEvent(new Event("change", {bubbles: true}));
}, true);

document.addEventListener("drop", (event) => {
  if (!isOurs(event)) return;
  const {kept, refused} = split(event.dataTransfer?.files ?? []);
  if (!refused.length) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  trigger("refuse", {files: refused});
  const {clientX, clientY} = event;
  const rest = {dataTransfer: kept, bubbles: true, cancelable: true, clientX, clientY};
  event.target.dispatchEvent(new DragEvent("drop", rest));
}, true);
"""

# (message, strip) => message: the order of its files is the order in which the model sees them.
ARRANGE = """(message, strip) => {
  const {file, index, move} = strip.asked;
  const files = [...message.files];
  const at = files[index]?.path === file ? index : files.findIndex(({path}) => path === file);
  if (at < 0) return message;
  const [moved] = files.splice(at, 1);
  if (move !== "remove") files.splice(Math.max(0, at + (move === "earlier" ? -1 : 1)), 0, moved);
  return {...message, files};
}"""

# What the strip depends on has versions, counted by the browser, so that the server can end an
# opening that is out of date. Typing changes the message too, but makes no version.
#
# (message, files, version) => [files, version]: paths of the files in the message.
LIST_FILES = """(message, files, version) => {
  const listed = (message?.files ?? []).map((file) => file.path).join("\\n");
  return listed === (files ?? "") ? [listed, version] : [listed, version + 1];
}"""

# (choices, strip, version) => [choices, version]; choices are {path of a file: {name of a field of
# ``Choice``: what was entered}}.
CHOOSE = """(choices, strip, version) => {
  const {file, choice, value} = strip.asked;
  return [{...choices, [file]: {...choices?.[file], [choice]: value}}, version + 1];
}"""

# (version) => version: the same files are told about once more, in another language.
RETELL = "(version) => version + 1"

# (message, version) => version: an answer that ends changes what files attached meanwhile take
# together with the conversation.
SETTLE = "(message, version) => (message?.files?.length ? version + 1 : version)"
