// Takes the mark out of code with which ui/rendering/markdown.py keeps the tabs at the beginning of a line.
// What is copied from the page, by hand or by a button of Gradio's, is then the code as it was.

const TAB_MARK = "\u2063";

function unmarkTabs(code) {
  if (!code.textContent.includes(TAB_MARK)) return;
  const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (text.data.includes(TAB_MARK)) text.data = text.data.replaceAll(TAB_MARK, "");
  }
}

new MutationObserver((changes) => {
  const changed = new Set();
  for (const { target, addedNodes } of changes) {
    const inside = target.closest?.("pre code");
    if (inside) changed.add(inside);
    else for (const node of addedNodes) {
      for (const code of node.querySelectorAll?.("pre code") ?? []) changed.add(code);
    }
  }
  changed.forEach(unmarkTabs);
}).observe(document.body, { childList: true, subtree: true });
