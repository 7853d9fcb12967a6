"""``/parse``: a model's reply in, boxes, points and actions out; needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from grounding import CONVENTIONS, convention_for_model, parse
from ui.answering import Refused, as_sentence
from ui.rendering.findings import describe_findings

MAX_TEXT_BYTES = 1_000_000
MAX_IMAGES = 1000
# beyond any image; keeps products of sides well within what a float holds exactly
MAX_SIDE = 1_000_000


def build_parse_endpoint() -> None:
    """Add ``/parse`` to the HTTP interface; call while the page is laid out."""
    gr.api(call, api_name="parse", concurrency_id="parse")


def call(
    text: str,
    image_sizes: list[list[int]],
    convention: str = "glm",
    model_size: list[Any] | None = None,
) -> dict[str, Any]:
    """Read boxes, points and actions out of what a vision model replied.

    Args:
        text: the reply, thought included, special tokens kept or stripped; up to 1 MB.
        image_sizes: [[width, height], ...] in pixels of the images that the model was asked about.
        convention: what the numbers count: "glm" (thousandths), "pixel", "resized", "auto", ...; or
            the model's name, such as "Qwen/Qwen2.5-VL-7B-Instruct".
        model_size: for "resized": [width, height] in pixels of the image as the model saw it; one
            for all images or a list with one for each.

    Returns:
        {"answer", "thinking", "boxes", "points", "actions", "image_names", "image_sizes", "notes",
        "convention"}; coordinates in pixels of the images ("xyxy", "xy") and in thousandths of
        their sides ("norm").
    """
    try:
        return read_reply(text, image_sizes, convention, model_size)
    except Refused as problem:
        raise gr.Error(str(problem), print_exception=False) from problem


def read_reply(text: Any, image_sizes: Any, convention: Any, model_size: Any) -> dict[str, Any]:
    """Return for JSON what a reply says; arguments as ``call`` has them, of any type.

    Raises:
        Refused: an argument is not what it should be.
    """
    if not isinstance(text, str):
        raise Refused(f"text must be a string; got {_shorten(text)}.")
    if (size := len(text.encode("utf-8", "surrogatepass"))) > MAX_TEXT_BYTES:
        raise Refused(f"text has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are read.")
    sizes = _read_sizes(image_sizes, "image_sizes")
    name = _find_convention(convention)
    try:
        result = parse(text, sizes, name, _read_model_size(model_size))
    except ValueError as error:
        raise Refused(as_sentence(error)) from error
    return {
        "answer": result.answer,
        "thinking": result.thinking,
        **describe_findings(result, sizes, [f"image {i + 1}" for i in range(len(sizes))]),
        "notes": result.notes,
        "convention": name,
    }


def _find_convention(name: Any) -> str:
    """Return a key of ``CONVENTIONS`` for one, or for a model's name."""
    if isinstance(name, str) and name.strip():
        if name in CONVENTIONS:
            return name
        # "auto" stands for a model that is not known: here it may as well be a slip
        if (found := convention_for_model(name)) != "auto":
            return found
    raise Refused(
        f"convention {_shorten(name)} is neither a convention nor the name of a known model; give "
        f'one of {", ".join(sorted(CONVENTIONS))}, where "auto" goes by the syntax.'
    )


def _read_sizes(value: Any, name: str) -> list[tuple[int, int]]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise Refused(f"{name} must be [[width, height], ...] in pixels; got {_shorten(value)}.")
    if len(value) > MAX_IMAGES:
        raise Refused(f"{name} lists {len(value):,} images; at most {MAX_IMAGES:,} are taken.")
    return [_read_size(size, name) for size in value]


def _read_size(value: Any, name: str) -> tuple[int, int]:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        width, height = value
        if _is_side(width) and _is_side(height):
            return int(width), int(height)
    raise Refused(
        f"{name} must hold [width, height] in whole pixels, from 1 to {MAX_SIDE:,}; "
        f"got {_shorten(value)}."
    )


def _read_model_size(value: Any) -> tuple[int, int] | list[tuple[int, int]] | None:
    if value is None:
        return None
    if isinstance(value, Sequence) and value and isinstance(value[0], int | float):
        return _read_size(value, "model_size")
    return _read_sizes(value, "model_size")


def _is_side(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 1 <= value <= MAX_SIDE and value == int(value)


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
