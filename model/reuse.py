"""What was computed and may be needed again, bounded in bytes; the least recently used goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from torch import Tensor

from model.cache import KVCache
from model.prompt import common_length

# Below, computing is as fast as looking for a copy.
MIN_SHARED_TOKENS = 16


class VisionCache:
    """Embeddings of images and videos, by the digest of what they show.

    Attributes:
        nbytes: of all that is kept; at most ``max_bytes``.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._entries: OrderedDict[int, Tensor] = OrderedDict()

    def get(self, digest: int) -> Tensor | None:
        """Return the (tokens, C) embeddings of a medium, or None."""
        if digest in self._entries:
            self._entries.move_to_end(digest)
        return self._entries.get(digest)

    def put(self, digest: int, embeddings: Tensor) -> None:
        """Keep embeddings, unless they alone exceed the bound."""
        if digest in self._entries or embeddings.nbytes > self.max_bytes:
            return
        while self.nbytes + embeddings.nbytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.nbytes -= oldest.nbytes
        self._entries[digest] = embeddings
        self.nbytes += embeddings.nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.nbytes = 0


class PrefixCache:
    """Keys and values of finished conversations, found by how they begin.

    Attributes:
        nbytes: of all that is kept; at most ``max_bytes``.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._entries: list[tuple[Tensor, KVCache]] = []  # least recently used first

    def longest(
        self, keys: Tensor, running: Iterable[tuple[Tensor, KVCache]]
    ) -> tuple[int, KVCache | None]:
        """Find who shares the longest beginning with ``keys``, stored or running.

        Args:
            keys: (T,) as `Prompt.keys`.
            running: keys and caches of conversations that are still computed.

        Returns:
            The number of shared tokens, 0 for none, and the cache whose first tokens they are.
        """
        best, found = 0, None
        for entry in (*self._entries, *running):
            shared = min(common_length(keys, entry[0]), entry[1].length)
            if shared > best:
                best, found = shared, entry
        if found is None or best < MIN_SHARED_TOKENS:
            return 0, None
        for index, entry in enumerate(self._entries):
            if entry is found:
                self._entries.append(self._entries.pop(index))
                break
        return best, found[1]

    def put(self, keys: Tensor, cache: KVCache) -> None:
        """Keep a conversation that has ended, in place of shorter ones that it begins with.

        Its cache is cut to what is stored. One that a kept one begins with is not kept again.
        """
        keys = keys[: cache.length]
        if cache.filled_nbytes > self.max_bytes or self.longest(keys, ())[0] == len(keys):
            return
        cache.trim()
        kept = []
        for entry in self._entries:
            if common_length(entry[0], keys) == len(entry[0]) <= len(keys):
                self.nbytes -= entry[1].nbytes
            else:
                kept.append(entry)
        self._entries = kept
        while self.nbytes + cache.nbytes > self.max_bytes:
            self.nbytes -= self._entries.pop(0)[1].nbytes
        self._entries.append((keys, cache))
        self.nbytes += cache.nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.nbytes = 0
