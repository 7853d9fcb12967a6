"""Keys and values of conversations, kept between decoding steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MIN_CAPACITY_TOKENS = 128
MAX_GROWTH_TOKENS = 8192


class KVCache:
    """Preallocated keys and values of every decoder layer; nothing is copied on append.

    A layer's storage is made on its first append, with that layer's dtype and device. It grows when
    it is full, to twice its size or by `MAX_GROWTH_TOKENS`, so a caller that knows the final length
    states it as ``capacity``.

    Attributes:
        length: tokens stored in every layer; advanced by the model, once per forward.
        rope_deltas: (B,) int64 or None, next position minus token count of what is stored.
    """

    def __init__(self, num_layers: int, capacity: int = 0) -> None:
        self.length = 0
        self.rope_deltas: Tensor | None = None
        self._capacity = max(capacity, MIN_CAPACITY_TOKENS)
        self._k: list[Tensor | None] = [None] * num_layers
        self._v: list[Tensor | None] = [None] * num_layers
        self._table: Tensor | None = None  # of `slots`, while the storage stays where it is
        self._room = 0  # tokens that every layer of it has room for

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values after the first ``length`` tokens; return all of them.

        Args:
            layer: index of the decoder layer.
            k: (B, K, T, D).
            v: (B, K, T, D).

        Returns:
            k, v: (B, K, length + T, D). Views of the storage, so valid until the next append.
            While gradients are recorded, stored tokens count as constants and new ones do not.
        """
        end = self.length + k.shape[2]
        past_k, past_v = self.reserve(layer, end, k)
        past_k[:, :, self.length : end] = k.detach()
        past_v[:, :, self.length : end] = v.detach()
        if self.length == 0:
            return k, v
        if k.requires_grad or v.requires_grad:
            old_k, old_v = past_k[:, :, : self.length], past_v[:, :, : self.length]
            return torch.cat((old_k, k), dim=2), torch.cat((old_v, v), dim=2)
        return past_k[:, :, :end], past_v[:, :, :end]

    def slots(self, rows: int, dtype: torch.dtype) -> list[tuple[int, int]] | None:
        """Make room for a token in every layer, to be stored by `model.native.decoder`.

        Args:
            rows: B.
            dtype: of the tokens.

        Returns:
            For each row the address of (layers, 3) int64, and ``length``: a layer's row begins at
            the addresses of its keys and of its values, and so many elements lie between two heads.
            None if a layer is still empty, or its storage is not such as the addresses suppose.
        """
        first = self._k[0]
        if first is None or first.dtype is not dtype or len(first) != rows:
            return None
        if self._table is None or self.length == self._room:
            if not all(x is not None and x.is_cpu for x in (*self._k, *self._v)):
                return None
            entries = []
            for layer, one in enumerate(self._k):
                assert one is not None
                k, v = self.reserve(layer, self.length + 1, one)
                step = k.stride(0) * k.element_size()
                entries.append(
                    [
                        (k.data_ptr() + row * step, v.data_ptr() + row * step, k.stride(1))
                        for row in range(rows)
                    ]
                )
            self._room = min(x.shape[2] for x in self._k if x is not None)
            table = torch.tensor(entries, device="cpu")  # a default device may be another one
            self._table = table.transpose(0, 1).contiguous()  # (B, layers, 3)
        stride = self._table[0].nbytes
        return [(self._table.data_ptr() + row * stride, self.length) for row in range(rows)]

    def reserve(self, layer: int, tokens: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return a layer's keys and values, made or grown as needed, to be written to.

        Args:
            layer: its index.
            tokens: that there is room for.
            like: (B, K, any, D), of the dtype and on the device of what is to be stored.

        Returns:
            k, v: (B, K, >= tokens, D) without gaps; valid until the next call.
        """
        k, v = self._k[layer], self._v[layer]
        if k is not None and v is not None and tokens <= k.shape[2]:
            return k, v
        while self._capacity < tokens:
            self._capacity += min(self._capacity, MAX_GROWTH_TOKENS)
        batch, heads, _, head_dim = like.shape
        shape = (batch, heads, self._capacity, head_dim)
        grown = []
        for old in (k, v):
            # an ordinary tensor even in inference mode, so that the cache can be used outside it
            with torch.inference_mode(False):
                new = torch.empty(shape, dtype=like.dtype, device=like.device)
            if old is not None:
                new[:, :, : self.length] = old[:, :, : self.length]
            grown.append(new)
        self._k[layer], self._v[layer] = grown
        self._table = None
        return grown[0], grown[1]

    def has_room_for(self, dtype: torch.dtype, heads: int, head_dim: int) -> bool:
        """Whether one conversation's keys (1, K, T, D) can be written to it in main memory."""
        kept, place = (dtype, 1, heads, head_dim), torch.device("cpu")
        return all(
            x is None or ((x.dtype, *x.shape[:2], x.shape[3]) == kept and x.device == place)
            for x in (*self._k, *self._v)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all storage, filled or not."""
        return sum(x.nbytes for x in (*self._k, *self._v) if x is not None)

    @property
    def filled_nbytes(self) -> int:
        """Bytes of the stored tokens."""
        storage = [x for x in (*self._k, *self._v) if x is not None]
        return sum(x[:, :, : self.length].nbytes for x in storage)

    def trim(self) -> None:
        """Give back the storage that no token fills; copies the rest, a layer at a time."""
        self._capacity = max(self.length, MIN_CAPACITY_TOKENS)
        for storage in (self._k, self._v):
            for layer, x in enumerate(storage):
                if x is not None and x.shape[2] > self.length:
                    self._table = None
                    with torch.inference_mode(False):
                        storage[layer] = x[:, :, : self.length].clone()

    def fork(self, length: int, capacity: int = 0) -> KVCache:
        """Return a cache of its own that holds a copy of the first ``length`` tokens.

        Raises:
            ValueError: there are not so many tokens.
        """
        self._check_length(length)
        copy = KVCache(len(self._k), max(length, capacity))
        for layer, (k, v) in enumerate(zip(self._k, self._v, strict=True)):
            if length and k is not None and v is not None:
                copy.append(layer, k[:, :, :length], v[:, :, :length])
        copy.length = length
        return copy

    def advance(self, tokens: int) -> None:
        """Count ``tokens`` that every layer has appended."""
        self.length += tokens

    def truncate(self, length: int) -> None:
        """Forget all tokens after the first ``length``."""
        self._check_length(length)
        self.length = length

    def _check_length(self, length: int) -> None:
        if not 0 <= length <= self.length:
            raise ValueError(f"the cache holds {self.length} tokens; it can't be cut to {length}")


class CacheBatch:
    """Caches of several conversations whose next tokens, one each, are computed together.

    Attributes:
        rows: each holds one conversation (B = 1) of any length.
    """

    def __init__(self, rows: Sequence[KVCache]) -> None:
        self.rows = tuple(rows)

    @property
    def length(self) -> int:
        """Tokens of the longest."""
        return max(cache.length for cache in self.rows)

    def slots(self, rows: int, dtype: torch.dtype) -> list[tuple[int, int]] | None:
        """As `KVCache.slots`, of B conversations."""
        slots = []
        for cache in self.rows:
            one = cache.slots(1, dtype)
            if one is None:
                return None
            slots += one
        return slots if len(slots) == rows else None

    def advance(self, tokens: int) -> None:
        """Count ``tokens`` that every layer of every row has appended."""
        for cache in self.rows:
            cache.advance(tokens)
