// <sightline-preview data-pages='["<html>...", ...]'>: shows HTML of an answer as a page.
//
// The HTML may be hostile. It is in a frame of an origin of its own, which can neither reach this
// page nor open windows, send forms or lead this page elsewhere, and whose policy lets nothing be
// fetched. That frame could still lead itself to another server: so it stands in a second one, whose
// policy allows no frame an address. Scripts run only where the person wants them to.

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:";
const ISOLATED = "It cannot reach this page.";

function policyFor(scripts) {
  const policy = scripts ? `${POLICY}; script-src 'unsafe-inline'` : POLICY;
  return `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta http-equiv="x-dns-prefetch-control" content="off">
    <meta name="referrer" content="no-referrer">`;
}

function quoteAttribute(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
}

// Returns a frame with a page that has been closed off.
function makeFrame(html, scripts, title) {
  const frame = document.createElement("iframe");
  const rights = scripts ? "allow-scripts" : "";
  frame.setAttribute("sandbox", rights);
  frame.title = title;
  frame.srcdoc = `${policyFor(scripts)}
    <style>html, body, iframe { width: 100%; height: 100%; margin: 0; border: 0; display: block }
    </style><iframe sandbox="${rights}" srcdoc="${quoteAttribute(policyFor(scripts) + html)}">
    </iframe>`;
  return frame;
}

class Preview extends HTMLElement {
  static observedAttributes = ["data-pages"];

  #pages = [];
  #parts = null;
  #open = null; // which of the pages is shown

  connectedCallback() {
    if (this.#parts !== null) return;
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${BASE_STYLE}${PREVIEW_STYLE}</style>
      <div class="buttons"></div>
      <div class="panel" hidden>
        <div class="bar"><label><input type="checkbox"> <span data-text="Run scripts"></span></label>
          <span class="isolated"></span></div>
        <div class="frame"></div>
      </div>`;
    const find = (selector) => root.querySelector(selector);
    this.#parts = {
      buttons: find(".buttons"),
      panel: find(".panel"),
      scripts: find("input"),
      frame: find(".frame"),
    };
    find(".isolated").dataset.text = ISOLATED;
    sightline.fill(root);
    this.#parts.scripts.onchange = () => this.#show(this.#open);
    this.#update();
  }

  attributeChangedCallback(name, before, now) {
    if (this.#parts !== null && before !== now) this.#update();
  }

  // Pages are added while an answer grows; one that is shown stays.
  #update() {
    const shown = this.#pages[this.#open];
    this.#pages = JSON.parse(this.dataset.pages);
    this.#parts.buttons.replaceChildren(...this.#pages.map((_, index) => this.#button(index)));
    if (this.#open !== null && this.#pages[this.#open] !== shown) this.#show(null);
  }

  #button(index) {
    const button = document.createElement("button");
    const number = index + 1;
    const many = this.#pages.length > 1;
    button.textContent = many ? sightline.say("Preview {number}", { number }) : sightline.say("Preview");
    button.setAttribute("aria-expanded", index === this.#open);
    button.onclick = () => {
      this.#parts.scripts.checked = false;
      this.#show(index === this.#open ? null : index);
    };
    return button;
  }

  #show(index) {
    const { panel, frame, scripts, buttons } = this.#parts;
    this.#open = index;
    panel.hidden = index === null;
    frame.replaceChildren();
    [...buttons.children].forEach((button, i) => button.setAttribute("aria-expanded", i === index));
    if (index === null) return;
    frame.append(makeFrame(this.#pages[index], scripts.checked, sightline.say("Preview of the HTML")));
  }
}

customElements.define("sightline-preview", Preview);
