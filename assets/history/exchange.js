// Conversations as files: JSON with everything in it, to be imported elsewhere; Markdown to read.

const FORMAT = "sightline-conversations";
const FORMAT_VERSION = 1;
const MOST_TITLE = 200;

const fileName = (title, ending) =>
  (title.replace(/[^\p{L}\p{N} _-]+/gu, "").trim().slice(0, 60) || "conversation") + ending;

const exportJson = async (entries) => {
  const files = {};
  for (const hash of new Set(entries.flatMap((entry) => entry.hashes))) {
    const kept = await readFile(hash);
    if (kept) files[hash] = { name: kept.name, data: await toDataUrl(kept.blob) };
  }
  const conversations = entries.map(({ title, created_ms, changed_ms, record, files }) => ({
    title,
    created_ms,
    changed_ms,
    record,
    files,
  }));
  const text = JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, conversations, files });
  const name = entries.length === 1 ? entries[0].title : say("conversations");
  saveText(fileName(name, ".json"), "application/json", text);
};

const isObject = (value) => Boolean(value) && typeof value === "object" && !Array.isArray(value);
const isText = (value) => typeof value === "string";

// Whether it can be listed and searched; the server checks the rest when it is opened.
const isRecord = (record) =>
  isObject(record) &&
  isText(record.id) &&
  Array.isArray(record.turns) &&
  record.turns.length > 0 &&
  record.turns.every(
    (turn) =>
      isObject(turn) &&
      [turn.id, turn.before, turn.text, turn.answer].every(isText) &&
      Array.isArray(turn.attachments) &&
      turn.attachments.every((attached) => isObject(attached) && isText(attached.name)),
  );

const parseExport = (text) => {
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error(say("no_export"));
  }
  if (!isObject(given) || given.format !== FORMAT) throw new Error(say("no_export"));
  if (given.version > FORMAT_VERSION) throw new Error(say("newer"));
  const { conversations, files } = given;
  const fits =
    Array.isArray(conversations) &&
    isObject(files) &&
    conversations.every((entry) => isObject(entry) && isObject(entry.files) && isRecord(entry.record));
  if (!fits) throw new Error(say("damaged"));
  return { conversations, files };
};

// Keep what an exported file has; returns how many conversations. One that is here already comes in
// as a copy.
const importJson = async (text) => {
  const { conversations, files } = parseExport(text);
  const kept = new Map();
  for (const [key, file] of Object.entries(files)) {
    if (!isObject(file) || !isText(file.data)) throw new Error(say("damaged"));
    const blob = fromDataUrl(file.data);
    kept.set(key, { hash: await hashOf(blob), name: String(file.name), blob });
  }
  for (const { title, created_ms, changed_ms, record, files } of conversations) {
    const id = (await read(record.id)) || !/^[0-9a-f]{32}$/.test(record.id) ? newId() : record.id;
    const own = Object.entries(files).filter(([, key]) => kept.has(key));
    const entry = {
      id,
      title: String(title ?? "").slice(0, MOST_TITLE) || say("untitled"),
      is_named: true,
      created_ms: Number(created_ms) || Date.now(),
      changed_ms: Number(changed_ms) || Date.now(),
      is_deleted: false,
      record: { ...record, id },
      files: Object.fromEntries(own.map(([key, name]) => [key, kept.get(name).hash])),
    };
    await update(id, () => entry, own.map(([, key]) => kept.get(key)));
  }
  return conversations.length;
};
