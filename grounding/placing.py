"""From the numbers of a reply to pixels: the right image, the edges, and a note on every repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grounding.conventions import OVERSHOOT, Size, get_convention
from grounding.geometry import Box, Point, point_to_pixels, to_pixels
from grounding.places import Place, PlaceNames
from grounding.readings import ActionReading, Reading
from grounding.result import Action, Result
from grounding.values import Bad, is_number

MAX_NOTES = 100
_SHOWN_VALUES = 8


class Placer:
    """Fills a ``Result`` with what the readers found, in pixels of the original images."""

    def __init__(
        self,
        result: Result,
        text: str,
        image_sizes: Sequence[Size],
        convention: str,
        model_sizes: Sequence[Size | None],
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
        self.are_keys_times = False
        self.seen: set[tuple[Any, ...]] = set()
        self.duplicates = 0

    def note(self, text: str) -> None:
        notes = self.result.notes
        if len(notes) < MAX_NOTES and text not in notes:
            notes.append(text if len(notes) < MAX_NOTES - 1 else "further notes were left out")

    def place(self, found: Sequence[Reading | ActionReading]) -> None:
        """Add everything in the given order; exact repeats collapse into the first."""
        keys = {
            reading.place[1]
            for reading in found
            if isinstance(reading, Reading) and reading.place and reading.place[0] == "key"
        }
        self.are_keys_times = all(self.names.is_time(key) for key in keys)
        for item in found:
            if isinstance(item, ActionReading):
                self.add_action(item)
            elif item.is_point:
                self.add(self.point(item))
            else:
                self.add(self.box(item))
        if self.duplicates:
            repeats = (
                "1 exact repeat" if self.duplicates == 1 else f"{self.duplicates} exact repeats"
            )
            self.note(f"{repeats} of a box or point collapsed")

    def add_action(self, reading: ActionReading) -> None:
        """Add an action; a box that it aims at is also a box of the result."""
        positions: list[tuple[float, float] | None] = []
        index = 0
        for goal in (reading.target, reading.goal):
            placed = None if goal is None else self.point(goal) if goal.is_point else self.box(goal)
            self.add(None if goal is None or goal.is_point else placed, is_again=True)
            if placed is None:
                positions.append(None)
                continue
            positions.append(placed.center if isinstance(placed, Box) else placed.xy)
            index = placed.image_index
        target, end = positions
        self.result.actions.append(
            Action(reading.type, reading.args, target, end, index, reading.span)
        )

    def add(self, placed: Box | Point | None, *, is_again: bool = False) -> None:
        """Add a box or a point; ``is_again``: it may be there already, as a step's target."""
        if placed is None:
            return
        place = placed.xyxy if isinstance(placed, Box) else placed.xy
        key = (place, placed.label, placed.image_index)
        if key in self.seen:
            self.duplicates += not is_again
            return
        # A labelled box that is said again without its label is the same box.
        self.seen |= {key, (place, None, placed.image_index)}
        if isinstance(placed, Box):
            self.result.boxes.append(placed)
        else:
            self.result.points.append(placed)

    def box(self, reading: Reading) -> Box | Point | None:
        """Place four numbers; one without area is a point, ``None`` (and a note): no place."""
        shown = f"box {_show(reading.values)}"
        located = self.locate(reading, shown, count=4)
        if located is None:
            return None
        numbers, index, convention = located
        width, height = self.image_sizes[index]
        box = to_pixels(
            numbers, width, height, convention=convention, model_size=self.model_sizes[index]
        )
        if numbers[0] > numbers[2] or numbers[1] > numbers[3]:
            self.note(f"{shown}: corners were swapped")
        if box.x0 < box.x1 and box.y0 < box.y1:
            return replace(
                box,
                label=reading.label,
                image_index=index,
                score=reading.score,
                span=reading.span,
            )
        if numbers[0] != numbers[2] and numbers[1] != numbers[3]:
            self.note(f"{shown} dropped: it lies outside the image")
            return None
        self.note(f"{shown} has no area; shown as a point")
        return Point(*box.center, reading.label, index, reading.score, reading.span)

    def point(self, reading: Reading) -> Point | None:
        """Place two numbers; ``None`` (and a note) if they are no place."""
        located = self.locate(reading, f"point {_show(reading.values)}", count=2)
        if located is None:
            return None
        numbers, index, convention = located
        width, height = self.image_sizes[index]
        point = point_to_pixels(
            numbers, width, height, convention=convention, model_size=self.model_sizes[index]
        )
        return Point(*point.xy, reading.label, index, reading.score, reading.span)

    def locate(
        self, reading: Reading, shown: str, *, count: int
    ) -> tuple[list[float], int, str] | None:
        """Check numbers and image; returns (numbers, image index, convention) or notes why not."""
        values = reading.values
        if len(values) != count:
            self.note(f"{shown} dropped: {len(values)} numbers, expected {count}")
            return None
        numbers = [value for value in values if is_number(value)]
        if len(numbers) != count:
            self.note(f"{shown} dropped: not all of it is numbers")
            return None
        if all(value == -1 for value in numbers):
            self.note(f"{shown}: the reply says that it is not there")
            return None
        index = self.image(reading, shown)
        if index is None:
            return None
        convention = self.convention_of(reading)
        if reading.is_named and get_convention(convention).y_first:
            numbers = [numbers[i ^ 1] for i in range(count)]
        spans = get_convention(convention).spans(*self.image_sizes[index], self.model_sizes[index])
        if not self.in_range(numbers, spans, convention, shown):
            return None
        return numbers, index, convention

    def convention_of(self, reading: Reading) -> str:
        if reading.convention is not None:
            return reading.convention
        if self.convention != "auto":
            return self.convention
        if reading.auto is None:
            self.note(
                "this format does not say what its numbers count; read as thousandths, x first "
                "(choose the model's convention if the places are wrong)"
            )
        return reading.auto or "glm"

    def image(self, reading: Reading, what: str) -> int | None:
        count = len(self.image_sizes)
        if count == 0:
            self.note(f"{what} dropped: there is no image")
            return None
        index: int | str | None = reading.image
        if index is None and reading.place is not None and count > 1:
            index = self.names.look_up(*reading.place, are_keys_times=self.are_keys_times)
        if index is None:
            index = self.names.at(reading.span[0], reading.end)
        if index is None and self.default_image is not None:
            return self.default_image
        if index is None:
            first = self.names.first()
            self.note(f"the reply does not say which image it means; taken as {first}")
            return 0
        if isinstance(index, int) and not 0 <= index < count:
            index = f"image {index + 1} does not exist, there are {count}"
        if isinstance(index, str):
            self.note(f"{what} dropped: {index}")
            return None
        return index

    def in_range(self, numbers: list[float], spans: Size, convention: str, what: str) -> bool:
        y_first = get_convention(convention).y_first
        for position, value in enumerate(numbers):
            span = spans[(position + y_first) % 2]
            if not -OVERSHOOT * span <= value <= (1 + OVERSHOOT) * span:
                self.note(
                    f"{what} dropped: {value:g} is far outside 0..{span:g} "
                    f"(convention {convention})"
                )
                return False
            if not 0 <= value <= span:
                self.note(f"{what}: {value:g} was clamped to 0..{span:g}")
        if max(numbers) <= 1 < min(spans) and any(value % 1 for value in numbers):
            self.note(f"{what}: all values are at most 1; is the convention norm1?")
        return True


def _show(values: Sequence[Any]) -> str:
    shown = [
        value.text if isinstance(value, Bad) else str(value) for value in values[:_SHOWN_VALUES]
    ]
    return "[" + ", ".join(shown + ["…"] * (len(values) > _SHOWN_VALUES)) + "]"
