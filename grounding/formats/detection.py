"""Detection JSON: ``{"bbox_2d": [x0,y0,x1,y1], "label": "..."}`` in any spelling.

GLM, Qwen, Gemini and Moondream answer so, and every model that is asked for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from grounding.formats.keys import (
    BOX_KEYS,
    CORNER_KEYS,
    IMAGE_KEYS,
    LABEL_KEYS,
    NOTES_KEYS,
    PLACE_KEYS,
    POINT_KEYS,
    POLYGON_KEYS,
    RECTANGLE_KEYS,
    SCORE_KEYS,
    SKIPPED_3D_KEYS,
    STRUCTURE_KEYS,
    TWO_CORNERS,
    fields,
    fold,
)
from grounding.formats.shapes import (
    COORDINATE_KEYS,
    as_number,
    has_objects,
    has_place,
    is_label_to_box,
    is_rectangle,
    is_text,
    read_place,
)
from grounding.readings import Findings, Reading
from grounding.scanner import Budget, scan
from grounding.values import (
    Bad,
    Container,
    Group,
    Object,
    is_number,
    leaves,
    to_ascii,
)

NEVER = 1 << 60  # an offset that no reply reaches
_CONTEXT_KEYS = frozenset((*LABEL_KEYS, *SCORE_KEYS, *IMAGE_KEYS, *PLACE_KEYS))
_FRAME_KEY = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class _Context:
    """What an object tells the boxes inside it.

    ``is_inner``: an object around it may say what the box is of, and on which image.
    """

    end: int
    is_inner: bool = False
    label: str | None = None
    score: float | None = None
    image: int | None = None
    place: tuple[str, float] | None = None


class DetectionReader:
    """Adds every labelled box and point of objects and lists of objects.

    Args:
        images: how many were sent.
        actions: ids of objects that are an agent's actions: read elsewhere.
    """

    def __init__(
        self, findings: Findings, budget: Budget, images: int, actions: Collection[int] = ()
    ) -> None:
        self.findings = findings
        self.budget = budget
        self.images = images
        self.actions = actions
        self.string_span: tuple[int, int] | None = None  # of the object whose string is read

    def read(self, root: Container, *, free_labels: bool = True) -> None:
        """Read one outermost list or object.

        ``free_labels``: objects may name their boxes by key, ``{"Save": [x0,y0,x1,y1]}``.
        """
        self.free_labels = free_labels
        # A list of objects that is still being written gives them one by one, each finished.
        context = _Context(NEVER, place=self.frame_key(root.key))
        if root.key is not None and context.place is None and isinstance(root, Object):
            folded = fold(root.key)
            if folded in NOTES_KEYS:
                return
            is_label = not (root.is_item or folded in STRUCTURE_KEYS or folded in COORDINATE_KEYS)
            label = root.key if is_label and has_place(root) else None
            context = replace(context, label=label, is_inner=True)
        self.walk(root, context)

    def walk(self, node: Any, context: _Context) -> None:
        if isinstance(node, Group):
            for item in node.items:
                if isinstance(item, Object | Group):
                    self.walk(item, context)
            return
        if not isinstance(node, Object) or id(node) in self.actions:
            return
        self.budget.objects -= 1
        if self.budget.objects < 0:
            return
        if self.free_labels and is_label_to_box(node):
            for label, boxes in node.entries:
                place = self.frame_key(label)
                if place is not None:
                    named = replace(context, place=place)
                else:
                    named = replace(context, label=label)
                self.boxes(boxes, node, self.ending(node, named))
            return
        known = fields(node)
        context = self.ending(node, self.inside(known, context))
        arguments = known.get("arguments")
        if "name" in known and isinstance(arguments, Object):  # a tool's name labels nothing
            self.walk(arguments, replace(context, label=None, is_inner=True))
            return
        self.corners(node, known, context)
        for key, value in node.entries:
            folded = fold(key)
            if known.pop(folded, None) is not None:  # of a repeated key the first counts
                self.entry(key, folded, value, node, context)

    def ending(self, node: Object, context: _Context) -> _Context:
        """Return the context with the end of ``node``, unless more about its boxes may follow."""
        is_named = context.label is not None and (
            self.images < 2 or context.image is not None or context.place is not None
        )
        # Inside a string offsets count from its own start.
        if self.string_span is not None or (context.is_inner and not is_named):
            return context
        return replace(context, end=node.end)

    def entry(self, key: str, folded: str, value: Any, node: Object, context: _Context) -> None:
        """Read one key of an object: coordinates, or further objects."""
        if folded in BOX_KEYS:
            self.boxes(value, node, context)
        elif folded in POINT_KEYS:
            self.points(value, node, context, is_flat=folded in POLYGON_KEYS)
        elif folded in SKIPPED_3D_KEYS:
            self.findings.notes.append(f"{key} skipped: a box in space has no place on the image")
        elif folded in NOTES_KEYS:
            return
        elif folded in RECTANGLE_KEYS and is_rectangle(value):
            self.boxes(value, node, context)
        elif isinstance(value, str):
            self.string(value, node, context)
        elif isinstance(value, Object | Group):
            place = self.frame_key(key)
            if place is not None:
                context = replace(context, place=place, is_inner=False)
            elif isinstance(value, Object) and folded not in STRUCTURE_KEYS and has_place(value):
                context = replace(context, label=key, is_inner=True)
            else:
                context = replace(context, is_inner=True)
            self.walk(value, context)

    def string(self, value: str, node: Object, context: _Context) -> None:
        """Read JSON that was put into a string."""
        if self.string_span is not None or "{" not in value or "box" not in value:
            return
        self.string_span = (node.start, node.end)
        for root in scan(value, budget=self.budget).roots:
            if isinstance(root, Object) or has_objects(root):
                self.walk(root, context)
        self.string_span = None

    def inside(self, known: dict[str, Any], context: _Context) -> _Context:
        """Return the context for the boxes of an object with these fields."""
        if not _CONTEXT_KEYS & known.keys():
            return context if context.score is None else replace(context, score=None)
        label = next((known[key] for key in LABEL_KEYS if is_text(known.get(key))), None)
        if isinstance(label, Bad):
            label = label.text
        score = next((float(known[key]) for key in SCORE_KEYS if is_number(known.get(key))), None)
        image = next((known[key] for key in IMAGE_KEYS if type(known.get(key)) is int), None)
        place = next(
            (
                found
                for key, kind in PLACE_KEYS.items()
                if (found := read_place(kind, known.get(key))) is not None
            ),
            None,
        )
        return replace(
            context,
            label=context.label if label is None else str(label),
            score=score,
            image=context.image if image is None else image,
            place=context.place if place is None else place,
        )

    @staticmethod
    def frame_key(key: str | None) -> tuple[str, float] | None:
        """Read a key of a tracking object, ``{0: [...], 1: [...]}``: a second or a frame."""
        if key is None or _FRAME_KEY.fullmatch(to_ascii(key)) is None:
            return None
        return ("key", float(to_ascii(key)))

    def corners(self, node: Object, known: dict[str, Any], context: _Context) -> None:
        """Read a box whose four numbers have names."""
        for keys, has_size in CORNER_KEYS:
            if all(key in known for key in keys):
                values = [as_number(known[key]) for key in keys]
                if has_size and all(is_number(value) for value in values):
                    values[2:] = [values[0] + values[2], values[1] + values[3]]
                self.add(values, (node.start, node.end), context, is_named=True)
                return
        for corner_keys in TWO_CORNERS:
            ends = [known.get(key) for key in corner_keys]
            if all(isinstance(end, Group) and len(end.items) == 2 for end in ends):
                values = [as_number(item) for end in ends if end for item in end.items]
                self.add(values, (node.start, node.end), context)
                return

    def boxes(self, value: Any, node: Object, context: _Context) -> None:
        if isinstance(value, str):
            self.from_string(value, node, context, is_point=False)
            return
        if isinstance(value, Object) or (isinstance(value, Group) and has_objects(value)):
            self.walk(value, replace(context, is_inner=True))
            return
        if not isinstance(value, Group) or not value.items:
            if value is not None and not isinstance(value, Group):
                self.findings.notes.append("a box without coordinates was dropped")
            return
        lists = list(leaves(value))
        # Two opposite corners.
        if len(lists) == 2 and all(len(corner.items) == 2 for corner in lists):
            values = [as_number(item) for corner in lists for item in corner.items]
            self.add(values, (value.start, value.end), context)
            return
        for leaf in lists:
            values = [as_number(item) for item in leaf.items]
            self.add(values, (leaf.start, leaf.end), context, is_point=len(values) == 2)

    def points(self, value: Any, node: Object, context: _Context, *, is_flat: bool) -> None:
        if isinstance(value, str):
            self.from_string(value, node, context, is_point=True)
        elif isinstance(value, Object):
            known = fields(value)
            values = [as_number(known.get(axis)) for axis in "xy"]
            self.add(values, (value.start, value.end), context, is_point=True, is_named=True)
        elif isinstance(value, Group) and any(isinstance(item, Object) for item in value.items):
            for item in value.items:
                self.points(item, node, context, is_flat=is_flat)
        elif isinstance(value, Group) and value.items:
            for leaf in leaves(value):
                numbers = [as_number(item) for item in leaf.items]
                step = 2 if is_flat and len(numbers) % 2 == 0 else max(1, len(numbers))
                for start in range(0, len(numbers), step):
                    pair = numbers[start : start + step]
                    self.add(pair, (leaf.start, leaf.end), context, is_point=True)

    def from_string(self, text: str, node: Object, context: _Context, *, is_point: bool) -> None:
        """Read numbers in a string: ``"[10, 20, 30, 40]"`` or ``"10 20 30 40"``."""
        roots = scan(text, budget=self.budget).roots or scan(f"[{text}]", budget=self.budget).roots
        for root in roots[:1]:
            for leaf in leaves(root) if isinstance(root, Group) else ():
                values = [as_number(item) for item in leaf.items]
                span = (node.start, node.end)
                self.add(values, span, context, is_point=is_point or len(values) == 2)

    def add(
        self,
        values: list[Any],
        span: tuple[int, int],
        context: _Context,
        *,
        is_point: bool = False,
        is_named: bool = False,
    ) -> None:
        self.findings.readings.append(
            Reading(
                values,
                self.string_span or span,
                context.end,
                is_point=is_point,
                label=context.label,
                score=context.score,
                image=context.image,
                place=context.place,
                is_named=is_named,
            )
        )
