"""What the readers of the formats find: numbers as written, not yet on any image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Reading:
    """Numbers that stand for a box or a point.

    Args:
        values: as written, in the model's order; whatever stands where a number should is ``Bad``.
        span: [start, end) of the coordinates in the text.
        end: where the object around them is finished: from there on nothing about them can change.
        image: index of the image it names, from zero.
        place: the image it names in another way, ("page" | "frame" | "image" | "time", number).
            "key": of a tracking object, a second or the number of a frame; "index": a second of a
            clip, or which image, from one.
        convention: of a syntax whose numbers count one thing only.
        auto: the convention that the syntax suggests; used where the caller's is ``"auto"``.
        is_named: every number has a name, so x comes first whatever the convention.
    """

    values: list[Any]
    span: tuple[int, int]
    end: int
    is_point: bool = False
    label: str | None = None
    score: float | None = None
    image: int | None = None
    place: tuple[str, float] | None = None
    convention: str | None = None
    auto: str | None = None
    is_named: bool = False


@dataclass(slots=True)
class ActionReading:
    """An agent's step; ``target`` and ``goal`` (the end of a drag) are boxes or points."""

    type: str
    args: dict[str, Any]
    span: tuple[int, int]
    target: Reading | None = None
    goal: Reading | None = None
    is_library: bool = False  # a call of a library for robots, at home in programs

    @property
    def end(self) -> int:
        """Where its call or object is finished."""
        return self.span[1]


@dataclass(slots=True)
class Findings:
    """What one stretch of text holds."""

    readings: list[Reading] = field(default_factory=list)
    actions: list[ActionReading] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
