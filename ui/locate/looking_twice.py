"""A question about one picture, asked again about the part around the first answer."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

from grounding import Result, parse
from grounding.look_twice import Crop, choose_crop, is_second_better
from model.backends.base import (
    BackendError,
    ChatBackend,
    Reply,
    SamplingOptions,
    TokenProbability,
)
from model.processing import Limits, MediaError
from ui.answering import Refused, answer
from ui.conversation import Attached, Picture, Turn, read_turn
from ui.files import save_png
from ui.language import say
from ui.rendering.marking import mark_complete

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
    size = picture.image.size
    try:
        items = backend.open_attachment(path, limits=limits).items
    except (BackendError, MediaError):
        return  # what is too much to attach was answered all the same
    crop = choose_crop(target.box or target.at, size, items[0].sent_size or size)
    if crop is None:
        return
    again = (say(LOOKING_AGAIN),)
    yield replace(first, state="running", notes=again), reply
    second = Turn(turn.text, (_cut(picture, crop),))
    try:
        for grown, reply in answer(backend, (second,), thinking=thinking, options=options):
            second = grown
            yield replace(first, state="running", notes=again), reply
    except Refused as problem:
        second = replace(second, state="failed", notes=(str(problem),))
    found = next((target for target in second.targets if target.at is not None), None)
    if second.state != "done":
        note = say("The second look failed; this is the first answer.")
    elif found is None:
        note = say("The second look found nothing; this is the first answer.")
    elif not is_second_better(target.score, found.score):
        note = say("The second look was less sure; this is the first answer.")
    else:
        note = say(
            "Looked twice, the second time at {width} x {height} pixels from ({x}, {y}) on; "
            "what was said there is given in the whole.",
            width=crop.width,
            height=crop.height,
            x=crop.x0,
            y=crop.y0,
        )
        merged = replace(_in_whole(second, crop, size), attachments=turn.attachments)
        yield mark_complete(merged, turn.pictures, (note,)), reply
        return
    yield replace(first, notes=(*first.notes, note)), reply


def _cut(picture: Picture, crop: Crop) -> Attached:
    """Return a part of a picture as a file of its own."""
    image = crop.cut(picture.image)
    part = Picture(picture.name, image, save_png(image))
    return Attached(picture.name, "image", ({"type": "image", "image": image},), (part,))


def _in_whole(turn: Turn, crop: Crop, size: tuple[int, int]) -> Turn:
    """Return a turn about a part with its coordinates as if it were about the whole picture.

    They are thousandths of the whole ``size`` then, whatever the model counts in.
    """
    result = crop.restore(read_turn(turn, turn.pictures))
    found: list[tuple[tuple[int, int], tuple[float, ...], float | None]] = []
    found += [(box.span, box.xyxy, box.score) for box in result.boxes]
    found += [(point.span, point.xy, point.score) for point in result.points]
    found += [(step.span, step.target, None) for step in result.actions if step.target]
    found.sort(key=lambda place: place[0])
    pieces, at = [], 0
    for (start, end), pixels, score in found:
        sides = size * (len(pixels) // 2)
        numbers = [f"{1000 * value / side:.1f}" for value, side in zip(pixels, sides, strict=True)]
        logprob = 0.0 if score is None else math.log(max(score, 1e-9))
        pieces.append(TokenProbability(turn.answer[at:start], 0.0))
        pieces.append(TokenProbability(f"[{','.join(numbers)}]", logprob))
        at = end
    pieces.append(TokenProbability(turn.answer[at:], 0.0))
    answer = _join(pieces)
    if _count(parse(answer, [size])) != _count(result):
        # a format of its own, or an agent's step: the places alone are the answer then
        pieces = [TokenProbability("[", 0.0), *pieces[1::2], TokenProbability("]", 0.0)]
        answer = _join(pieces)
    has_scores = all(score is not None for _, _, score in found)
    finished = turn.finished and replace(turn.finished, tokens=tuple(pieces) if has_scores else ())
    return replace(turn, answer=answer, convention="glm", finished=finished)


def _join(pieces: Sequence[TokenProbability]) -> str:
    return "".join(piece.text for piece in pieces)


def _count(result: Result) -> tuple[int, int, int]:
    return len(result.boxes), len(result.points), len(result.actions)
