"""What an answer points at, numbered through: boxes, then points, then actions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from grounding import Action, Result
from ui.language import say

Place: TypeAlias = tuple[float, float]  # x, y in pixels of the original image
Gesture: TypeAlias = Literal[
    "box",
    "point",
    "click",
    "double_click",
    "right_click",
    "middle_click",
    "hover",
    "long_press",
    "drag",
    "scroll",
    "swipe",
    "type",
    "keys",
    "other",
]

# Words in the name of an action -> what it does; the first that fits.
_GESTURES: tuple[tuple[str, Gesture], ...] = (
    ("drag", "drag"),
    ("scroll", "scroll"),
    ("swipe", "swipe"),
    ("type", "type"),
    ("input", "type"),
    ("key", "keys"),
    ("keyboard", "keys"),
    ("double", "double_click"),
    ("right", "right_click"),
    ("middle", "middle_click"),
    ("hover", "hover"),
    ("long", "long_press"),
    ("click", "click"),
    ("tap", "click"),
)
_TEXT_ARGUMENTS = ("content", "text", "keys", "key", "message")
_WORD = re.compile(r"[a-z]+")
DIRECTIONS: Mapping[str, tuple[int, int]] = {
    "up": (0, -1),
    "down": (0, 1),
    "left": (-1, 0),
    "right": (1, 0),
}
DEFAULT_STEPS = 5
KINDS: Mapping[Gesture, str] = {"box": "Box", "point": "Point"}


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that an answer points at.

    Attributes:
        number: its place among all of the answer, from 1; the page and the exports name it so.
        kind: "Box", "Point", or the action's own name.
        label: what the answer calls it; the arguments of an action; or "".
        box: x0, y0, x1, y1 in pixels of the original image, end exclusive.
        at: where a click goes, in the same pixels; None for an action that is about no place.
        end: where a drag ends.
        direction: where a scroll or a swipe goes, a key of ``DIRECTIONS``; else "".
        steps: how far a scroll goes, in notches of a wheel.
        text: what is typed, or the keys that are pressed.
        span: the characters of the answer that it was read from, end exclusive; empty if unknown.
    """

    number: int
    kind: str
    gesture: Gesture
    label: str = ""
    image_index: int = 0
    score: float | None = None
    box: tuple[float, float, float, float] | None = None
    at: Place | None = None
    end: Place | None = None
    direction: str = ""
    steps: int = DEFAULT_STEPS
    text: str = ""
    span: tuple[int, int] = (0, 0)


def list_targets(result: Result) -> tuple[Target, ...]:
    """Return all that was found, in the order of the table."""
    targets = [
        Target(
            number,
            KINDS["box"],
            "box",
            box.label or "",
            box.image_index,
            box.score,
            box=box.xyxy,
            at=box.center,
            span=box.span,
        )
        for number, box in enumerate(result.boxes, 1)
    ]
    targets += [
        Target(
            number,
            KINDS["point"],
            "point",
            point.label or "",
            point.image_index,
            point.score,
            at=point.xy,
            span=point.span,
        )
        for number, point in enumerate(result.points, len(targets) + 1)
    ]
    targets += [
        _of_action(number, action) for number, action in enumerate(result.actions, len(targets) + 1)
    ]
    return tuple(targets)


def _of_action(number: int, action: Action) -> Target:
    gesture = _gesture(action)
    direction = str(action.args.get("direction", "")).lower()
    steps = next((action.args[key] for key in ("step", "steps") if key in action.args), None)
    return Target(
        number,
        action.type,
        gesture,
        ", ".join(f"{name}={value!r}" for name, value in action.args.items()),
        action.image_index,
        at=action.target,
        end=action.end,
        direction=direction if direction in DIRECTIONS else "",
        steps=steps if isinstance(steps, int) and 0 < steps <= 100 else DEFAULT_STEPS,
        text=_text(action) if gesture in ("type", "keys") else "",
        span=action.span,
    )


def _gesture(action: Action) -> Gesture:
    words = _WORD.findall(action.type.lower())
    for word, gesture in _GESTURES:
        if word in words:
            # a swipe with a beginning and an end says more than a direction
            return "drag" if gesture == "swipe" and action.target and action.end else gesture
    return "other"


def _text(action: Action) -> str:
    value: Any = next((action.args[key] for key in _TEXT_ARGUMENTS if key in action.args), None)
    if value is None:
        # "keyboard_enter" has its key in its name
        return action.type.lower().partition("keyboard_")[2]
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def on_picture(targets: Sequence[Target], index: int) -> list[Target]:
    """Return those with a place in the picture ``index``."""
    return [target for target in targets if target.at is not None and target.image_index == index]


def say_kind(target: Target) -> str:
    """Return the kind for people; an action keeps the name that the model gives it."""
    return say(target.kind) if target.gesture in KINDS else target.kind


def show_score(score: float | None) -> str:
    """Return how sure the model is, 0 to 1, for people; "" if that is not known."""
    return f"{score * 100:.0f}\u00a0%" if score is not None else ""
