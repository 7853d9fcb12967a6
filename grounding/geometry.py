"""Boxes and points in image pixels, and the mappings from the numbers that models write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grounding.conventions import Size, get_convention


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned box in pixels of the original image; (x0, y0) top-left, x1 and y1 exclusive.

    ``span``: [start, end) offsets of its coordinates in the text it was read from.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    label: str | None = None
    image_index: int = 0
    score: float | None = None
    span: tuple[int, int] = (0, 0)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Corners (x0, y0, x1, y1) in pixels."""
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box in pixels: where a click goes."""
        return ((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)


@dataclass(frozen=True, slots=True)
class Point:
    """Position in pixels of the original image; ``span`` as in ``Box``."""

    x: float
    y: float
    label: str | None = None
    image_index: int = 0
    score: float | None = None
    span: tuple[int, int] = (0, 0)

    @property
    def xy(self) -> tuple[float, float]:
        """Position (x, y) in pixels."""
        return (self.x, self.y)


def to_pixels(
    norm_box: Sequence[float],
    width: float,
    height: float,
    *,
    convention: str = "glm",
    model_size: Size | None = None,
) -> Box:
    """Scale a model's box to pixels of the original ``width`` x ``height`` image.

    Nothing is rounded. Corners are sorted and clamped to the image: a box outside it has no area.

    Args:
        norm_box: four numbers in the model's own order: x0, y0, x1, y1, or y0, x0, y1, x1 where
            the convention is ``y_first``.
        convention: a key of ``CONVENTIONS``.
        model_size: (width, height) of the image the model saw; for ``"resized"`` only.
    """
    first, second, third, fourth = norm_box
    xa, ya = _to_xy((first, second), width, height, convention, model_size)
    xb, yb = _to_xy((third, fourth), width, height, convention, model_size)
    return Box(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))


def point_to_pixels(
    norm_point: Sequence[float],
    width: float,
    height: float,
    *,
    convention: str = "glm",
    model_size: Size | None = None,
) -> Point:
    """Scale a model's point to pixels of the original image; as ``to_pixels``."""
    return Point(*_to_xy(norm_point, width, height, convention, model_size))


def _to_xy(
    pair: Sequence[float], width: float, height: float, convention: str, model_size: Size | None
) -> tuple[float, float]:
    rule = get_convention(convention)
    span_x, span_y = rule.spans(width, height, model_size)
    y, x = pair if rule.y_first else reversed(pair)
    side_x, side_y = (max(width, height),) * 2 if rule.is_padded else (width, height)
    x = (x + rule.offset) / span_x * side_x - (side_x - width) / 2
    y = (y + rule.offset) / span_y * side_y - (side_y - height) / 2
    return min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))
