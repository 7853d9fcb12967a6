"""The language of GLM's web agent: ``Click [3]``, ``Type [2]; [text]``, ``ANSWER; <content>...``.

Its numbers are those of marked elements, not coordinates (zai-org/GLM-V,
examples/gui-agent/glm-45v/agent.md, after WebVoyager).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agent.marks import Mark
from grounding import Action

_LABEL = r"\[?\s*(?P<label>\d{1,4}|WINDOW)\s*\]?"
_ACTIONS = (
    ("Click", re.compile(rf"Click\s*:?\s*{_LABEL}", re.IGNORECASE)),
    ("Type", re.compile(rf"Type\s*:?\s*{_LABEL}\s*;?\s*(?P<text>[^\n]+)", re.IGNORECASE)),
    (
        "Scroll",
        re.compile(rf"Scroll\s*:?\s*{_LABEL}\s*;?\s*\[?(?P<direction>up|down)\]?", re.IGNORECASE),
    ),
    ("Key", re.compile(r"Key\s*[;:]?\s*\[?(?P<keys>\w+)\]?", re.IGNORECASE)),
    ("ANSWER;", re.compile(r"ANSWER\s*[;:]\s*(?P<text>.+)", re.IGNORECASE | re.DOTALL)),
    ("GoBack", re.compile(r"Go\s?Back\b", re.IGNORECASE)),
    ("Wait", re.compile(r"Wait\b", re.IGNORECASE)),
    ("Bing", re.compile(r"Bing\b", re.IGNORECASE)),
)
_CONTENT = re.compile(r"<content>(.*?)(?:</content>|$)", re.DOTALL)


def read_web_action(text: str, marks: Sequence[Mark]) -> Action | None:
    """Read the one action that a text begins with; None if it begins with none.

    The action's target is the middle of the element that it names, if ``marks`` has it.
    """
    text = text.strip().lstrip("*`- ")
    for name, pattern in _ACTIONS:
        if match := pattern.match(text):
            return _build(name, match.groupdict(), marks)
    return None


def _build(name: str, found: dict[str, str], marks: Sequence[Mark]) -> Action:
    args: dict[str, Any] = {}
    target = None
    if "label" in found:
        label = found["label"]
        args["label"] = int(label) if label.isdigit() else "WINDOW"
        if label.isdigit() and int(label) < len(marks):
            target = marks[int(label)].center
    if "text" in found:
        args["text"] = _unwrap(found["text"])
    for key in ("direction", "keys"):
        if key in found:
            args[key] = found[key].lower() if key == "direction" else found[key]
    return Action(name, args, target)


def _unwrap(text: str) -> str:
    content = _CONTENT.search(text)
    if content:
        return content[1].strip()
    text = text.strip()
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text
