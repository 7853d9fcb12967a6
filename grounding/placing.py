"""From the numbers of a reply to pixels: the right image, the edges, and a note on every repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grounding.conventions import OVERSHOOT, get_convention
from grounding.geometry import Box, Point, point_to_pixels, to_pixels
from grounding.places import Place, PlaceNames
from grounding.result import Result
from grounding.values import Bad

_SHOWN_VALUES = 8


class Placer:
    """Collects what the extractors find into a ``Result``, in pixels of the original images."""

    def __init__(
        self,
        result: Result,
        text: str,
        image_sizes: Sequence[tuple[float, float]],
        convention: str,
        model_sizes: Sequence[tuple[float, float] | None],
        *,
        places: Sequence[Place] | None = None,
        default_image: int | None = None,
    ) -> None:
        self.result = result
        self.image_sizes = image_sizes
        self.convention = convention
        self.model_sizes = model_sizes
        self.names = PlaceNames(text, len(image_sizes), places)
        self.default_image = default_image
        self.seen: set[tuple[Any, ...]] = set()
        self.duplicates = 0
        self.found = 0  # coordinates met, dropped ones included

    def note(self, text: str) -> None:
        if text not in self.result.notes:
            self.result.notes.append(text)

    def spans(self, image_index: int) -> tuple[float, float]:
        """Values of the right and the bottom edge of an image in the current convention."""
        width, height = self.image_sizes[image_index]
        return get_convention(self.convention).spans(width, height, self.model_sizes[image_index])

    def add_box(
        self,
        values: Sequence[Any],
        start: int,
        end: int,
        *,
        label: str | None = None,
        score: float | None = None,
        image_index: int | None = None,
    ) -> Box | None:
        """Place four numbers; ``None`` (and a note) if they are no box of an existing image."""
        placed = self.locate(values, start, end, image_index, kind="box", count=4)
        if placed is None:
            return None
        numbers, index = placed
        width, height = self.image_sizes[index]
        box = to_pixels(
            numbers, width, height, convention=self.convention, model_size=self.model_sizes[index]
        )
        shown = _show(values)
        if max(numbers) <= 1 < min(self.spans(index)) and any(value % 1 for value in numbers):
            self.note(f"box {shown}: all values are at most 1; is the convention norm1?")
        if numbers[0] > numbers[2] or numbers[1] > numbers[3]:
            self.note(f"box {shown}: corners were swapped")
        if box.x0 == box.x1 or box.y0 == box.y1:
            self.shrink_to_point(numbers, box, label, index, shown, (start, end))
            return None
        box = Box(*box.xyxy, label, index, score, (start, end))
        if self.is_new(box):
            self.result.boxes.append(box)
        return box

    def shrink_to_point(
        self,
        numbers: Sequence[float],
        box: Box,
        label: str | None,
        index: int,
        shown: str,
        span: tuple[int, int],
    ) -> None:
        if numbers[0] != numbers[2] and numbers[1] != numbers[3]:
            self.note(f"box {shown} dropped: it lies outside the image")
            return
        self.note(f"box {shown} has no area; shown as a point")
        point = Point(*box.center, label, index, span=span)
        if self.is_new(point):
            self.result.points.append(point)

    def add_point(
        self,
        values: Sequence[Any],
        start: int,
        end: int,
        *,
        label: str | None = None,
        image_index: int | None = None,
    ) -> None:
        """Place two numbers as a point of the result."""
        point = self.point(values, start, end, label=label, image_index=image_index)
        if point is not None and self.is_new(point):
            self.result.points.append(point)

    def point(
        self,
        values: Sequence[Any],
        start: int,
        end: int,
        *,
        label: str | None = None,
        image_index: int | None = None,
    ) -> Point | None:
        """Map two numbers to a point without adding it; ``None`` (and a note) if they are none."""
        placed = self.locate(values, start, end, image_index, kind="point", count=2)
        if placed is None:
            return None
        numbers, index = placed
        width, height = self.image_sizes[index]
        x, y = point_to_pixels(
            numbers, width, height, convention=self.convention, model_size=self.model_sizes[index]
        ).xy
        return Point(x, y, label, index, span=(start, end))

    def locate(
        self,
        values: Sequence[Any],
        start: int,
        end: int,
        image_index: int | None,
        *,
        kind: str,
        count: int,
    ) -> tuple[list[float], int] | None:
        """Check numbers and image; returns (numbers, image index) or notes why not."""
        self.found += 1
        shown = _show(values)
        if len(values) != count:
            self.note(f"{kind} {shown} dropped: {len(values)} numbers, expected {count}")
            return None
        numbers = [value for value in values if is_number(value)]
        if len(numbers) != count:
            self.note(f"{kind} {shown} dropped: not all of it is numbers")
            return None
        index = self.image(image_index, start, end, f"{kind} {shown}")
        if index is None or not self.in_range(numbers, index, f"{kind} {shown}"):
            return None
        return numbers, index

    def image(self, image_index: int | None, start: int, end: int, what: str) -> int | None:
        count = len(self.image_sizes)
        index = self.names.at(start, end) if image_index is None else image_index
        if isinstance(index, str):
            self.note(f"{what} dropped: {index}")
            return None
        if count == 0:
            self.note(f"{what} dropped: there is no image")
            return None
        if index is None and self.default_image is not None:
            return self.default_image
        if index is None:
            self.note("the reply does not say which image it means; taken as image 1")
            return 0
        if not 0 <= index < count:
            self.note(f"{what} dropped: image {index + 1} does not exist, there are {count}")
            return None
        return index

    def in_range(self, numbers: list[float], index: int, what: str) -> bool:
        spans = self.spans(index)
        for position, value in enumerate(numbers):
            span = spans[position % 2]
            if not -OVERSHOOT * span <= value <= (1 + OVERSHOOT) * span:
                self.note(
                    f"{what} dropped: {value:g} is far outside 0..{span:g} "
                    f"(convention {self.convention})"
                )
                return False
            if not 0 <= value <= span:
                self.note(f"{what}: {value:g} was clamped to 0..{span:g}")
        return True

    def is_new(self, placed: Box | Point) -> bool:
        place = placed.xyxy if isinstance(placed, Box) else placed.xy
        key = (place, placed.label, placed.image_index)
        if key in self.seen:
            self.duplicates += 1
            return False
        self.seen.add(key)
        return True

    def finish(self) -> None:
        """Note how many repeats were collapsed."""
        if self.duplicates:
            repeats = (
                "1 exact repeat" if self.duplicates == 1 else f"{self.duplicates} exact repeats"
            )
            self.note(f"{repeats} of a box or point collapsed")


def is_number(value: Any) -> bool:
    """Whether a scanned value is a number; ``True`` and ``NaN`` are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _show(values: Sequence[Any]) -> str:
    shown = [
        value.text if isinstance(value, Bad) else str(value) for value in values[:_SHOWN_VALUES]
    ]
    return "[" + ", ".join(shown + ["…"] * (len(values) > _SHOWN_VALUES)) + "]"
