"""Bare lists ``[[x0,y0,x1,y1], ...]`` in any brackets, in box tokens or in prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grounding.conventions import Size
from grounding.formats.shapes import as_number
from grounding.readings import Findings, Reading
from grounding.values import Bad, Group, is_number, leaves, to_ascii, to_number

# Shares of the coordinate range. Ascending lists of near or small numbers are data or citations:
# elements of half a percent of the screen are rare, lists of sources stay below a hundred.
_TINY_SIDE_IN_TOKENS = 0.005
_TINY_SIDE_IN_PROSE = 0.015
_SMALL_VALUE = 0.1
# What stands right before a list of data: "the scores are [640, 710, 820, 905]". Plurals only:
# "Price" and "Phone number" are also names of elements.
_DATA_BEFORE = re.compile(
    r"\b(?:prices|years|scores|values|numbers|integers|digits|counts|totals|amounts|sizes|ratings|"
    r"references|refs|pages|chapters|channels|colou?rs|weights|percentages|intervals|ranges|"
    r"salaries|sales|shape|array|sequence|matrix|vector|rgba?|version|temperatures|ports|ages|"
    r"dimensions|tuples|dates|times|steps|indices|ids|primes|squares)"
    r"\s{0,3}(?:are|is|were|was|of|from|in)?\s{0,3}[:=]?\s{0,3}$",
    re.IGNORECASE,
)
# A list of lists is a place more often; only mathematics says plainly that it is not.
_MATRIX_BEFORE = re.compile(
    r"\b(?:matrix|matrices|tensor|array|vectors?|intervals|shape)\b.{0,12}$", re.IGNORECASE
)
_CORNERS = re.compile(r"\(([0-9.]{1,9}),\s?([0-9.]{1,9})\),\(([0-9.]{1,9}),\s?([0-9.]{1,9})\)")
_CONTEXT_CHARACTERS = 40


def unquote_numbers(group: Group) -> None:
    """Turn numbers that a list holds as strings into numbers, in place."""
    for index, item in enumerate(group.items):
        if isinstance(item, Group):
            unquote_numbers(item)
        elif isinstance(item, str) and is_number(number := as_number(item)):
            group.items[index] = number


def read_list(
    findings: Findings, text: str, group: Group, *, ranges: Sequence[Size], in_tokens: bool
) -> None:
    """Add the boxes and points of one outermost list, if it is a coordinate list at all.

    Args:
        text: what ``group``'s offsets refer to.
        ranges: (right, bottom) values of the convention for each image.
        in_tokens: the list is the whole content of a pair of box tokens: meant as an answer.
    """
    inner = [item for item in group.items if isinstance(item, Group)]
    if inner and len(inner) < len(group.items):  # "(3, see [100, 200, 300, 400])"
        starts_with_lists = isinstance(group.items[0], Group)
        for item in inner:
            # As if the list had ended before what is no list.
            if starts_with_lists and not item.nested:
                item.nested, item.list_start = True, group.start
            read_list(findings, text, item, ranges=ranges, in_tokens=False)
        return
    if not inner and not group.nested:
        if _is_single_box(text, group, ranges, in_tokens) or _is_malformed_box(group, in_tokens):
            _add(findings, group, is_point=False)
        elif in_tokens and _is_single_point(group, ranges):
            _add(findings, group, is_point=True)
        return
    lists = list(leaves(group))
    if not in_tokens and (
        not any(_is_plain(leaf) and len(leaf.items) in (2, 4) for leaf in lists)
        or _MATRIX_BEFORE.search(_before(text, group.list_start if group.nested else group.start))
    ):
        return
    for leaf in lists:
        if leaf.items:
            _add(findings, leaf, is_point=len(leaf.items) == 2)


def read_pair(findings: Findings, group: Group, ranges: Sequence[Size]) -> None:
    """Add ``[x, y]`` or ``(x, y)`` that is the whole reply: a point of ShowUI, Kimi or UI-TARS."""
    if _is_single_point(group, ranges, openers="[("):
        _add(findings, group, is_point=True)


def read_corners(findings: Findings, text: str, start: int, end: int) -> None:
    """Add every ``(x0,y0),(x1,y1)``: what Qwen2-VL writes when its tokens are stripped."""
    for pair in _CORNERS.finditer(to_ascii(text[start:end])):
        values = [to_number(value) for value in pair.groups()]
        numbers = [value for value in values if not isinstance(value, Bad)]
        if len(numbers) == 4 and numbers[0] < numbers[2] and numbers[1] < numbers[3]:
            findings.readings.append(
                Reading(
                    list(numbers), (start + pair.start(), start + pair.end()), start + pair.end()
                )
            )


def _add(findings: Findings, leaf: Group, *, is_point: bool) -> None:
    span = (leaf.start, leaf.end)
    findings.readings.append(Reading(leaf.items, span, leaf.end, is_point=is_point))


def _is_plain(leaf: Group) -> bool:
    return bool(leaf.items) and all(is_number(item) for item in leaf.items)


def _is_malformed_box(group: Group, in_tokens: bool) -> bool:
    """Four values of which some are numbers: worth a note rather than silence."""
    numbers = sum(is_number(item) for item in group.items)
    bad = sum(item is None or isinstance(item, Bad) for item in group.items)
    return in_tokens and len(group.items) == 4 and numbers > 0 and bad > 0


def _is_single_box(text: str, group: Group, ranges: Sequence[Size], in_tokens: bool) -> bool:
    """Whether four numbers in one pair of brackets are a box rather than data.

    What is a box in prose is one between tokens, so that it stays one when the token closes.
    """
    if len(group.items) != 4 or not _is_plain(group):
        return False
    x0, y0, x1, y1 = group.items
    span = min(min(size) for size in ranges) if ranges else 1000
    is_ascending = x0 < y0 < x1 < y1
    narrow_side = min(x1 - x0, y1 - y0)
    if is_ascending and narrow_side < _TINY_SIDE_IN_TOKENS * span:
        return False
    if in_tokens:
        return True
    if any(not -span <= value <= 2 * span for value in group.items):
        return False  # years, prices, amounts
    if x1 <= x0 or y1 <= y0:
        return False
    if is_ascending and y1 < _SMALL_VALUE * span and narrow_side < _TINY_SIDE_IN_PROSE * span:
        return False
    return _DATA_BEFORE.search(_before(text, group.start)) is None


def _is_single_point(group: Group, ranges: Sequence[Size], openers: str = "[") -> bool:
    """``[x, y]`` between box tokens; ``(2, 5)`` there is mathematics."""
    if group.opener not in openers or len(group.items) != 2 or not _is_plain(group):
        return False
    spans = ranges[0] if ranges else (1000.0, 1000.0)
    return all(0 <= value <= span for value, span in zip(group.items, spans, strict=True))


def _before(text: str, start: int) -> str:
    return text[max(0, start - _CONTEXT_CHARACTERS) : start]
