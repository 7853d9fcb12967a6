// What the page shows is kept while it grows, and comes back after the page was left.

const CURRENT = "sightline.conversation"; // in the tab
const FORGET = "sightline.forget"; // in the browser
const CANCEL_MS = 300;
const SETTLE_MS = 4_000;
const BEGIN_MS = 5_000;
const STOP_MS = 5_000;
const PREVIEW_MS = 10_000;

const settings = (storage, key, value) => {
  try {
    if (value === undefined) return storage.getItem(key) ?? "";
    if (value) storage.setItem(key, value);
    else storage.removeItem(key);
  } catch {
    // a browser that keeps nothing
  }
  return value ?? "";
};
const forgets = () => settings(localStorage, FORGET) === "yes";

// The conversation on the page; "" before its first question.
let current = "";
// Whether the server has shown it: one that cannot be opened is not on the page.
let isOnPage = false;
// Those that this tab has seen: an answer that ends late does not bring back what was left.
const seen = new Set();
const setCurrent = (id) => {
  isOnPage &&= id === current;
  current = id;
  if (id) seen.add(id);
  settings(sessionStorage, CURRENT, forgets() ? "" : id);
  drawList();
};

// One thing after the other, so that none overtakes what it builds on.
let last = Promise.resolve();
const inTurn = (work) => {
  last = last.then(work).catch((error) => tell(isFull(error) ? say("full") : String(error?.message ?? error), true));
  return last;
};

// Turns of both: another tab may have gone on with the same conversation.
const merge = (before, record) => {
  const turns = new Map((before?.record.turns ?? []).map((turn) => [turn.id, turn]));
  for (const turn of record.turns) turns.set(turn.id, turn);
  return { ...record, turns: [...turns.values()] };
};

const said = (record) => JSON.stringify(record?.turns.map(({ id, thinking, answer }) => [id, thinking, answer]));

const keep = async (record) => {
  if (!Array.isArray(record?.turns)) return;
  if (!record.turns.length) return setCurrent("");
  if (record.id !== current && !seen.has(record.id)) {
    // a server keeps no conversation for long that nobody is connected for
    if (current && isOnPage) tell(say("forgotten"), true);
    setCurrent(record.id);
  }
  if (record.id === current) isOnPage = true;
  if (forgets()) return;
  const now = Date.now();
  const entry = await update(record.id, (before) => {
    if (before?.is_deleted) return null;
    const merged = merge(before, record);
    const changed = said(merged) !== said(before?.record);
    return {
      id: record.id,
      title: before?.is_named ? before.title : record.title,
      is_named: before?.is_named ?? false,
      created_ms: before?.created_ms ?? now,
      changed_ms: changed ? now : before.changed_ms,
      is_deleted: false,
      record: merged,
      files: before?.files ?? {},
    };
  });
  list(entry);
  await keepFiles(entry);
};

// Keep the files that are not kept yet; what is said of one is said once.
const refused = new Set();
const keepFiles = async (entry) => {
  if (entry.is_deleted) return;
  for (const attached of attachmentsOf(entry.record)) {
    const { key, path } = attached;
    if (entry.files[key] || !path || refused.has(key)) continue;
    try {
      const file = await fetchFile(attached);
      await update(
        entry.id,
        (now) => now && !now.is_deleted && { ...now, files: { ...now.files, [key]: file.hash } },
        [file],
      );
    } catch (error) {
      refused.add(key);
      tell(isFull(error) ? say("full_file", attached) : error.message, true);
    }
  }
};

// Only the newest record of a conversation counts; each has all of it.
const records = new Map();
const take = (record) => {
  if (!record) return;
  // a copy: what Gradio gives is no plain object
  records.set(record.id, JSON.parse(JSON.stringify(record)));
  inTurn(keepTaken);
};
const keepTaken = async () => {
  const waiting = [...records.values()];
  records.clear();
  for (const newest of waiting) await keep(newest);
};

const once = (name) =>
  new Promise((resolve) => document.addEventListener(`sightline:${name}`, resolve, { once: true }));

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Raise an event of this component and wait for its end, of which Python tells, or for so long.
const ask = async (event, asked, ending, most_ms = 0) => {
  panel.asked = asked;
  const ended = once(ending);
  trigger(event);
  await Promise.race([ended, ...(most_ms ? [pause(most_ms)] : [])]);
};

// How often Gradio has told of answers: "asked" when one is asked for, "succeeded" and "over" once all
// of it is shown. Of one that is cancelled it tells at once, by "failed" and "over"; what had come of
// it until then is still shown afterwards, late in a busy browser, before another "failed".
const told = { asked: 0, succeeded: 0, failed: 0, over: 0 };
const isAnswering = () => told.asked > 2 * told.succeeded + told.failed - told.over;
let refreshed = 0; // how many that were cancelled are followed by the page as it is to be
const refresh = () => {
  const cancelled = told.over - told.succeeded;
  if (isAnswering() || refreshed >= cancelled || !element.isConnected) return;
  refreshed = cancelled;
  trigger("refresh");
};
for (const name of Object.keys(told)) {
  document.addEventListener(`sightline:${name}`, () => {
    told[name] += 1;
    setTimeout(refresh); // once both of a pair are counted
  });
}

const until = async (condition, most_ms) => {
  const most = Date.now() + most_ms;
  while (!condition() && Date.now() < most) await pause(50);
  return condition();
};

// End the answer that is being written, if one is, and let it be marked as stopped. Returns whether
// nothing of it can come any more. One after the other: an event that begins while another is
// cancelled may never hear of its end.
const leave = async () => {
  // one that has not reached the server yet cannot be cancelled
  await until(() => !isAnswering() || document.querySelector("#log [data-running]"), BEGIN_MS);
  trigger("cease");
  await pause(CANCEL_MS);
  const hasEnded = await until(() => !isAnswering(), STOP_MS);
  await ask("leave", null, "left", SETTLE_MS);
  return hasEnded;
};

const lock = (on) => {
  const prompt = document.getElementById("prompt");
  if (prompt) prompt.inert = on;
  panel.setAttribute("aria-busy", on);
};

// How often the page is being cleared, until the server has done so; a server that is lost never
// tells.
let clearing = 0;
document.addEventListener("sightline:clearing", () => (clearing += 1));
document.addEventListener("sightline:cleared", () => (clearing -= 1));
sightline.untilCleared = () => until(() => clearing <= 0, SETTLE_MS);

// A new conversation ends what is being opened, and an event that is ended may not tell.
let openings = 0; // counts on with each that begins, and with what ends it
document.addEventListener("sightline:clearing", () => {
  const ended = ++openings;
  lock(false);
  setTimeout(() => {
    if (openings === ended) document.dispatchEvent(new Event("sightline:restored"));
  }, SETTLE_MS);
});

// Let the page begin anew, with a conversation: nothing of before can come into it.
const beginWith = async (id) => {
  await keepTaken();
  settings(sessionStorage, CURRENT, id);
  location.reload();
  await new Promise(() => {}); // nothing follows here
};

// Put a kept conversation on the page: its text at once, its files as soon as they are opened. What
// is being answered there is stopped first.
const open = async (id, isFirst = false) => {
  let entry = await read(id);
  // files that were not kept yet when the page was left: the server still has them
  if (isFirst && entry && !entry.is_deleted) {
    await keepFiles(entry);
    entry = await read(id);
  }
  // the page may have been cleared before this was there
  if (isFirst && settings(sessionStorage, CURRENT) !== id) return;
  if (!entry || entry.is_deleted) return isFirst && setCurrent("");
  const mine = ++openings;
  lock(true);
  try {
    if (!isFirst && !(await leave())) await beginWith(id);
    if (openings !== mine) return;
    setCurrent(id);
    if (entry.hashes.length) {
      const asked = [{ record: entry.record, keys: Object.keys(entry.files) }, null];
      await ask("preview", asked, "previewed", PREVIEW_MS);
    }
    const { keys, files } = await sendFiles(entry, tell);
    tell("");
    if (openings === mine) await ask("restore", [{ record: entry.record, keys }, { text: "", files }], "restored");
  } finally {
    lock(false);
  }
};

const exportMarkdown = async (entry) => {
  const { keys, files } = await sendFiles(entry, tell);
  tell(say("writing"));
  await ask("write", [{ record: entry.record, keys }, { text: "", files }], "written");
  const { markdown, problem } = props.written ?? {};
  if (problem) throw new Error(problem);
  tell("");
  saveText(fileName(entry.title, ".md"), "text/markdown", markdown);
};
