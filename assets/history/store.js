// Conversations and their files in this browser's IndexedDB. A file is kept once, by a hash of its
// content, for as long as a conversation has it.

const MOST_FILE_BYTES = 64 * 1024 * 1024;

let opened = null;
const database = () => {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("sightline", 1);
    request.onupgradeneeded = () => {
      const conversations = request.result.createObjectStore("conversations", { keyPath: "id" });
      conversations.createIndex("hashes", "hashes", { multiEntry: true });
      request.result.createObjectStore("files", { keyPath: "hash" });
    };
    request.onsuccess = () => {
      // another tab with a newer page: it goes first, and this one opens the store again
      request.result.onversionchange = () => {
        request.result.close();
        opened = null;
      };
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
  opened.catch(() => (opened = null));
  return opened;
};

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

// All of `work(conversations, files)` happens, or nothing of it. It may await the store only.
const within = async (mode, work) => {
  const transaction = (await database()).transaction(["conversations", "files"], mode);
  const ended = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new Error("The browser gave up."));
  });
  const stores = ["conversations", "files"].map((name) => transaction.objectStore(name));
  const work_done = work(...stores).catch((error) => {
    try {
      transaction.abort();
    } catch {
      // it has ended already
    }
    throw error;
  });
  const [value] = await Promise.all([work_done, ended]);
  return value;
};

const read = (id) => within("readonly", (conversations) => result(conversations.get(id)));
const readAll = () => within("readonly", (conversations) => result(conversations.getAll()));
const readFile = (hash) => within("readonly", (_, files) => result(files.get(hash)));

// Change a conversation: `change` gets what is kept, or undefined, and returns what to keep, or
// nothing to leave it. `added` are files that it now has: {hash, name, blob}. Returns what is kept
// then.
const update = (id, change, added = []) =>
  within("readwrite", async (conversations, files) => {
    const before = await result(conversations.get(id));
    const after = change(before);
    if (!after) return before;
    for (const file of added) await result(files.put(file));
    after.hashes = [...new Set(Object.values(after.files))];
    await result(conversations.put(after));
    return after;
  });

// Remove conversations, and the files that no other has.
const remove = (ids) =>
  within("readwrite", async (conversations, files) => {
    const hashes = new Set();
    for (const id of ids) {
      const entry = await result(conversations.get(id));
      entry?.hashes.forEach((hash) => hashes.add(hash));
      await result(conversations.delete(id));
    }
    for (const hash of hashes) {
      const users = await result(conversations.index("hashes").count(hash));
      if (!users) await result(files.delete(hash));
    }
  });

const isFull = (error) => error?.name === "QuotaExceededError";

const toHex = (bytes) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");

const newId = () => toHex(crypto.getRandomValues(new Uint8Array(16)));

// Only pages that are served securely, or from this machine, may compute hashes; elsewhere the same
// file is kept once for each conversation.
const hashOf = async (blob) =>
  crypto.subtle ? toHex(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())) : newId();
