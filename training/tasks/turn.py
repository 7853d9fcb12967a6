"""One question about a screen with its answer, as GLM-4.5V would write it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from training.screens.screen import Box, Element, Screen

# The order is that of the numbers in packed batches.
TASKS = (
    "text",
    "icon",
    "reference",
    "field",
    "reading",
    "role",
    "icon name",
    "state",
    "agent",
    "absent",
    "several",
    "listing",
    "caption",
    "chat",
)

BOX_OPEN, BOX_CLOSE = "<|begin_of_box|>", "<|end_of_box|>"
# What is said of something that is not there; the same words always, so that programs can tell.
NOT_THERE = "It is not on this screen."
CANNOT = f"{BOX_OPEN}FAIL(){BOX_CLOSE}"
LARGEST = 999  # coordinates are thousandths, 0 .. 999: each is one token


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer.

    Attributes:
        task: one of ``TASKS``.
        question: as a person types it, without the template's marks.
        answer: without the thought; box tokens as text.
        thought: what stands between ``<think>`` and ``</think>``; None asks without thinking.
        element: the one whose place is asked for, or that the question reads; None without one.
        before: earlier (question, answer) of the same conversation.
    """

    task: str
    question: str
    answer: str
    thought: str | None = None
    element: Element | None = None
    before: tuple[tuple[str, str], ...] = ()


def norm_box(box: Box, screen: Screen) -> tuple[int, int, int, int]:
    """Return a box of pixels in thousandths of the screen, 0 .. 999."""
    x0, y0, x1, y1 = box
    width, height = screen.width, screen.height
    return (
        _thousandth(x0, width),
        _thousandth(y0, height),
        _thousandth(x1, width),
        _thousandth(y1, height),
    )


def norm_center(box: Box, screen: Screen) -> tuple[int, int]:
    """Return the middle of a box in thousandths of the screen, 0 .. 999."""
    x0, y0, x1, y1 = norm_box(box, screen)
    return (x0 + x1) // 2, (y0 + y1) // 2


def _thousandth(value: float, size: int) -> int:
    return min(LARGEST, max(0, round(value / size * 1000)))


def write_box(box: Box, screen: Screen) -> str:
    """Write a box as it stands in questions and lists: ``[12,20,80,44]``."""
    return "[{},{},{},{}]".format(*norm_box(box, screen))


def answer_with_boxes(screen: Screen, elements: Sequence[Element]) -> str:
    """Write where elements are, all in one list between box tokens."""
    boxes = ",".join(write_box(element.box, screen) for element in elements)
    return f"{BOX_OPEN}[{boxes}]{BOX_CLOSE}"


def answer_with_click(screen: Screen, element: Element, info: str) -> str:
    """Write the click of a PC agent in the middle of an element."""
    x, y = norm_center(element.box, screen)
    return f"{BOX_OPEN}left_click(start_box='[{x},{y}]', element_info='{info}'){BOX_CLOSE}"


def answer_with_labels(screen: Screen, elements: Sequence[Element], labels: Sequence[str]) -> str:
    """Write elements as GLM's detection JSON, which names each box."""
    items = [
        f'{{"bbox_2d":{write_box(element.box, screen)},'
        f'"label":{json.dumps(label, ensure_ascii=False)}}}'
        for element, label in zip(elements, labels, strict=True)
    ]
    return "[" + ",".join(items) + "]"
