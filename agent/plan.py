"""One instruction a step: a goal of several lines, each simple enough for a model that only finds.

The bundled model was trained to find what one sentence names ("Click on Save"), not to plan. So the
person writes the plan. What needs no look at the screen is written with a colon ("Type: Ada",
"Press: Enter", "Scroll: down", "Wait:", "Back:") and is done as it stands, without the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grounding import Action

_LITERAL = re.compile(r"(Type|Press|Scroll|Wait|Back)\s*:\s*(.*)", re.IGNORECASE)
_NUMBERED = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•])\s+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """A line of a plan; ``action`` is there if it needs no model."""

    text: str
    action: Action | None = None


def read_plan(goal: str) -> tuple[Instruction, ...]:
    """Return the instructions of a goal, one a line; numbers and dashes before them are dropped."""
    lines = [_NUMBERED.sub("", line, count=1).strip() for line in goal.splitlines()]
    return tuple(Instruction(line, _read_literal(line)) for line in lines if line)


def _read_literal(line: str) -> Action | None:
    match = _LITERAL.fullmatch(line)
    if match is None:
        return None
    name, text = match[1].lower(), match[2].strip()
    if name == "type":
        return Action("type", {"content": text})
    if name == "press":
        return Action("key", {"keys": text})
    if name == "scroll":
        return Action("scroll", {"direction": text.lower() or "down"})
    return Action("WAIT" if name == "wait" else "GoBack", {})
