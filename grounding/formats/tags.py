"""Boxes in tags: ``<ref>label</ref><box>(x0,y0),(x1,y1)</box>`` and its many spellings.

Qwen-VL, Qwen2-VL, OS-Atlas, InternVL, All-Seeing, MiniCPM-V, DeepSeek-VL2 and -OCR, UI-TARS and
Doubao (``<point>x y</point>``, ``<bbox>``), GLM (``<bbox>``).
"""

from __future__ import annotations

import re

from grounding.formats.numbers import number_lists, pair_corners
from grounding.readings import Findings, Reading

_TAG = re.compile(
    r"<\|?(?P<close>/)?(?:(?P<label>ref|p|phrase)|(?P<place>box|quad|bbox|point|det))\|?>"
    r"|<\|(?:(?P<label2>object_ref)|(?P<place2>box|quad))_(?:start|(?P<close2>end))\|>"
)
_WORD = re.compile(r"\w")


def read_tags(findings: Findings, text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Add the boxes and points in tags in ``text[start:end]``; returns the spans of the tags."""
    spans: list[tuple[int, int]] = []
    label: str | None = None
    label_start: int | None = None
    opening: re.Match[str] | None = None
    first = last = start  # where the tags that belong together begin, and the last one ends
    for tag in _TAG.finditer(text, start, end):
        closes = tag["close"] is not None or tag["close2"] is not None
        if tag["label"] or tag["label2"]:
            if not closes:
                label, label_start, first = None, tag.end(), tag.start()
            elif label_start is not None:
                label, label_start = text[label_start : tag.start()].strip() or None, None
                last = tag.end()
        elif not closes:
            # A label holds for the boxes right behind it.
            if label is not None and _WORD.search(text, last, tag.start()):
                label = None
            if label is None:
                first = tag.start()
            opening = tag
        elif opening is not None:
            if _read_content(findings, text, opening, tag, label):
                spans.append((first, tag.end()))
            last = first = tag.end()
            opening = None
    if opening is not None:
        findings.notes.append("the text ends inside a tag; it was not used")
        spans.append((opening.start(), end))
    return spans


def _read_content(
    findings: Findings,
    text: str,
    opening: re.Match[str],
    closing: re.Match[str],
    label: str | None,
) -> bool:
    """Add what stands between two tags; ``False``: no numbers, so something else."""
    kind = opening["place"] or opening["place2"]
    lists = number_lists(text[opening.end() : closing.start()])
    if kind in ("box", "bbox", "det"):
        lists = pair_corners(lists)
    for item in lists:
        is_pairs = kind in ("quad", "point") and len(item.values) % 2 == 0
        step = 2 if is_pairs else len(item.values)
        for i in range(0, len(item.values), step):
            values = item.values[i : i + step]
            findings.readings.append(
                Reading(
                    values,
                    (opening.end() + item.start, opening.end() + item.end),
                    closing.end(),
                    is_point=len(values) == 2,
                    label=label,
                    auto="norm999" if kind == "det" else "norm1000",
                )
            )
    return bool(lists)
