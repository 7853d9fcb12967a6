// A page or a frame, large, over the page; with what an answer found on it drawn upon it.

const VIEWER = `
  <header>
    <h2></h2>
    <button class="previous" data-label="Previous">‹</button>
    <button class="next" data-label="Next">›</button>
    <button class="close" data-text="Close"></button>
  </header>
  <sightline-overlay></sightline-overlay>`;

// Opens the item at an index; `overlays` are asked for what was found, the first that knows counts.
function openViewer(items, index, overlays) {
  const dialog = document.createElement("dialog");
  dialog.className = "sightline-viewer";
  dialog.innerHTML = VIEWER;
  sightline.fill(dialog);
  const find = (selector) => dialog.querySelector(selector);
  const overlay = find("sightline-overlay");
  const show = (next) => {
    if (next < 0 || next >= items.length) return;
    index = next;
    const item = items[index];
    const found = overlays.flatMap(({ pages }) => pages).find(({ src }) => src === item.src);
    const view = { pages: [found ?? item], formats: [], lines: {}, files: [] };
    overlay.dataset.view = JSON.stringify(view);
    find("h2").textContent = item.name;
    find(".previous").disabled = index === 0;
    find(".next").disabled = index === items.length - 1;
  };
  show(index);
  find(".previous").onclick = () => show(index - 1);
  find(".next").onclick = () => show(index + 1);
  find(".close").onclick = () => dialog.close();
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "PageUp" || event.key === "ArrowLeft") show(index - 1);
    else if (event.key === "PageDown" || event.key === "ArrowRight") show(index + 1);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  find(".close").focus();
}
