"""Numbers inside a tag or an argument: ``(10,20),(30,40)``, ``[[10, 20]]``, ``10 20 30 40``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from grounding.values import is_number, to_ascii, to_number

_TAG = re.compile(r"<[|/]{0,2}[A-Za-z_][A-Za-z_ ]{0,30}\|?>")
_INNERMOST = re.compile(r"[\[({<]([^\[\](){}<>]*)[\])}>]")
_SEPARATOR = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class NumberList:
    """Numbers between one pair of brackets, or all of them where there is none."""

    values: list[Any]
    start: int
    end: int


def number_lists(text: str) -> list[NumberList]:
    """Read the innermost lists of a short text, in order; offsets count from its start.

    Lists without any number are left out: a template, ``[x1, y1]``, or words.
    """
    text = to_ascii(text)
    if "<" in text:
        text = _TAG.sub(lambda tag: " " * len(tag[0]), text)
    lists = [(inner[1], *inner.span()) for inner in _INNERMOST.finditer(text)]
    if not lists:
        stripped = text.strip()
        start = text.find(stripped)
        lists = [(stripped, start, start + len(stripped))]
    found = []
    for inside, start, end in lists:
        values = [to_number(value) for value in _SEPARATOR.split(inside) if value]
        if any(is_number(value) for value in values):
            found.append(NumberList(values, start, end))
    return found


def pair_corners(lists: list[NumberList]) -> list[NumberList]:
    """Join ``(x0,y0),(x1,y1)`` to boxes; lists that are no pairs stay as they are."""
    if len(lists) < 2 or len(lists) % 2 or any(len(item.values) != 2 for item in lists):
        return lists
    return [
        NumberList(first.values + second.values, first.start, second.end)
        for first, second in zip(lists[::2], lists[1::2], strict=True)
    ]
