"""Where the tokens of many turns are when none of them is padding, and in groups of like length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# A group of turns is as wide as its longest; a shorter turn joins while it fills this share of it.
MIN_FILLED = 0.7


@dataclass(frozen=True, slots=True)
class TurnGroup:
    """Turns of like length, the same number of each screen, padded to the longest of them.

    Attributes:
        turns: (B, G) int64, which turns of each screen.
        tokens: as many as the longest has.
    """

    turns: Tensor
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class TurnLayout:
    """Rows of a batch: B prefixes of P tokens, then the real tokens of turns, screen by screen.

    Attributes:
        shape: B, T and L of the padded turns.
        prefix_tokens: P.
        lengths: (B, T) int64, real tokens of each turn.
        starts: (B, T) int64, the row of each turn's first token, not counting prefixes.
        groups: every turn once.
        group_rows: (B * G * tokens of all groups,) int64, the row of each of their tokens; that of
            some real token for padding.
        group_real: the same shape, bool, False for padding.
        grouped: (rows,) int64, which of ``group_rows`` each real token is.
    """

    shape: tuple[int, int, int]
    prefix_tokens: int
    lengths: Tensor
    starts: Tensor
    groups: tuple[TurnGroup, ...]
    group_rows: Tensor
    group_real: Tensor
    grouped: Tensor

    @classmethod
    def of(cls, lengths: Tensor, tokens: int, prefix_tokens: int) -> TurnLayout:
        """Lay out turns of these lengths.

        Args:
            lengths: (B, T) int64 on the CPU, each 0 .. ``tokens``.
            tokens: L, as wide as the turns are padded.
            prefix_tokens: P.

        Raises:
            ValueError: there is no real token, or a length is out of range.
        """
        if not bool(((lengths >= 0) & (lengths <= tokens)).all()) or not bool(lengths.any()):
            raise ValueError(f"lengths of turns must be 0 .. {tokens}, not all 0: {lengths}")
        ends = lengths.flatten().cumsum(0).view_as(lengths)
        starts = ends - lengths
        groups = _groups(lengths)
        places = [
            (lengths.gather(1, group.turns), starts.gather(1, group.turns)) for group in groups
        ]
        tokens_of = [torch.arange(group.tokens) for group in groups]
        real = [at < size[..., None] for at, (size, _) in zip(tokens_of, places, strict=True)]
        rows = [at + start[..., None] for at, (_, start) in zip(tokens_of, places, strict=True)]
        group_real = torch.cat([x.flatten() for x in real])
        group_rows = torch.cat([x.flatten() for x in rows]).where(group_real, torch.tensor(0))
        grouped = torch.empty(int(lengths.sum()), dtype=torch.int64)
        grouped[group_rows[group_real]] = group_real.nonzero()[:, 0]
        shape = (*lengths.shape, tokens)
        return cls(shape, prefix_tokens, lengths, starts, groups, group_rows, group_real, grouped)

    def to(self, device: torch.device) -> TurnLayout:
        """Return the same layout with its tensors on a device."""
        groups = tuple(TurnGroup(group.turns.to(device), group.tokens) for group in self.groups)
        tensors = (self.group_rows, self.group_real, self.grouped)
        return TurnLayout(
            self.shape,
            self.prefix_tokens,
            self.lengths.to(device),
            self.starts.to(device),
            groups,
            *(x.to(device) for x in tensors),
        )

    @property
    def is_real(self) -> Tensor:
        """(B, T, L) bool, False for padding."""
        tokens = torch.arange(self.shape[2], device=self.lengths.device)
        return tokens < self.lengths[..., None]

    def real(self, padded: Tensor) -> Tensor:
        """(B, T, L, ...) -> (rows, ...): what belongs to real tokens."""
        return padded[self.is_real]

    def rows_at(self, screen: Tensor, turn: Tensor, token: Tensor) -> Tensor:
        """Rows (n,) of tokens, each given by screen, turn and place in the turn, all (n,) int64."""
        return self.starts[screen, turn] + token

    def padded(self, rows: Tensor) -> Tensor:
        """(rows, C) -> (B, T, L, C), zeros for padding."""
        out = rows.new_zeros(*self.shape, *rows.shape[1:])
        return out.masked_scatter(self.is_real[..., None], rows)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B * P + rows, ...) -> (B, P, ...) of the prefixes and (rows, ...) of the turns."""
        tokens = self.shape[0] * self.prefix_tokens
        prefix, turns = x.split((tokens, len(x) - tokens))
        return prefix.unflatten(0, (self.shape[0], -1)), turns

    def into_groups(self, rows: Tensor) -> list[Tensor]:
        """(rows, ...) -> for each group (B, G, tokens, ...), arbitrary real rows for padding."""
        every = _Pick.apply(rows, self.group_rows, self.grouped, None)
        parts = every.split([group.turns.numel() * group.tokens for group in self.groups])
        return [
            part.unflatten(0, (*group.turns.shape, group.tokens))
            for part, group in zip(parts, self.groups, strict=True)
        ]

    def from_groups(self, groups: list[Tensor]) -> Tensor:
        """Undo `into_groups`; what stands in the place of padding is dropped."""
        every = torch.cat([group.flatten(0, 2) for group in groups])
        return _Pick.apply(every, self.grouped, self.group_rows, self.group_real)


def _groups(lengths: Tensor) -> tuple[TurnGroup, ...]:
    """Put each screen's longest turns together, then the next longest, and so on."""
    ranked, order = lengths.sort(dim=1, descending=True, stable=True)  # (B, T)
    longest = ranked.amax(0).tolist()
    groups = []
    first = 0
    for rank in range(1, len(longest) + 1):
        if rank < len(longest) and longest[rank] >= MIN_FILLED * longest[first]:
            continue
        if longest[first]:
            groups.append(TurnGroup(order[:, first:rank], longest[first]))
        first = rank
    return tuple(groups)


class _Pick(torch.autograd.Function):
    """``x[places]`` whose gradient is picked too: row ``back[i]`` of the results is row ``i``'s.

    Other results of the same row get no gradient that counts, and rows that are picked for nobody
    (``kept`` false) get none. Picking is several times as fast on a CPU as the general gradient of
    an index, which adds rows up.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, back: Tensor, kept: Tensor | None) -> Tensor:
        ctx.back, ctx.kept = back, kept
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        grad = grad.index_select(0, ctx.back)
        if ctx.kept is not None:
            grad = grad.masked_fill_(~ctx.kept.view(-1, *[1] * (grad.ndim - 1)), 0)
        return grad, None, None, None
