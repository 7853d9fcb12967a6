"""The lists, objects and numbers of a model's text, and the characters they are written in.

No model text is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_DIGITS = 32

# Full-width forms mean the same as ASCII; one character for one, so that offsets stay true.
_FULLWIDTH = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {"【": "[", "】": "]", "〔": "[", "〕": "]", "、": ",", "\u3000": " ", "−": "-"}
)

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[\s\S])")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Bad:
    """Something that stands where a number should."""

    text: str


@dataclass(slots=True)
class Group:
    """A list in any brackets.

    Args:
        nested: taken out of an unfinished list of lists, which began at ``list_start``.
        key: of the object it is a value in, directly or through lists.
    """

    opener: str
    start: int
    end: int = -1
    items: list[Any] = field(default_factory=list)
    nested: bool = False
    list_start: int = -1
    key: str | None = None


@dataclass(slots=True)
class Object:
    """Keys and values in braces, in order; a key may come twice.

    Args:
        key: of the object it is a value in, directly or through lists.
        is_item: it stands in a list.
    """

    start: int
    end: int = -1
    entries: list[tuple[str, Any]] = field(default_factory=list)
    pending_key: str | None = None
    key: str | None = None
    is_item: bool = False


Container = Group | Object


def to_ascii(text: str) -> str:
    """Turn full-width brackets, commas, colons and digits into ASCII, keeping every offset."""
    return text if text.isascii() else text.translate(_FULLWIDTH)


def is_number(value: Any) -> bool:
    """Whether a value is a number; ``True`` and ``NaN`` are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def to_plain(value: Any) -> Any:
    """Turn scanned values into lists, dicts, strings and numbers."""
    if isinstance(value, Group):
        return [to_plain(item) for item in value.items]
    if isinstance(value, Object):
        return {key: to_plain(item) for key, item in value.entries}
    return value.text if isinstance(value, Bad) else value


def leaves(group: Group) -> Iterator[Group]:
    """Innermost lists of ``group`` in order, itself if it holds no list."""
    inner = [item for item in group.items if isinstance(item, Group)]
    if not inner:
        yield group
    for item in inner:
        yield from leaves(item)


def to_number(text: str) -> int | float | Bad:
    """Read a decimal number; digits without end are ``Bad`` (they would cost quadratic time)."""
    if len(text) > MAX_DIGITS:
        return Bad(text[:MAX_DIGITS] + "…")
    try:
        value = float(text)
    except ValueError:
        return Bad(text)
    return int(value) if text.lstrip("+-").isdigit() else value


def unescape(text: str) -> str:
    r"""Resolve ``\n``, ``\"``, ``\u5b57``; other backslashes (LaTeX, paths) stay as they are."""
    if "\\" not in text:
        return text

    def resolve(match: re.Match[str]) -> str:
        body = match[1]
        if len(body) == 5:
            return chr(int(body[1:], 16))
        return _ESCAPED.get(body, body if body in "\"'\\/" else match[0])

    # Two \u escapes may be halves of one character.
    return _ESCAPE.sub(resolve, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
