"""Places as tokens of the vocabulary, whose numbers count one thing only.

PaliGemma (``<loc0123>`` x4, label behind), Florence-2 (``label<loc_12>`` x4) and Kosmos-2
(``<phrase>label</phrase><object><patch_index_0044><patch_index_0863></object>``).
"""

from __future__ import annotations

import re
from typing import Any

from grounding.readings import Findings, Reading
from grounding.values import Bad

_PALIGEMMA = re.compile(
    r"(?P<places>(?:<loc[0-9]{4}>\s?)+)(?:<seg[0-9]{3}>\s?)*(?P<label>[^<>;\n]{0,200})"
)
_FLORENCE = re.compile(r"(?:<loc_[0-9]{1,4}>)+")
_FLORENCE_OTHER = re.compile(r"</?s>|<pad>|\n")
_KOSMOS = re.compile(
    r"(?:<phrase>(?P<label>[^<>]{0,200})</phrase>\s?)?"
    r"<object>(?P<places>(?:<patch_index_[0-9]{4}>|</delimiter_of_multi_objects/>)+)</object>"
)
_WHOLE_TAG = re.compile(r"<[^<>]{0,40}>")
_NUMBER = re.compile(r"[0-9]+")
_KOSMOS_CELLS = 32  # in a row; indices count row by row


def read_location_tokens(
    findings: Findings, text: str, start: int, end: int
) -> list[tuple[int, int]]:
    """Add the boxes and points of location tokens in ``text[start:end]``; returns their spans."""
    spans: list[tuple[int, int]] = []
    if text.find("<loc", start, end) >= 0:
        spans += _read_paligemma(findings, text, start, end)
        spans += _read_florence(findings, text, start, end)
    if text.find("<patch_index_", start, end) >= 0:
        spans += _read_kosmos(findings, text, start, end)
    return spans


def _read_paligemma(findings: Findings, text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    for match in _PALIGEMMA.finditer(text, start, end):
        values = [int(number) for number in _NUMBER.findall(match["places"])]
        step = 4 if len(values) % 4 == 0 else len(values)
        for i in range(0, len(values), step):
            findings.readings.append(
                Reading(
                    values[i : i + step],
                    match.span("places"),
                    _finished(text, match.end(), end, ";\n"),
                    is_point=step == 2,
                    label=match["label"].strip() or None,
                    convention="paligemma",
                )
            )
        spans.append(match.span())
    return spans


def _read_florence(findings: Findings, text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    label_start = start
    for match in _FLORENCE.finditer(text, start, end):
        label = _FLORENCE_OTHER.split(text[label_start : match.start()])[-1].strip()
        values = [int(number) for number in _NUMBER.findall(match[0])]
        # Four numbers are a box; more are the corners of a quadrangle or a polygon.
        step = 2 if len(values) > 4 and len(values) % 2 == 0 else len(values)
        for i in range(0, len(values), step):
            findings.readings.append(
                Reading(
                    values[i : i + step],
                    match.span(),
                    _finished(text, match.end(), end, ""),
                    is_point=step == 2,
                    label=label or None,
                    convention="florence2",
                )
            )
        spans.append(match.span())
        label_start = match.end()
    return spans


def _finished(text: str, position: int, end: int, closers: str) -> int:
    """Return where what ends at ``position`` can grow no more; past the text: it still can.

    One more token would make a box a polygon, one more word another label.
    """
    if position == end:
        return end if end < len(text) else end + 1
    following = text[position]
    if following == "<":
        tag = _WHOLE_TAG.match(text, position, end)
        return len(text) + 1 if tag is None else tag.end()
    is_closed = not closers or following in closers
    return position + 1 if is_closed else len(text) + 1


def _read_kosmos(findings: Findings, text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    for match in _KOSMOS.finditer(text, start, end):
        corners = [_cell(int(number)) for number in _NUMBER.findall(match["places"])]
        for i in range(0, len(corners), 2):
            values = [value for corner in corners[i : i + 2] for value in corner]
            findings.readings.append(
                Reading(
                    values,
                    match.span("places"),
                    match.end(),
                    label=(match["label"] or "").strip() or None,
                    convention="kosmos2",
                    is_point=len(values) == 2,
                )
            )
        spans.append(match.span())
    return spans


def _cell(index: int) -> list[Any]:
    """Column and row of a cell of the grid."""
    if index >= _KOSMOS_CELLS**2:
        return [Bad(f"cell {index}")] * 2
    return [index % _KOSMOS_CELLS, index // _KOSMOS_CELLS]
