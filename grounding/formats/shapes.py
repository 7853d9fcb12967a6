"""What the values in detection JSON are: a label, a rectangle, the name of an image, a number."""

from __future__ import annotations

import re
from typing import Any

from grounding.formats.keys import (
    BOX_KEYS,
    CORNER_KEYS,
    DATA_KEYS,
    NOTES_KEYS,
    POINT_KEYS,
    SKIPPED_3D_KEYS,
    fields,
    fold,
)
from grounding.values import Bad, Group, Object, is_number, leaves, to_ascii, to_number

COORDINATE_KEYS = frozenset((*BOX_KEYS, *POINT_KEYS, *SKIPPED_3D_KEYS))
_CLOCK = re.compile(r"(?:([0-9]{1,2}):)?([0-9]{1,2}):([0-9]{2}(?:\.[0-9]{1,3})?)")
_NUMBER_AT_END = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s?(?:s|sec|seconds?)?$")


def has_objects(group: Group) -> bool:
    """Whether an object stands anywhere in the list: then it is JSON, not a coordinate list."""
    return any(
        isinstance(item, Object) or (isinstance(item, Group) and has_objects(item))
        for item in group.items
    )


def read_place(kind: str, value: Any) -> tuple[str, float] | None:
    """Read "Image 2", 2, "0:12" or "12 s" beside a box."""
    if is_number(value):
        return (kind, float(value)) if value or kind != "image" else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    text = to_ascii(value).strip().lower()
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = clock.groups(default="0")
        return "time", int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    number = _NUMBER_AT_END.search(text)
    return (kind, float(number[1])) if number is not None else None


def is_label_to_box(node: Object) -> bool:
    """Whether an object maps free names to boxes: ``{"Save": [x0,y0,x1,y1], ...}``."""
    return bool(node.entries) and all(
        isinstance(value, Group)
        and bool(value.items)
        and fold(key) not in DATA_KEYS
        and fold(key) not in COORDINATE_KEYS
        and fold(key) not in NOTES_KEYS
        and all(
            len(leaf.items) == 4 and all(is_number(item) for item in leaf.items)
            for leaf in leaves(value)
        )
        for key, value in node.entries
    )


def has_place(node: Object) -> bool:
    """Whether an object itself has a box or a point, so that its key may be their label."""
    known = fields(node)
    return any(key in COORDINATE_KEYS for key in known) or any(
        all(key in known for key in keys) for keys, _ in CORNER_KEYS
    )


def is_rectangle(value: Any) -> bool:
    """Whether a list is four numbers: two may be a position on the globe."""
    return isinstance(value, Group) and all(
        len(leaf.items) == 4 and all(is_number(item) for item in leaf.items)
        for leaf in leaves(value)
    )


def is_text(value: Any) -> bool:
    """Whether a value can be a label."""
    return isinstance(value, str | Bad) or is_number(value)


def as_number(value: Any) -> Any:
    """Read numbers that were written as strings; anything else stays what it is."""
    if isinstance(value, str):
        text = to_ascii(value).strip()
        digits = text.lstrip("+-").replace(".", "", 1)
        return to_number(text) if digits.isascii() and digits.isdigit() else Bad(value)
    return value
