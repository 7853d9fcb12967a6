"""Extractor: bare lists ``[[x0,y0,x1,y1], ...]`` in any brackets, in box tokens or in prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from grounding.placing import Placer, is_number
from grounding.values import Bad, Group, Object

# Shares of the coordinate range. Ascending lists of near or small numbers are data or citations:
# elements of half a percent of the screen are rare, lists of sources stay below a hundred.
_TINY_SIDE_IN_TOKENS = 0.005
_TINY_SIDE_IN_PROSE = 0.015
_SMALL_VALUE = 0.1
# What stands right before a list of data: "the scores are [640, 710, 820, 905]". Plurals only:
# "Price" and "Phone number" are also names of elements.
_DATA_BEFORE = re.compile(
    r"\b(?:prices|years|scores|values|numbers|integers|digits|counts|totals|amounts|sizes|ratings|"
    r"references|refs|pages|chapters|channels|colou?rs|weights|percentages|intervals|ranges|salaries|"
    r"sales|shape|array|sequence|matrix|vector|rgba?)"
    r"\s{0,3}(?:are|is|were|was|of|from|in)?\s{0,3}[:=]?\s{0,3}$",
    re.IGNORECASE,
)
_CONTEXT_CHARACTERS = 40
TAGS = ("<bbox>", "<box>", "<point>")  # what they hold is a place, whatever the numbers look like


def leaves(group: Group) -> Iterator[Group]:
    """Innermost lists of ``group`` in order, itself if it holds no list."""
    inner = [item for item in group.items if isinstance(item, Group)]
    if not inner:
        yield group
    for item in inner:
        yield from leaves(item)


def has_objects(group: Group) -> bool:
    """Whether an object stands anywhere in the list: then it is JSON, not a coordinate list."""
    return any(
        isinstance(item, Object) or (isinstance(item, Group) and has_objects(item))
        for item in group.items
    )


def add_lists(placer: Placer, text: str, group: Group, *, in_tokens: bool) -> None:
    """Add the boxes and points of one outermost list, if it is a coordinate list at all.

    Args:
        text: what ``group``'s offsets refer to.
        in_tokens: the list is the whole content of a pair of box tokens: meant as an answer.
    """
    inner = [item for item in group.items if isinstance(item, Group)]
    if inner and len(inner) < len(group.items):  # "(3, see [100, 200, 300, 400])"
        for item in inner:
            add_lists(placer, text, item, in_tokens=False)
        return
    is_tagged = group.opener in TAGS
    if not inner and not group.nested and not is_tagged:
        if _is_single_box(placer, text, group, in_tokens) or _is_malformed_box(group, in_tokens):
            placer.add_box(group.items, group.start, group.end)
        elif in_tokens and _is_single_point(placer, group):
            placer.add_point(group.items, group.start, group.end)
        return
    lists = list(leaves(group))
    if not in_tokens and not any(_is_plain(leaf) and len(leaf.items) in (2, 4) for leaf in lists):
        return
    for leaf in lists:
        if len(leaf.items) == 2:
            placer.add_point(leaf.items, leaf.start, leaf.end)
        elif leaf.items:
            placer.add_box(leaf.items, leaf.start, leaf.end)


def _is_plain(leaf: Group) -> bool:
    return bool(leaf.items) and all(is_number(item) for item in leaf.items)


def _is_malformed_box(group: Group, in_tokens: bool) -> bool:
    """Four values of which some are numbers: worth a note rather than silence."""
    numbers = sum(is_number(item) for item in group.items)
    bad = sum(item is None or isinstance(item, Bad) for item in group.items)
    return in_tokens and len(group.items) == 4 and numbers > 0 and bad > 0


def _is_single_box(placer: Placer, text: str, group: Group, in_tokens: bool) -> bool:
    """Whether four numbers in one pair of brackets are a box rather than data."""
    if len(group.items) != 4 or not _is_plain(group):
        return False
    x0, y0, x1, y1 = group.items
    span = min(placer.spans(0)) if placer.image_sizes else 1000
    ascending = x0 < y0 < x1 < y1
    narrow_side = min(x1 - x0, y1 - y0)
    if in_tokens:
        return not (ascending and narrow_side < _TINY_SIDE_IN_TOKENS * span)
    if any(not -span <= value <= 2 * span for value in group.items):
        return False  # years, prices, amounts
    if x1 <= x0 or y1 <= y0:
        return False
    if ascending and y1 < _SMALL_VALUE * span and narrow_side < _TINY_SIDE_IN_PROSE * span:
        return False
    return _DATA_BEFORE.search(_before(text, group.start)) is None


def _is_single_point(placer: Placer, group: Group) -> bool:
    """``[x, y]`` between box tokens; ``(2, 5)`` there is mathematics."""
    values: list[Any] = group.items
    if group.opener != "[" or len(values) != 2 or not _is_plain(group):
        return False
    spans = placer.spans(0) if placer.image_sizes else (1000.0, 1000.0)
    return all(0 <= value <= span for value, span in zip(values, spans, strict=True))


def _before(text: str, start: int) -> str:
    return text[max(0, start - _CONTEXT_CHARACTERS) : start]
