"""What an answer found in the images: as JSON for programs, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from agent.steps import describe_args
from grounding import Result
from model.backends.base import Reply
from ui.conversation import Attached, Picture, Turn, read_turn
from ui.language import say, say_size
from ui.targets.exports import to_pixels, to_thousandths
from ui.targets.target import Target, on_picture, say_kind, show_score


def describe_findings(
    result: Result, sizes: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[str, Any]:
    """Return boxes, points and actions for JSON.

    "xyxy" and "xy" are pixels of the image as sent; "norm" the same in thousandths of its width and
    height, as GLM-4.5V writes them; "image" counts images and pages from 0; "score", where there is
    one, is how sure the model is, 0 to 1.

    Args:
        sizes: width and height in pixels of each image, in the order in which the model saw them.
        names: what each of them is called.
    """
    return {
        "boxes": [
            {
                "xyxy": _round(box.xyxy),
                "norm": _norm(box.xyxy, sizes[box.image_index]),
                "label": box.label,
                "image": box.image_index,
                **_score(box.score),
            }
            for box in result.boxes
        ],
        "points": [
            {
                "xy": _round(point.xy),
                "norm": _norm(point.xy, sizes[point.image_index]),
                "label": point.label,
                "image": point.image_index,
                **_score(point.score),
            }
            for point in result.points
        ],
        "actions": [
            {
                "type": action.type,
                "args": describe_args(action),
                "target": action.target and _round(action.target),
                "end": action.end and _round(action.end),
                "image": action.image_index,
            }
            for action in result.actions
        ],
        "image_names": list(names),
        "image_sizes": [list(size) for size in sizes],
    }


def describe_turn(turn: Turn) -> dict[str, Any]:
    """Return for JSON what the answer found in the pictures of its question."""
    pictures = turn.pictures
    return describe_findings(
        read_turn(turn, pictures),
        [picture.image.size for picture in pictures],
        [picture.name for picture in pictures],
    )


def describe_attachments(attachments: Sequence[Attached]) -> list[dict[str, Any]]:
    """Return for JSON what was sent of each file, and how many tokens it took."""
    return [
        {
            "name": attached.name,
            "kind": attached.kind,
            "items": [item.label for item in attached.items],
            "tokens": attached.tokens,
        }
        for attached in attachments
    ]


def describe_usage(reply: Reply) -> dict[str, Any] | None:
    """Return tokens and seconds for JSON; None while the answer is not complete."""
    if reply.finished is None:
        return None
    return {
        "finish_reason": reply.finished.reason,
        "prompt_tokens": reply.finished.prompt_tokens,
        "new_tokens": reply.finished.new_tokens,
        "first_token_s": round(reply.finished.first_token_s, 3),
        "total_s": round(reply.finished.total_s, 3),
    }


def to_table(targets: Sequence[Target], pictures: Sequence[Picture], convention: str) -> str:
    """Return the targets as an HTML table, everything from the model escaped; "" if none.

    Under it stands what the numbers come from: sizes, and how the model counts.

    Args:
        pictures: that the targets may be in.
        convention: that the answer was read by, as ``grounding.CONVENTIONS`` calls it.
    """
    if not targets:
        return ""
    sizes = [picture.image.size for picture in pictures]
    has_scores = any(target.score is not None for target in targets)
    rows = "".join(_row(target, sizes, has_scores) for target in targets)
    names = [say("Kind"), say("Label"), say("Pixels"), say("0 to 1000")]
    if has_scores:
        names.append(say("Score"))
    heads = "".join(f"<th>{escape(name)}</th>" for name in ["#", *names, ""])
    return (
        f'<div class="findings"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{_origin(targets, pictures, convention)}</div>"
    )


def _origin(targets: Sequence[Target], pictures: Sequence[Picture], convention: str) -> str:
    lines = []
    for index, picture in enumerate(pictures):
        if not on_picture(targets, index):
            continue
        size, sent = say_size(picture.image.size), picture.sent_size
        if sent is None:
            line = say("{name}: {size} pixels", name=picture.name, size=size)
        else:
            line = say(
                "{name}: {size} pixels, seen by the model as {sent}",
                name=picture.name,
                size=size,
                sent=say_size(sent),
            )
        lines.append(line)
    lines.append(say("Coordinates of the answer read as: {convention}", convention=convention))
    return "".join(f'<p class="origin">{escape(line)}</p>' for line in lines)


def _row(target: Target, sizes: Sequence[tuple[int, int]], has_scores: bool) -> str:
    pixels = thousandths = ""
    if target.at is not None:
        size = sizes[target.image_index]
        pixels, thousandths = to_pixels(target, size), to_thousandths(target, size)
    cells = [str(target.number), say_kind(target), target.label, pixels, thousandths]
    if has_scores:
        cells.append(show_score(target.score))
    name = escape(say("Copy #{number}", number=target.number))
    copy = f'<button data-copy="{target.number}" aria-label="{name}">{escape(say("Copy"))}</button>'
    # only what is somewhere can be pointed at
    place = f' data-target="{target.number}" tabindex="0"' if target.at is not None else ""
    return f"<tr{place}>{''.join(f'<td>{escape(c)}</td>' for c in cells)}<td>{copy}</td></tr>"


def _score(score: float | None) -> dict[str, float]:
    return {} if score is None else {"score": round(score, 4)}


def _round(numbers: Sequence[float]) -> list[float]:
    return [round(number, 2) for number in numbers]


def _norm(numbers: Sequence[float], size: tuple[int, int]) -> list[int]:
    return [round(number / size[i % 2] * 1000) for i, number in enumerate(numbers)]
