"""A log of training as a picture: small panels of figures over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 4
PANEL_WIDTH, PANEL_HEIGHT = 330, 190  # pixels
MARGIN_LEFT, MARGIN_TOP, MARGIN_RIGHT, MARGIN_BOTTOM = 52, 26, 104, 22
GROUND, FRAME, INK = "#ffffff", "#c8ccd4", "#2b303b"
BOUNDARY = "#d98a29"  # where a new phase begins
# of the curves of a panel, in turn
COLORS = ("#1f5fbf", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#16808a", "#7f5539", "#e0559b")
SMOOTHING = 0.85  # of a curve: weight of what came before
NOT_DRAWN = {"step", "seconds"}
LEGEND_HEIGHT = 12  # pixels of a line

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    curves: dict[str, tuple[Point, ...]]  # (step, value) of each, smoothed
    last_step: int
    boundaries: tuple[int, ...]


def draw_curves(entries: Sequence[Mapping[str, Any]]) -> Image.Image:
    """Draw every number of a log over its steps, as running means.

    Numbers whose names begin alike, up to a ``/``, share a panel.

    Args:
        entries: lines of a log; each has a ``"step"`` and a ``"phase"``, whose change is marked.
    """
    last_step = max((entry["step"] for entry in entries), default=1)
    boundaries = tuple(
        later["step"]
        for earlier, later in zip(entries, entries[1:], strict=False)
        if earlier["phase"] != later["phase"]
    )
    groups: dict[str, dict[str, tuple[Point, ...]]] = {}
    for name, points in _series(entries).items():
        title, _, own = name.partition("/")
        # what is said of all tasks together shares the panel of the tasks
        groups.setdefault(title, {})[own or "all"] = _smoothed(points)
    rows = max(1, math.ceil(len(groups) / COLUMNS))
    picture = Image.new("RGB", (COLUMNS * PANEL_WIDTH, rows * PANEL_HEIGHT), GROUND)
    draw = ImageDraw.Draw(picture)
    for index, (title, curves) in enumerate(groups.items()):
        row, column = divmod(index, COLUMNS)
        panel = _Panel(title, curves, last_step, boundaries)
        _draw_panel(draw, panel, column * PANEL_WIDTH, row * PANEL_HEIGHT)
    return picture


def _series(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[Point]]:
    """Points of each number in the log, in the order in which the numbers first appear."""
    series: dict[str, list[Point]] = {}
    for entry in entries:
        for name, value in entry.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name not in NOT_DRAWN and is_number and math.isfinite(value):
                series.setdefault(name, []).append((entry["step"], float(value)))
    return series


def _draw_panel(draw: ImageDraw.ImageDraw, panel: _Panel, left: int, top: int) -> None:
    font, small = ImageFont.load_default(12), ImageFont.load_default(10)
    x0, y0 = left + MARGIN_LEFT, top + MARGIN_TOP
    x1, y1 = left + PANEL_WIDTH - MARGIN_RIGHT, top + PANEL_HEIGHT - MARGIN_BOTTOM
    values = [value for points in panel.curves.values() for _, value in points]
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0

    def place(step: float, value: float) -> Point:
        x = x0 + (x1 - x0) * step / max(1, panel.last_step)
        return x, y1 - (y1 - y0) * (value - low) / span

    draw.rectangle((x0, y0, x1, y1), outline=FRAME)
    for boundary in panel.boundaries:
        x, _ = place(boundary, low)
        draw.line((x, y0, x, y1), fill=BOUNDARY)
    for index, (name, points) in enumerate(panel.curves.items()):
        color = COLORS[index % len(COLORS)]
        _draw_line(draw, [place(*point) for point in points], color)
        last = f"{points[-1][1]:.3g}" + ("" if len(panel.curves) == 1 else f" {name}")
        draw.text((x1 + 5, y0 + index * LEGEND_HEIGHT), last, fill=color, font=small)
    draw.text((x0, top + 6), panel.title, fill=INK, font=font)
    for value, y in ((high, y0), (low, y1)):
        draw.text((x0 - 5, y), f"{value:.2g}", fill=INK, font=font, anchor="rm")
    draw.text((x1, y1 + 4), f"{panel.last_step} steps", fill=INK, font=small, anchor="ra")


def _draw_line(draw: ImageDraw.ImageDraw, points: Sequence[Point], color: str) -> None:
    if len(points) == 1:
        x, y = points[0]
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=color)
    else:
        draw.line(list(points), fill=color, width=2)


def _smoothed(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return running means that begin at the first value."""
    mean = points[0][1]
    means = []
    for step, value in points:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        means.append((step, mean))
    return tuple(means)
