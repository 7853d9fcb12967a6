"""Which checkpoint tensor fills which slot of the model; strict, and before any weight is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from model.checkpoint.errors import CheckpointError
from model.checkpoint.names import Slot, expected_slots
from model.checkpoint.shards import FLOAT_DTYPES, Entry

# A wrong config.json can make all of a real checkpoint's 18 000 tensors wrong at once.
MAX_NAMES_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Match:
    """A checkpoint laid over a model.

    Attributes:
        reads: what to read and where to put it; together they fill the model exactly.
        copies: pairs of tensors of the checkpoint that must be equal, as the model shares them.
    """

    reads: list[tuple[Entry, Slot]]
    copies: list[tuple[str, Entry, str, Entry]]


@dataclass(slots=True)
class _Report:
    """Everything that doesn't fit, one line each."""

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    def raise_if_any(self, folder: Path) -> None:
        sections = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of the wrong shape or dtype": self.mismatched,
        }
        if not any(sections.values()):
            return
        lines = [f"the weights in {folder} do not fit its config.json"]
        for title, rows in sections.items():
            if rows:
                lines.append(f"{len(rows)} {title}:")
                lines += [f"  {row}" for row in rows[:MAX_NAMES_SHOWN]]
            if len(rows) > MAX_NAMES_SHOWN:
                lines.append(f"  and {len(rows) - MAX_NAMES_SHOWN} more")
        lines.append("use config.json and weights of the same checkpoint, completely downloaded")
        raise CheckpointError("\n".join(lines))


def match_checkpoint(
    folder: Path,
    entries: Mapping[str, Entry],
    tensors: Mapping[str, Tensor],
    aliases: Mapping[str, str],
    *,
    is_ignored: Callable[[str], bool],
) -> Match:
    """Lay the checkpoint's tensors over the model's.

    Args:
        folder: for messages.
        entries: the checkpoint's tensors by name.
        tensors: the model's tensors by name, see `names.model_tensors`.
        aliases: further names of tensors that two modules share.
        is_ignored: tells of an unexpected tensor whether to pass over it quietly.

    Raises:
        CheckpointError: naming every missing, unexpected and mis-shaped tensor (of each kind the
            first `MAX_NAMES_SHOWN`).
    """
    slots = expected_slots(tensors, entries)
    copies: list[tuple[str, Entry, str, Entry]] = []
    known = set(slots)
    for alias, first in aliases.items():
        if alias not in entries:
            continue
        known.add(alias)
        if first in entries:
            copies.append((alias, entries[alias], first, entries[first]))
        else:
            # writers that keep one of two shared tensors keep the one first in the alphabet
            slots[alias] = slots.pop(first)
    report = _Report(
        missing=[
            f"{name} {list(slot.shape)}" for name, slot in slots.items() if name not in entries
        ],
        unexpected=[
            f"{name} {list(entry.shape)}"
            for name, entry in sorted(entries.items())
            if name not in known and not is_ignored(name)
        ],
        mismatched=sorted(_mismatched(slots, entries, aliases)),
    )
    report.raise_if_any(folder)
    return Match([(entries[name], slot) for name, slot in slots.items()], copies)


def _mismatched(
    slots: Mapping[str, Slot], entries: Mapping[str, Entry], aliases: Mapping[str, str]
) -> Iterator[str]:
    shapes = {name: slot.shape for name, slot in slots.items()}
    shapes |= {alias: shapes[first] for alias, first in aliases.items() if first in shapes}
    for name in shapes.keys() & entries.keys():
        entry = entries[name]
        if entry.shape != shapes[name]:
            yield f"{name}: expected {list(shapes[name])}, found {list(entry.shape)}"
        elif entry.dtype not in FLOAT_DTYPES:
            yield f"{name}: expected one of {', '.join(FLOAT_DTYPES)}, found {entry.dtype}"
