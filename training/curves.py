"""A log of training as a picture: one small panel for each figure, over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 4
PANEL_WIDTH, PANEL_HEIGHT = 300, 170  # pixels
MARGIN_LEFT, MARGIN_TOP, MARGIN_RIGHT, MARGIN_BOTTOM = 52, 26, 12, 22
GROUND, FRAME, INK, FAINT, LINE = "#ffffff", "#c8ccd4", "#2b303b", "#a9c3ea", "#1f5fbf"
BOUNDARY = "#d98a29"  # where a new phase begins
SMOOTHING = 0.85  # of a bold curve: weight of what came before
NOT_DRAWN = {"step", "seconds"}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    points: tuple[Point, ...]  # (step, value)
    last_step: int
    boundaries: tuple[int, ...]


def draw_curves(entries: Sequence[Mapping[str, Any]]) -> Image.Image:
    """Draw every number of a log over its steps, faint as it is and bold as a running mean.

    Args:
        entries: lines of a log; ``"step"`` is in each, ``"phase"`` says where to draw a boundary.
    """
    last_step = max((entry["step"] for entry in entries), default=1)
    boundaries = tuple(
        later["step"]
        for earlier, later in zip(entries, entries[1:], strict=False)
        if earlier["phase"] != later["phase"]
    )
    panels = [
        _Panel(name, points, last_step, boundaries) for name, points in _series(entries).items()
    ]
    rows = max(1, math.ceil(len(panels) / COLUMNS))
    picture = Image.new("RGB", (COLUMNS * PANEL_WIDTH, rows * PANEL_HEIGHT), GROUND)
    draw = ImageDraw.Draw(picture)
    for index, panel in enumerate(panels):
        row, column = divmod(index, COLUMNS)
        _draw_panel(draw, panel, column * PANEL_WIDTH, row * PANEL_HEIGHT)
    return picture


def _series(entries: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Point, ...]]:
    """Points of each number in the log, in the order in which the numbers first appear."""
    series: dict[str, list[Point]] = {}
    for entry in entries:
        for name, value in entry.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name not in NOT_DRAWN and is_number and math.isfinite(value):
                series.setdefault(name, []).append((entry["step"], float(value)))
    return {name: tuple(points) for name, points in series.items()}


def _draw_panel(draw: ImageDraw.ImageDraw, panel: _Panel, left: int, top: int) -> None:
    font = ImageFont.load_default(12)
    x0, y0 = left + MARGIN_LEFT, top + MARGIN_TOP
    x1, y1 = left + PANEL_WIDTH - MARGIN_RIGHT, top + PANEL_HEIGHT - MARGIN_BOTTOM
    values = [value for _, value in panel.points]
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0

    def place(step: float, value: float) -> Point:
        x = x0 + (x1 - x0) * step / max(1, panel.last_step)
        return x, y1 - (y1 - y0) * (value - low) / span

    draw.rectangle((x0, y0, x1, y1), outline=FRAME)
    for boundary in panel.boundaries:
        x, _ = place(boundary, low)
        draw.line((x, y0, x, y1), fill=BOUNDARY)
    _draw_line(draw, [place(*point) for point in panel.points], FAINT, 1)
    _draw_line(draw, [place(*point) for point in _smoothed(panel.points)], LINE, 2)
    draw.text((x0, top + 6), panel.title, fill=INK, font=font)
    draw.text((x1, top + 6), f"{values[-1]:.4g}", fill=LINE, font=font, anchor="ra")
    for value, y in ((high, y0), (low, y1)):
        draw.text((x0 - 5, y), f"{value:.3g}", fill=INK, font=font, anchor="rm")
    draw.text((x1, y1 + 4), f"{panel.last_step} steps", fill=INK, font=font, anchor="ra")


def _draw_line(draw: ImageDraw.ImageDraw, points: Sequence[Point], color: str, width: int) -> None:
    if len(points) == 1:
        x, y = points[0]
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=color)
    else:
        draw.line(list(points), fill=color, width=width)


def _smoothed(points: Sequence[Point]) -> list[Point]:
    """Return running means that begin at the first value."""
    mean = points[0][1]
    means = []
    for step, value in points:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        means.append((step, mean))
    return means
