"""What a reply says, once read: boxes, points, actions, and the texts around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grounding.geometry import Box, Point


@dataclass(frozen=True, slots=True)
class Action:
    """One step of an agent, under the name and with the arguments of its own language.

    ``target`` and ``end`` (of a drag) are pixels of the original image, ``None`` if not given.
    ``span``: [start, end) offsets of the whole call or object in the text it was read from.
    """

    type: str
    args: dict[str, Any]
    target: tuple[float, float] | None = None
    end: tuple[float, float] | None = None
    image_index: int = 0
    span: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Result:
    """A reply, read; everything in the order of the text."""

    boxes: list[Box] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    answer: str = ""
    thinking: str = ""
    notes: list[str] = field(default_factory=list)  # what was dropped or repaired, and why
