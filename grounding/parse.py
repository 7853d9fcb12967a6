"""A model's reply -> boxes, points and actions in pixels, and the texts around them."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grounding.actions import (
    Call,
    add_action_object,
    add_calls,
    find_action_objects,
    find_bare_words,
    find_calls,
)
from grounding.conventions import Size, get_convention
from grounding.detection import add_detections
from grounding.lists import add_lists, has_objects
from grounding.markers import (
    Segment,
    blank_drafts,
    code_spans,
    keep_spans,
    split_answer_tags,
    split_box_tokens,
    split_thinking,
    strip_markers,
)
from grounding.places import Place
from grounding.placing import Placer
from grounding.result import Action, Result
from grounding.values import Object, Scan, scan

# What may stand around the lists of a pure coordinate answer: separators and a JSON fence.
_BETWEEN_LISTS = re.compile(r"[\s,;.，；。、]+|```(?:json)?")


def parse(
    text: str,
    image_sizes: Sequence[Size],
    convention: str = "glm",
    model_size: Size | Sequence[Size] | None = None,
    *,
    places: Sequence[Place] | None = None,
    default_image: int | None = None,
) -> Result:
    """Read a model's reply; any text gives a result, in linear time, and nothing is evaluated.

    Coordinates between box tokens win over coordinates in prose; those in thoughts are never used.

    With several images a box belongs to the image its object names (``img_idx``, from zero), else
    to the one named right behind it ("... (image 2)"), else to the last one named before it; if
    none is named, to ``default_image``, and without that to the first image, with a note.

    Args:
        text: the whole reply so far, thought included, special tokens kept or stripped.
        image_sizes: (width, height) in pixels of each original image, in the order they were sent.
        convention: what the numbers count, a key of ``geometry.CONVENTIONS``.
        model_size: for ``"resized"``: (width, height) the model saw; one for all or one each.
        places: what the reply may call each image ("page 3", "0:12"); default: "image 1", ...
        default_image: index of the image that is meant where the reply names none.

    Raises:
        ValueError: the convention is unknown, lacks its ``model_size``, a size is not positive, or
            ``places`` or ``default_image`` do not fit the images.
    """
    model_sizes = _per_image(model_size, len(image_sizes))
    for (width, height), seen in zip(image_sizes, model_sizes, strict=True):
        spans = get_convention(convention).spans(width, height, seen)
        if not (width > 0 and height > 0 and min(spans) > 0):
            raise ValueError(f"image size {width} x {height}: both sides must be positive")
    get_convention(convention)
    if places is not None and len(places) != len(image_sizes):
        raise ValueError(f"{len(places)} places for {len(image_sizes)} images; give one for each")
    if default_image is not None and not 0 <= default_image < len(image_sizes):
        raise ValueError(
            f"default_image {default_image} is none of the {len(image_sizes)} images (from zero)"
        )

    thinking, kept = split_thinking(text)
    before, final = split_answer_tags(keep_spans(text, kept))
    result = Result(thinking="\n".join(part for part in (thinking, before) if part))
    visible = blank_drafts(final)
    placer = Placer(
        result,
        visible,
        image_sizes,
        convention,
        model_sizes,
        places=places,
        default_image=default_image,
    )
    answers = _Reader(placer, visible).read()
    placer.finish()
    spoken = [final[start:end].strip() for start, end in answers]
    result.answer = "\n".join(spoken) if any(spoken) else strip_markers(final).strip()
    return result


def _per_image(model_size: Size | Sequence[Size] | None, count: int) -> list[Size | None]:
    if model_size is None:
        return [None] * count
    sizes: Sequence[Any] = model_size
    if isinstance(next(iter(sizes), None), int | float):
        sizes = [model_size] * count
    if len(sizes) != count:
        raise ValueError(f"{len(sizes)} model sizes for {count} images; give one for each")
    return [(width, height) for width, height in sizes]


@dataclass(slots=True)
class _Part:
    """A stretch of the final text between two box tokens, with what was read in it."""

    segment: Segment
    text: str
    scan: Scan
    calls: list[Call]
    action_objects: list[Object]
    has_coordinates: bool = False
    is_answer: bool = False


class _Reader:
    """Runs the extractors over one reply, box tokens first."""

    def __init__(self, placer: Placer, text: str) -> None:
        self.placer = placer
        self.text = text
        self.code = code_spans(text)
        self.code_starts = [start for start, _ in self.code]
        self.is_program: dict[int, bool] = {}

    def read(self) -> list[tuple[int, int]]:
        """Fill the placer's result; returns the spans between box tokens that are plain answers."""
        parts = [self.split(segment) for segment in split_box_tokens(self.text)]
        in_tokens = [part for part in parts if part.segment.in_tokens]
        in_prose = [part for part in parts if not part.segment.in_tokens]
        actions = self.read_actions(in_tokens) or self.read_actions(in_prose)
        for part in in_tokens:
            self.read_answer(part)
        if not any(part.has_coordinates for part in in_tokens):
            for part in in_prose:
                # The numbers beside an action are drafts of its arguments.
                self.read_prose(part, with_lists=not actions)
        self.placer.result.actions += actions
        return [(part.segment.start, part.segment.end) for part in in_tokens if part.is_answer]

    def split(self, segment: Segment) -> _Part:
        text = self.text[segment.start : segment.end]
        found = scan(self.text, segment.start, segment.end)
        calls, is_cut = find_calls(text, segment.start)
        if is_cut:
            self.placer.note("the text ends inside an action; it was not used")
        elif found.cut_at is not None:
            self.placer.note("a list or object is not finished; its unfinished part was not used")
        return _Part(segment, text, found, calls, find_action_objects(found.roots))

    def read_actions(self, parts: list[_Part]) -> list[Action]:
        actions: list[tuple[int, Action]] = []
        for part in parts:
            actions += add_calls(self.placer, part.calls)
            actions += [add_action_object(self.placer, node) for node in part.action_objects]
            if part.segment.in_tokens or len(part.text) == len(self.text):
                actions += find_bare_words(part.text, part.segment.start)
        return [action for _, action in sorted(actions, key=lambda placed: placed[0])]

    def read_answer(self, part: _Part) -> None:
        """Read what stands between box tokens: coordinates, or an answer that is none."""
        is_pure = _is_pure(part.text, part.segment.start, part.scan)
        found_before = self.placer.found
        if not part.calls and not part.action_objects:
            for root in part.scan.roots:
                if isinstance(root, Object) or has_objects(root):
                    add_detections(self.placer, root)
                else:
                    add_lists(self.placer, self.text, root, in_tokens=is_pure)
        part.has_coordinates = self.placer.found > found_before
        is_growing = (
            part.scan.cut_at is not None
            and not self.text[part.segment.start : part.scan.cut_at].strip()
        )
        part.is_answer = not (part.has_coordinates and is_pure) and not is_growing

    def read_prose(self, part: _Part, *, with_lists: bool) -> None:
        for root in part.scan.roots:
            is_program = self.stands_in_program(root.start)
            if isinstance(root, Object) or has_objects(root):
                add_detections(self.placer, root, free_labels=not is_program)
            elif with_lists and not is_program:
                add_lists(self.placer, self.text, root, in_tokens=False)

    def stands_in_program(self, offset: int) -> bool:
        """Whether ``offset`` is in a code block or inline code that is more than coordinates."""
        index = bisect.bisect_right(self.code_starts, offset) - 1
        if index < 0 or offset >= self.code[index][1]:
            return False
        if index not in self.is_program:
            start, end = self.code[index]
            self.is_program[index] = not _is_pure(
                self.text[start:end], start, scan(self.text, start, end)
            )
        return self.is_program[index]


def _is_pure(text: str, start: int, found: Scan) -> bool:
    """Whether ``text``, beginning at ``start``, is nothing but the lists and objects found."""
    end, rest = 0, []
    for root in found.roots:
        rest.append(text[end : root.start - start])
        end = root.end - start
    rest.append(text[end:])
    return bool(found.roots) and not _BETWEEN_LISTS.sub("", "".join(rest))
