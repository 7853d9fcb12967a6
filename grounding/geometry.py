"""Boxes and points in image pixels, and the mappings from the numbers that models write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A model may overshoot an edge a little; beyond this share of the range the number means something
# else (the vendor's own note: values above 1000 were never normalised).
OVERSHOOT = 0.1


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned box in pixels of the original image; (x0, y0) top-left, x1 and y1 exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str | None = None
    image_index: int = 0
    score: float | None = None

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
    """Position in pixels of the original image."""

    x: float
    y: float
    label: str | None = None
    image_index: int = 0

    @property
    def xy(self) -> tuple[float, float]:
        """Position (x, y) in pixels."""
        return (self.x, self.y)


@dataclass(frozen=True, slots=True)
class Convention:
    """What the numbers of a model count.

    Args:
        span: the value at the far edge; ``None`` where it is the size of an image.
        of_model_image: with ``span=None``: the image the model saw, not the original one.
    """

    span: float | None
    of_model_image: bool = False

    def spans(
        self, width: float, height: float, model_size: tuple[float, float] | None
    ) -> tuple[float, float]:
        """Values that stand for the right and the bottom edge of a ``width`` x ``height`` image."""
        if self.span is not None:
            return self.span, self.span
        if not self.of_model_image:
            return width, height
        if model_size is None:
            raise ValueError(
                "convention 'resized' counts pixels of the image the model saw; "
                "give its size as model_size=(width, height)"
            )
        return model_size


CONVENTIONS: dict[str, Convention] = {
    "glm": Convention(1000),  # zai-org/GLM-V README: value / 1000 x image size
    "norm1000": Convention(1000),
    "norm999": Convention(999),
    "norm1": Convention(1),
    "percent": Convention(100),
    "pixel": Convention(None),
    "resized": Convention(None, of_model_image=True),
}


def get_convention(name: str) -> Convention:
    """Look up a convention; a ``ValueError`` names the known ones."""
    if name not in CONVENTIONS:
        raise ValueError(
            f"unknown coordinate convention {name!r}; known: {', '.join(sorted(CONVENTIONS))}"
        )
    return CONVENTIONS[name]


def _scale(value: float, span: float, side: float) -> float:
    return min(max(value / span * side, 0.0), side)


def to_pixels(
    norm_box: Sequence[float],
    width: float,
    height: float,
    *,
    convention: str = "glm",
    model_size: tuple[float, float] | None = None,
) -> Box:
    """Scale a model's box to pixels of the original ``width`` x ``height`` image.

    Nothing is rounded. Corners are sorted and clamped to the image: a box outside it has no area.

    Args:
        norm_box: four numbers x0, y0, x1, y1 in the model's convention.
        convention: a key of ``CONVENTIONS``.
        model_size: (width, height) of the image the model saw; for ``"resized"`` only.
    """
    span_x, span_y = get_convention(convention).spans(width, height, model_size)
    xa, ya, xb, yb = norm_box
    x0, x1 = sorted((_scale(xa, span_x, width), _scale(xb, span_x, width)))
    y0, y1 = sorted((_scale(ya, span_y, height), _scale(yb, span_y, height)))
    return Box(x0, y0, x1, y1)


def point_to_pixels(
    norm_point: Sequence[float],
    width: float,
    height: float,
    *,
    convention: str = "glm",
    model_size: tuple[float, float] | None = None,
) -> Point:
    """Scale a model's point (x, y) to pixels of the original image; as ``to_pixels``."""
    span_x, span_y = get_convention(convention).spans(width, height, model_size)
    x, y = norm_point
    return Point(_scale(x, span_x, width), _scale(y, span_y, height))
