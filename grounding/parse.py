"""A model's reply -> boxes, points and actions in pixels, and the texts around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grounding.conventions import Size, get_convention
from grounding.markers import (
    blank_drafts,
    cut_half_mark,
    keep_spans,
    split_answer_tags,
    split_thinking,
    strip_markers,
)
from grounding.places import Place
from grounding.placing import Placer
from grounding.reading import Reader
from grounding.result import Result


def parse(
    text: str,
    image_sizes: Sequence[Size],
    convention: str = "glm",
    model_size: Size | Sequence[Size] | None = None,
    *,
    places: Sequence[Place] | None = None,
    default_image: int | None = None,
    is_complete: bool = True,
) -> Result:
    """Read a model's reply; any text gives a result, in linear time, and nothing is evaluated.

    Bare lists count only where neither box tokens hold coordinates nor an agent acts, and actions
    outside box tokens only where none stand inside; what stands in thoughts is never used.

    With several images a box belongs to the image its object names (``img_idx``, from zero;
    ``page``, ``time``, ...), else to the one named right behind it ("... (image 2)"), else to the
    last one named before it; if none is named, to ``default_image``, and without that to the
    first image, with a note. With one image everything belongs to it.

    Args:
        text: the reply, thought included, special tokens kept or stripped.
        image_sizes: (width, height) in pixels of each original image, in the order they were sent.
        convention: what the numbers count, a key of ``CONVENTIONS``.
        model_size: for ``"resized"``: (width, height) the model saw; one for all or one each.
        places: what the reply may call each image ("page 3", "0:12"); default: "image 1", ...
        default_image: index of the image that is meant where the reply names none.
        is_complete: ``False`` while the reply grows: only what no further text can take back is
            reported (closed box tokens, finished objects and tags), so nothing vanishes, moves or
            changes. A thought must then open with its tag or be left out: if the chat template
            opened it, put ``<think>`` before the text.

    Raises:
        ValueError: the convention is unknown, lacks its ``model_size``, a size is not positive, or
            ``places`` or ``default_image`` do not fit the images.
    """
    model_sizes = _per_image(model_size, len(image_sizes))
    rule = get_convention(convention)
    for (width, height), seen in zip(image_sizes, model_sizes, strict=True):
        if not (width > 0 and height > 0 and min(rule.spans(width, height, seen)) > 0):
            raise ValueError(f"image size {width} x {height}: both sides must be positive")
    if places is not None and len(places) != len(image_sizes):
        raise ValueError(f"{len(places)} places for {len(image_sizes)} images; give one for each")
    if default_image is not None and not 0 <= default_image < len(image_sizes):
        raise ValueError(
            f"default_image {default_image} is none of the {len(image_sizes)} images (from zero)"
        )

    thinking, kept = split_thinking(text, is_complete=is_complete)
    before, final, answer_start = split_answer_tags(keep_spans(text, kept))
    result = Result(thinking="\n".join(part for part in (thinking, before) if part))
    visible = blank_drafts(final, is_complete=is_complete)
    has_notes = visible != final
    if not is_complete:
        visible = cut_half_mark(visible)
    ranges = [rule.spans(*size, seen) for size, seen in zip(image_sizes, model_sizes, strict=True)]
    reader = Reader(
        visible,
        ranges,
        answer_start=answer_start,
        has_notes=has_notes,
        is_complete=is_complete,
    )
    reader.read()
    result.notes += reader.notes
    placer = Placer(
        result,
        visible,
        image_sizes,
        convention,
        model_sizes,
        places=places,
        default_image=default_image,
    )
    placer.place(reader.found)
    spoken = [strip_markers(final[start:end]).strip() for start, end in reader.answers]
    if any(spoken):
        result.answer = "\n".join(spoken)
    else:
        rest = "".join(text[start:end] for start, end in kept)
        result.answer = strip_markers(rest.partition("<answer>")[2] or rest).strip()
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
