// What the element is made of, besides the shapes: its buttons and selects, labels and links.

const SKELETON = `
  <div class="bar">
    <span class="pager">
      <button class="previous" data-label="Previous picture">‹</button>
      <select class="pages" data-label="Picture"></select>
      <button class="next" data-label="Next picture">›</button>
    </span>
    <button class="draw-truth" aria-pressed="false" data-text="Draw the true box"></button>
    <span class="zoom" role="group" data-label="Zoom">
      <button class="out" data-label="Zoom out">−</button>
      <button class="in" data-label="Zoom in">+</button>
      <button class="fit" data-label="Fit the picture" data-text="Fit"></button>
      <button class="full" data-text="Full screen"></button>
    </span>
  </div>
  <div class="view" tabindex="0" role="region">
    <div class="stage">
      <img draggable="false">
      <svg preserveAspectRatio="none" role="group" data-label="What was found"></svg>
      <div class="labels" aria-hidden="true"></div>
    </div>
  </div>
  ${TRUTH}
  <div class="foot">
    <span class="copying">
      <select class="format" data-label="Copy as"></select>
      <button class="copy-all" data-text="Copy all"></button>
      <button class="copy-one" hidden></button>
    </span>
    <span class="files"></span>
    <span class="said" role="status"></span>
  </div>`;

function numberOf(node) {
  const number = node.closest?.("[data-target]")?.dataset.target;
  return number === undefined ? null : Number(number);
}

function makeLabel(target) {
  const label = document.createElement("span");
  label.dataset.target = target.number;
  label.style.setProperty("--colour", target.colour);
  for (const name of ["plate", "short", "score"]) {
    const part = document.createElement("bdi"); // whichever way its script is written
    part.className = name;
    part.textContent = target[name];
    label.append(part);
  }
  return label;
}

// A label that is lit shows all of its text, which must stay inside of the picture.
function moveLabel(label, [x, y], width) {
  const left = label.matches(".lit") ? Math.max(0, Math.min(x, width - label.offsetWidth)) : x;
  label.style.transform = `translate(${left}px, ${y}px)`;
}

// `failed` is called if the picture is not there any more.
function makeDownload({ png, file }, failed) {
  const link = document.createElement("a");
  link.href = png;
  link.download = file;
  link.textContent = "PNG";
  link.title = sightline.say("The picture with what was found drawn upon it");
  link.onclick = async (event) => {
    event.preventDefault();
    if (!(await saveFile(file, png))) failed();
  };
  return link;
}

// Makes a select offer [value, text] pairs; what was chosen stays.
function fill(select, options) {
  const same =
    select.options.length === options.length &&
    options.every(([, text], index) => select.options[index].textContent === text);
  if (same) return;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => String(value) === chosen)) select.value = chosen;
}
