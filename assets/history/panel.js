// The list of kept conversations, and what can be done with them. Titles are text, never HTML.

const { texts } = props;
const say = (name, values = {}) => sightline.say(texts[name] ?? name, values);

const button = (text, click, attributes = {}) => make("button", { type: "button", click, ...attributes }, text);

// what stays; the page fills it in again where its language changes
const spoken = (tag, name) => make(tag, { "data-text": texts[name] }, say(name));

const count = make("span", { class: "count" });
const fold = button("", () => unfold(inside.hidden), {
  class: "fold",
  "aria-controls": "history-inside",
});
fold.append(spoken("span", "conversations"), " ", count);
const search = make("input", {
  type: "search",
  "data-placeholder": texts.search,
  "data-label": texts.search,
  input: () => find(),
});
const rows = make("ul", { "data-label": texts.conversations });
const empty = make("p", { class: "empty" });
const status = make("p", { class: "status", role: "status" });
const undo = make("div", { class: "undo" });
const file = make("input", { type: "file", accept: ".json,application/json", multiple: true, hidden: true, change: () => bringIn() });
const forget = make("input", { type: "checkbox", id: "history-forget", change: () => switchForget() });
const all = make("div", { class: "all" });
const inside = make(
  "div",
  { id: "history-inside", hidden: true },
  button(say("new"), () => startNew(), { class: "new", "data-text": texts.new }),
  search,
  rows,
  empty,
  undo,
  make(
    "div",
    { class: "ending" },
    all,
    make("label", { for: forget.id }, forget, " ", spoken("span", "forget")),
    spoken("small", "where"),
  ),
);
const panel = make("section", { id: "history-panel", "data-label": texts.conversations }, fold, status, inside, file);
element.replaceChildren(panel);
sightline.fill(element);

const tell = (text, isProblem = false) => {
  status.textContent = text;
  status.classList.toggle("problem", isProblem);
};

const FOLDED = "sightline.history";
const unfold = (on, remember = true) => {
  inside.hidden = !on;
  fold.setAttribute("aria-expanded", on);
  panel.classList.toggle("unfolded", on);
  if (remember) settings(localStorage, FOLDED, on ? "open" : "shut");
};

// What the list shows of each conversation: {id, title, changed_ms}.
const listed = new Map();
let found = null; // ids that the search has found; null without a search
let menu = ""; // the conversation whose menu is open
let renamed = ""; // the one whose name is being edited
let drawn = ""; // what the rows show
let offered = null; // whether there is something to export

const note = (entry) => {
  if (entry.is_deleted) listed.delete(entry.id);
  else listed.set(entry.id, { id: entry.id, title: entry.title, changed_ms: entry.changed_ms });
};
const list = (entry) => {
  if (!entry) return;
  note(entry);
  drawList();
};

const newestFirst = () => [...listed.values()].sort((a, b) => b.changed_ms - a.changed_ms);

const drawList = () => {
  const visible = newestFirst().filter(({ id }) => !found || found.has(id));
  count.textContent = listed.size ? `(${listed.size})` : "";
  // only what has changed: somebody may be about to press one of its buttons
  const looks = JSON.stringify([visible.map((row) => [row.id, row.title, when(row.changed_ms)]), menu, current]);
  if (!renamed && looks !== drawn) {
    rows.replaceChildren(...visible.map(drawRow));
    drawn = looks;
  }
  empty.textContent = !listed.size ? say(forgets() ? "none_kept" : "none") : visible.length ? "" : say("nothing_found");
  search.hidden = listed.size < 2 && !search.value;
  if (Boolean(listed.size) !== offered) all.replaceChildren(...drawAll());
  offered = Boolean(listed.size);
};

const when = (ms) => {
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday
    ? date.toLocaleTimeString(sightline.language, { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleDateString(sightline.language, { day: "numeric", month: "short", year: "numeric" });
};

const drawRow = ({ id, title, changed_ms }) => {
  const isCurrent = id === current;
  const row = make("li", { "data-id": id, class: isCurrent ? "current" : "" });
  const name = make("span", { class: "title", dir: "auto" }, title);
  const main = button("", () => openListed(id), { class: "open", title, "aria-current": String(isCurrent) });
  main.append(name, make("small", {}, when(changed_ms)));
  const more = button("⋯", () => toggleMenu(id), {
    class: "more",
    "aria-label": say("more", { title }),
    "aria-expanded": String(menu === id),
  });
  row.append(main, more);
  if (menu === id) row.append(drawMenu(id));
  return row;
};

const drawMenu = (id) => {
  const close = (work) => () => {
    menu = "";
    drawList();
    rowOf(id)?.querySelector(".more").focus();
    work();
  };
  const withEntry = (work) => () => inTurn(async () => work(await read(id)));
  return make(
    "div",
    { class: "menu", keydown: (event) => event.key === "Escape" && toggleMenu(id) },
    button(say("rename"), close(() => rename(id))),
    button(say("export_json"), close(withEntry((entry) => exportJson([entry])))),
    button(say("export_markdown"), close(withEntry(exportMarkdown))),
    button(say("delete"), close(() => drop([id]))),
  );
};

const rowOf = (id) => [...rows.children].find((row) => row.dataset.id === id);

const toggleMenu = (id) => {
  const wasOpen = menu === id;
  menu = wasOpen ? "" : id;
  drawList();
  rowOf(id)?.querySelector(wasOpen ? ".more" : ".menu button")?.focus();
};

const drawNaming = (id, title) => {
  const input = make("input", { type: "text", value: title, maxlength: MOST_TITLE, "aria-label": say("rename") });
  let isOver = false;
  const end = (isKept) => {
    if (isOver) return;
    isOver = true;
    renamed = drawn = "";
    const name = input.value.trim();
    drawList();
    if (isKept && name && name !== title) {
      inTurn(async () => list(await update(id, (entry) => entry && { ...entry, title: name, is_named: true })));
    }
    rowOf(id)?.querySelector(".open")?.focus();
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault(); // it would press what is focused next
    end(event.key === "Enter");
  });
  input.addEventListener("blur", () => end(true));
  return input;
};

const rename = (id) => {
  renamed = id;
  const { title } = listed.get(id);
  rowOf(id)?.replaceChildren(drawNaming(id, title));
  rowOf(id)?.querySelector("input")?.select();
};

const drawAll = () => {
  const made = [button(say("import"), () => file.click())];
  if (!listed.size) return made;
  made.push(
    button(say("export_all"), () => inTurn(async () => exportJson((await readAll()).filter((e) => !e.is_deleted)))),
    button(say("delete_all"), () => drop([...listed.keys()])),
  );
  return made;
};

const isNarrow = () => matchMedia("(max-width: 768px)").matches;

const openListed = (id) => {
  menu = "";
  if (isNarrow()) unfold(false);
  inTurn(() => open(id));
};

// The chat has a button for that, which knows what else is to be cleared.
const startNew = () => {
  if (isNarrow()) unfold(false);
  document.getElementById("new-conversation")?.click();
};

// A deleted conversation goes for good a little later, and at the latest when the page is next opened.
const UNDO_MS = 15_000;
let ending = 0;
const mark = async (ids, is_deleted) => {
  try {
    for (const id of ids) {
      const entry = await update(id, (before) => before && { ...before, is_deleted });
      if (entry) note(entry);
    }
  } finally {
    drawList();
  }
};
const drop = async (ids) => {
  await inTurn(async () => {
    await purge();
    await mark(ids, true);
  });
  if (ids.includes(current)) startNew();
  undo.replaceChildren(
    make("span", { role: "status" }, say(ids.length === 1 ? "deleted" : "deleted_many", { number: ids.length })),
    button(say("undo"), () => bringBack(ids)),
  );
  undo.querySelector("button").focus();
  clearTimeout(ending);
  ending = setTimeout(() => inTurn(purge), UNDO_MS);
};

const bringBack = (ids) =>
  inTurn(async () => {
    clearTimeout(ending);
    undo.replaceChildren();
    await mark(ids, false);
    rowOf(ids[0])?.querySelector(".open")?.focus();
  });

const purge = async () => {
  undo.replaceChildren();
  const gone = (await readAll()).filter((entry) => entry.is_deleted).map(({ id }) => id);
  if (gone.length) await remove(gone);
};

const bringIn = () =>
  inTurn(async () => {
    const [...given] = file.files;
    file.value = "";
    let number = 0;
    try {
      for (const one of given) number += await importJson(await one.text());
    } finally {
      await load();
    }
    tell(say(number === 1 ? "imported" : "imported_many", { number }));
  });

const switchForget = () => {
  settings(localStorage, FORGET, forget.checked ? "yes" : "");
  setCurrent(current);
};

// Among the titles and all that was written.
let wait = 0;
const find = () => {
  clearTimeout(wait);
  wait = setTimeout(async () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const entries = words.length ? await readAll() : [];
    const has = (entry) => {
      const told = entry.record.turns.flatMap((turn) => [
        turn.text,
        turn.answer,
        ...turn.attachments.map(({ name }) => name),
      ]);
      const text = [entry.title, ...told].join("\n").toLowerCase();
      return words.every((word) => text.includes(word));
    };
    found = words.length ? new Set(entries.filter(has).map(({ id }) => id)) : null;
    drawList();
  }, 150);
};

const load = async () => {
  const entries = await readAll();
  listed.clear();
  entries.forEach(note);
  drawList();
};

watch("value", () => take(props.value));
document.addEventListener("sightline-language", () => {
  if (!element.isConnected) return;
  drawn = "";
  offered = null;
  drawList();
});
// another tab may have changed something
document.addEventListener("visibilitychange", () => {
  if (element.isConnected && !document.hidden) inTurn(load);
});

forget.checked = forgets();
unfold(settings(localStorage, FOLDED) === "open" && !isNarrow(), false);
inTurn(async () => {
  try {
    await purge();
    await load();
  } catch {
    return tell(say("no_store"), true);
  }
  const id = settings(sessionStorage, CURRENT);
  if (id) await open(id, true);
});
