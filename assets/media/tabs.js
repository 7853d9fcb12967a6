// Takes the mark out of code with which ui/markdown.py keeps the tabs at the beginning of a line.
// What is copied from the page, by hand or by a button of Gradio's, is then the code as it was.

const TAB_MARK = "\u2063";

function unmarkTabs(root) {
  for (const code of root.querySelectorAll?.("pre code") ?? []) {
    if (!code.textContent.includes(TAB_MARK)) continue;
    const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (text.data.includes(TAB_MARK)) text.data = text.data.replaceAll(TAB_MARK, "");
    }
  }
}

new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    if (addedNodes.length) unmarkTabs(target.closest?.("pre")?.parentElement ?? target);
  }
}).observe(document.body, { childList: true, subtree: true });
