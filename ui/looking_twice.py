"""A question about one picture, asked again about the part around the first answer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from grounding.look_twice import Crop, choose_crop, is_second_better
from model.backends.base import ChatBackend, Reply, SamplingOptions
from model.processing import Limits
from ui.answering import Refused, answer
from ui.conversation import Attached, Picture, Turn
from ui.files import save_png
from ui.marking import mark_complete

LOOKING_AGAIN = "Looking again at the part around it."


def answer_twice(
    backend: ChatBackend,
    turn: Turn,
    *,
    path: str,
    thinking: bool,
    options: SamplingOptions,
    limits: Limits,
) -> Generator[tuple[Turn, Reply], None, None]:
    """Yield as `ui.answering.answer`; then the second answer, at its place in the whole picture.

    Where a second look would show no more, finds nothing or is less sure, the first answer stands.

    Args:
        turn: about one picture.
        path: file of that picture.
    """
    (picture,) = turn.pictures
    first, reply = turn, Reply()
    for first, reply in answer(backend, (turn,), thinking=thinking, options=options):
        yield first, reply
    target = next((target for target in first.targets if target.at is not None), None)
    if first.state != "done" or target is None or target.at is None:
        return
    items = backend.open_attachment(path, limits=limits).items
    size = picture.image.size
    crop = choose_crop(target.box or target.at, size, items[0].sent_size or size)
    if crop is None:
        return
    yield replace(first, state="running", notes=(LOOKING_AGAIN,)), reply
    second = Turn(turn.text, (_cut(picture, crop),))
    try:
        for grown, reply in answer(backend, (second,), thinking=thinking, options=options):
            second = grown
            yield replace(first, state="running", notes=(LOOKING_AGAIN,)), reply
    except Refused as problem:
        second = replace(second, state="failed", notes=(str(problem),))
    found = next((target for target in second.targets if target.at is not None), None)
    if second.state != "done":
        note = "The second look failed; this is the first answer."
    elif found is None:
        note = "The second look found nothing; this is the first answer."
    elif not is_second_better(target.score, found.score):
        note = "The second look was less sure; this is the first answer."
    else:
        note = (
            f"Looked twice: the answer counts in the {crop.width} x {crop.height} pixels from "
            f"({crop.x0}, {crop.y0}) on."
        )
        merged = replace(second, attachments=turn.attachments, crop=crop)
        yield mark_complete(merged, turn.pictures, (note,)), reply
        return
    yield replace(first, notes=(*first.notes, note)), reply


def _cut(picture: Picture, crop: Crop) -> Attached:
    """Return a part of a picture as a file of its own."""
    image = crop.cut(picture.image)
    part = Picture(picture.name, image, save_png(image))
    return Attached(picture.name, "image", ({"type": "image", "image": image},), (part,))
