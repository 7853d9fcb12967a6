// Names and roles that Gradio's own parts lack, for screen readers.

// What Gradio calls its parts in English, whatever its language; some before a colon and a text.
const WORDS = [
  "Upload file",
  "Upload a file",
  "File upload",
  "Uploaded files",
  "File thumbnail",
  "Remove file",
  "Click to upload or drop files",
  "Drop an image file here to upload",
  "Paste from clipboard",
  "Remove Image",
  "Fullscreen",
  "Exit fullscreen mode",
  "View in full screen",
  "Multimedia input field",
  "Submit",
  "Stop",
  "Copy message",
  "Copied message",
  "chatbot conversation",
  "user's message",
  "bot's message",
  "Select example 1",
  "Select example 2",
  "Select example 3",
  "More tabs",
  "Reset to default value",
  "Gradio footer navigation",
];
const known = new Map(); // each in the languages that it was shown in -> in English

const learn = () => {
  for (const word of WORDS) known.set(word, word).set(sightline.say(word), word);
};

const translate = () => {
  for (const attribute of ["aria-label", "title"]) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) {
      const shown = node.getAttribute(attribute);
      const [name] = shown.split(": ", 1);
      const word = known.get(name);
      if (!word || sightline.say(word) === name) continue;
      node.setAttribute(attribute, sightline.say(word) + shown.slice(name.length));
    }
  }
};

const amend = () => {
  // it calls its examples a list, and the buttons in it are no items
  for (const list of document.querySelectorAll("#log .examples[role=list]")) {
    list.setAttribute("role", "group");
    list.dataset.label = "Examples";
  }
  for (const button of document.querySelectorAll("#log .image-container button:not([aria-label])")) {
    if (!button.innerText.trim()) button.dataset.label = "Open the picture";
  }
  // items of a list that is none: a button stands among them
  const files = "#prompt .thumbnails:not([role]), #prompt .thumbnails > [role=listitem]";
  for (const group of document.querySelectorAll(files)) group.setAttribute("role", "group");
  // a button within a link, which does the same
  for (const button of document.querySelectorAll("#log a.download-link > button:not([inert])")) {
    button.parentElement.setAttribute("aria-label", button.getAttribute("aria-label"));
    button.inert = true;
  }
  sightline.fill(document);
  translate();
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
document.addEventListener("sightline-language", () => {
  learn();
  if (element.isConnected) amend();
});
learn();
amend();
