"""Reads an answer as far as it has come, and prepares what the page shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ui.conversation import Attached, Picture, Shown, Turn, draw_targets, read_turn
from ui.language import say, say_message
from ui.rendering.findings import to_table
from ui.rendering.linking import to_linked_markdown
from ui.rendering.media_links import find_mentions
from ui.rendering.overlay import to_html
from ui.rendering.preview import to_preview_html
from ui.targets.target import Target, list_targets


def mark(turn: Turn, pictures: Sequence[Picture]) -> Turn:
    """Return ``turn`` with the targets of an answer that is not complete yet."""
    targets = list_targets(read_turn(turn, pictures))
    placed = [target for target in targets if target.at is not None]
    overlay = to_html(pictures, placed, answer=turn.answer, is_complete=False) if placed else ""
    shown = Shown(
        _link(turn.answer, placed, pictures), overlay, preview=to_preview_html(turn.answer)
    )
    return replace(turn, targets=targets, shown=shown)


def mark_complete(turn: Turn, pictures: Sequence[Picture], notes: Sequence[str]) -> Turn:
    """Return ``turn`` with everything that its answer points at, and what it can be taken away as.

    Args:
        notes: what there is to say about the answer; what its reading brings up is added.
    """
    result = read_turn(turn, pictures)
    targets = list_targets(result)
    placed = [target for target in targets if target.at is not None]
    drawings = draw_targets(result, pictures)
    shown = Shown(
        _link(turn.answer, placed, pictures),
        to_html(pictures, targets, drawings, answer=turn.answer) if placed else "",
        drawings,
        to_table(targets, pictures, turn.convention),
        to_preview_html(turn.answer),
    )
    return replace(turn, targets=targets, shown=shown, notes=(*notes, *to_sentences(result.notes)))


def give_unnamed(turn: Turn, pictures: Sequence[Picture], index: int) -> Turn:
    """Return ``turn`` read again: what belongs to no picture by name belongs to this one."""
    before = to_sentences(read_turn(turn, pictures).notes)
    notes = [note for note in turn.notes if note not in before]
    return mark_complete(replace(turn, default_image=index), pictures, notes)


def has_unnamed(turn: Turn, pictures: Sequence[Picture]) -> bool:
    """Whether there is a choice of pictures for what the answer points at."""
    if len(pictures) < 2 or pictures[-1].is_earlier or not turn.targets:
        return False
    first, last = (
        read_turn(replace(turn, default_image=i), pictures) for i in (0, len(pictures) - 1)
    )
    return list_targets(first) != list_targets(last)


def _link(answer: str, placed: Sequence[Target], pictures: Sequence[Picture]) -> str:
    files: list[Attached] = []
    for picture in pictures:
        if picture.of is not None and not any(picture.of is file for file in files):
            files.append(picture.of)
    return to_linked_markdown(answer, placed, find_mentions(answer, files))


def to_sentences(notes: Sequence[str]) -> list[str]:
    """Return notes so that they can be read one after the other."""
    said = map(say_message, notes)
    ended = [
        note if note.endswith((".", "?", "。")) else say("{facts}.", facts=note) for note in said
    ]
    return [note[:1].upper() + note[1:] for note in ended]
