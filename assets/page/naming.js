// Names and roles that Gradio's own parts lack, for screen readers.

const amend = () => {
  sightline.fill(document);
  // it calls its examples a list, and the buttons in it are no items
  for (const list of document.querySelectorAll("#log .examples[role=list]")) {
    list.setAttribute("role", "group");
    list.setAttribute("aria-label", sightline.say("Examples"));
  }
  for (const button of document.querySelectorAll("#log .image-container button:not([aria-label])")) {
    if (!button.innerText.trim()) button.setAttribute("aria-label", sightline.say("Open the picture"));
  }
  // a button within a link, which does the same
  for (const button of document.querySelectorAll("#log a.download-link > button:not([inert])")) {
    button.parentElement.setAttribute("aria-label", button.getAttribute("aria-label"));
    button.inert = true;
  }
};

let isDue = false;
new MutationObserver(() => {
  if (isDue || !element.isConnected) return;
  isDue = true;
  // once for all that changes within a moment: answers grow many times a second
  setTimeout(() => {
    isDue = false;
    amend();
  }, 200);
}).observe(document.body, { childList: true, subtree: true });
amend();
