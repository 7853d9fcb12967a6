"""What an answer found in the images: as JSON for programs, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from grounding import Result
from model.backends.base import Reply
from ui.conversation import Attached, Picture


def describe_findings(result: Result, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return boxes, points and actions for JSON.

    "xyxy" and "xy" are pixels of the image as sent; "norm" the same in thousandths of its width and
    height, as GLM-4.5V writes them; "image" counts images and pages from 0.
    """
    sizes = [picture.image.size for picture in pictures]
    return {
        "boxes": [
            {
                "xyxy": _round(box.xyxy),
                "norm": _norm(box.xyxy, sizes[box.image_index]),
                "label": box.label,
                "image": box.image_index,
            }
            for box in result.boxes
        ],
        "points": [
            {
                "xy": _round(point.xy),
                "norm": _norm(point.xy, sizes[point.image_index]),
                "label": point.label,
                "image": point.image_index,
            }
            for point in result.points
        ],
        "actions": [
            {
                "type": action.type,
                "args": action.args,
                "target": action.target and _round(action.target),
                "end": action.end and _round(action.end),
                "image": action.image_index,
            }
            for action in result.actions
        ],
        "image_names": [picture.name for picture in pictures],
        "image_sizes": [list(size) for size in sizes],
    }


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


def to_table(findings: dict[str, Any]) -> str:
    """Return the findings as an HTML table, everything from the model escaped; "" if none."""
    rows = [("Box", box["label"], box["xyxy"], box["norm"]) for box in findings["boxes"]] + [
        ("Point", point["label"], point["xy"], point["norm"]) for point in findings["points"]
    ]
    rows += [
        (action["type"], _arguments(action["args"]), action["target"], None)
        for action in findings["actions"]
    ]
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td>{index}</td><td>{escape(kind)}</td><td>{escape(label or '')}</td>"
        f"<td>{_numbers(pixels)}</td><td>{_numbers(norm)}</td></tr>"
        for index, (kind, label, pixels, norm) in enumerate(rows, 1)
    )
    return (
        '<div class="findings"><table><thead><tr><th>#</th><th>Kind</th><th>Label</th>'
        "<th>Pixels</th><th>0 to 1000</th></tr></thead>"
        f"<tbody>{cells}</tbody></table></div>"
    )


def _round(numbers: Sequence[float]) -> list[float]:
    return [round(number, 2) for number in numbers]


def _norm(numbers: Sequence[float], size: tuple[int, int]) -> list[int]:
    return [round(number / size[i % 2] * 1000) for i, number in enumerate(numbers)]


def _numbers(numbers: Sequence[float] | None) -> str:
    return ", ".join(str(round(number)) for number in numbers) if numbers else ""


def _arguments(args: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in args.items())
