// Files of conversations: from the page's server into the store, and back.

const keyOf = (turn, index) => `${turn.id}/${index}`;

const addressOf = (path) => "gradio_api/file=" + path.split("/").map(encodeURIComponent).join("/");

const attachmentsOf = (record) =>
  record.turns.flatMap((turn) =>
    turn.attachments.map((attached, index) => ({ ...attached, key: keyOf(turn, index) })),
  );

// Fetch a file that the server has; returns what the store takes. Throws an error with words.
const fetchFile = async ({ name, path }) => {
  const response = await fetch(addressOf(path));
  if (!response.ok) throw new Error(say("gone", { name }));
  if (Number(response.headers.get("content-length")) > MOST_FILE_BYTES) {
    await response.body?.cancel();
    throw new Error(say("large", { name, most: MOST_FILE_BYTES / 1024 / 1024 }));
  }
  const blob = await response.blob();
  if (blob.size > MOST_FILE_BYTES) {
    throw new Error(say("large", { name, most: MOST_FILE_BYTES / 1024 / 1024 }));
  }
  return { hash: await hashOf(blob), name, blob };
};

// Give the server the files of a conversation again; one that cannot be had is left out.
// Returns {keys, files}: what they are called, and what Gradio takes as files.
const sendFiles = async (entry, progress) => {
  const keys = [];
  const files = [];
  const sent = new Map();
  const wanted = attachmentsOf(entry.record);
  for (const [index, { key, name }] of wanted.entries()) {
    const hash = entry.files[key];
    if (!hash) continue;
    progress(say("sending", { number: index + 1, all: wanted.length }));
    const id = `${hash} ${name}`;
    if (!sent.has(id)) sent.set(id, await sendFile(hash, name));
    const file = sent.get(id);
    if (!file) continue;
    keys.push(key);
    files.push(file);
  }
  return { keys, files };
};

const sendFile = async (hash, name) => {
  const kept = await readFile(hash);
  if (!kept) return null;
  try {
    const { path } = await upload(new File([kept.blob], name, { type: kept.blob.type }));
    return { path, orig_name: name, meta: { _type: "gradio.FileData" } };
  } catch (error) {
    console.warn(error);
    return null;
  }
};

const toDataUrl = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

// A data URL is decoded here: the page's server need not allow that it is fetched.
const fromDataUrl = (url) => {
  const [, type, data] = /^data:([\w.+/-]*);base64,([A-Za-z0-9+/=]*)$/.exec(url) ?? [];
  if (data === undefined) throw new Error(say("no_export"));
  return new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], { type });
};
