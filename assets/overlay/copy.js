// To the clipboard, and to files.

const COPIED_FOR_MS = 2000;
const LINK_KEPT_MS = 60_000; // some browsers read what is saved only after the click

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // no permission, or the page came over plain HTTP
  }
}

function copyBySelection(text) {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position: fixed; opacity: 0";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return copied;
}

// Shows for a moment that a button has copied.
function markCopied(button) {
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), COPIED_FOR_MS);
}

function saveText(name, type, text) {
  save(name, new Blob([text], { type }));
}

// Saves a file of the server's under another name: the one that the server sends along counts more
// than that of a link. Returns whether the file was still there.
async function saveFile(name, address) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) return false;
  save(name, await answer.blob());
  return true;
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), LINK_KEPT_MS);
}
