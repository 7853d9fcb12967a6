// The language of the page: the one chosen here earlier, or else the browser's.

const kept = new RegExp(`(?:^|; )${cookie}=([\\w-]+)`);
const chosen = () => languages.find((language) => language === document.cookie.match(kept)?.[1]);
const ours = (tag) => languages.find((language) => language.split("-")[0] === tag.split("-")[0]);
const wished = () => navigator.languages.map(ours).find((language) => language) ?? languages[0];

const sightline = (window.sightline ??= {});
sightline.language = chosen() ?? wished();

// Returns a sentence in the page's language; {name} in it is a place for values.name.
sightline.say = (sentence, values = {}) => {
  const texts = window.gradio_config?.i18n_translations?.[sightline.language] ?? {};
  return (texts[sentence] ?? sentence).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
};

// Fills in what `root` says: data-text is the text of an element, data-label its name, data-title
// what is shown when it is pointed at, data-placeholder what an empty field shows.
const ATTRIBUTES = { label: "aria-label", title: "title", placeholder: "placeholder" };
sightline.fill = (root) => {
  for (const node of root.querySelectorAll("[data-text]")) {
    const text = sightline.say(node.dataset.text);
    if (node.textContent !== text) node.textContent = text;
  }
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const node of root.querySelectorAll(`[data-${name}]`)) {
      const text = sightline.say(node.dataset[name]);
      if (node.getAttribute(attribute) !== text) node.setAttribute(attribute, text);
    }
  }
};

// Gradio translates its own words, and sets the document's language.
const speak = async () => {
  const { changeLocale } = await import(new URL(core, document.baseURI));
  changeLocale(sightline.language);
};

sightline.choose = async (language) => {
  const shared = location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Lax";
  document.cookie = `${cookie}=${language}; Path=/; Max-Age=31536000${shared}`;
  sightline.language = language;
  await speak();
  sightline.fill(document);
  document.dispatchEvent(new Event("sightline-language"));
};

speak();
