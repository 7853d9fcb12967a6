"""Molmo's points: ``<point x="10.5" y="20.1" alt="a">a</point>`` and ``<points coords="...">``."""

from __future__ import annotations

import re

from grounding.readings import Findings, Reading
from grounding.values import Bad, to_number

_OPENING = re.compile(r"<(?:points?|tracks)\s(?P<attributes>(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>")
_BODY = re.compile(r"(?P<body>[^<>]{0,200})(?P<closing></(?:points?|tracks)>)?")
_ATTRIBUTE = re.compile(
    r"(?<![A-Za-z0-9_])(?P<name>x|y|alt|coords)(?P<number>[0-9]{0,4})\s?=\s?"
    r"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')"
)


def read_molmo(findings: Findings, text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Add the points of Molmo's tags in ``text[start:end]``; returns the spans of the tags."""
    spans = []
    for opening in _OPENING.finditer(text, start, end):
        xs: dict[str, tuple[str, int, int]] = {}
        ys: dict[str, tuple[str, int, int]] = {}
        label, coords = None, None
        for attribute in _ATTRIBUTE.finditer(text, *opening.span("attributes")):
            value = attribute["double"] if attribute["single"] is None else attribute["single"]
            if attribute["name"] == "alt":
                label = value.strip() or None
            elif attribute["name"] == "coords":
                coords = value
            else:
                axis = xs if attribute["name"] == "x" else ys
                axis.setdefault(attribute["number"], (value, *attribute.span()))
        body = _BODY.match(text, opening.end(), end)
        assert body is not None  # the pattern matches the empty text
        # Until it is closed, its text may still grow.
        finished = body.end() + (body["closing"] is None)
        label = label or body["body"].strip() or None
        for number, (x, x_start, _) in xs.items():
            if number in ys:
                y, _, y_end = ys[number]
                findings.readings.append(
                    Reading(
                        [to_number(x.strip()), to_number(y.strip())],
                        (x_start, y_end),
                        finished,
                        is_point=True,
                        label=label,
                        auto="percent",
                        is_named=True,
                    )
                )
        if coords is not None:
            _read_coords(findings, coords, opening.span("attributes"), finished, label)
        if xs or coords is not None:
            spans.append((opening.start(), body.end() if body["closing"] else opening.end()))
    return spans


def _read_coords(
    findings: Findings, coords: str, span: tuple[int, int], end: int, label: str | None
) -> None:
    """Read Molmo2's ``"frame id x y id x y; frame ..."``, thousandths."""
    for part in coords.split(";"):
        numbers = [to_number(value) for value in part.split()]
        if len(numbers) < 3 or isinstance(numbers[0], Bad):
            continue
        frame, values = float(numbers[0]), numbers[1:]
        step = 3 if len(values) % 3 == 0 else 2
        for i in range(0, len(values), step):
            findings.readings.append(
                Reading(
                    values[i : i + step][-2:],
                    span,
                    end,
                    is_point=True,
                    label=label,
                    place=("index", frame),
                    convention="norm1000",
                )
            )
