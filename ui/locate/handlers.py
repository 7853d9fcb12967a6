"""Grounding: a screenshot and an instruction in, boxes out; for the page and for ``/locate``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import gradio as gr

from grounding import strip_markers
from model.backends.base import ChatBackend, Reply, SamplingOptions
from model.processing import Limits, MediaError
from ui.answering import Refused, answer, as_sentence
from ui.chat.log import describe_waiting
from ui.conversation import Attached, Turn
from ui.language import say
from ui.locate.looking_twice import answer_twice
from ui.rendering.findings import describe_turn, describe_usage
from ui.rendering.markdown import to_markdown
from ui.rendering.overlay import to_html
from ui.visitors.admission import who_answers


class LocateView(NamedTuple):
    """What the grounding tab shows after a step."""

    overlay: str  # HTML of the screenshot, and over it what was found so far
    answer: str  # Markdown
    thought: str  # Markdown
    table: str  # HTML
    notice: str  # Markdown; "" for none


class Locate:
    """Handlers of the grounding tab: plain values in, plain values out, nothing kept."""

    def __init__(
        self,
        backend: ChatBackend,
        options: SamplingOptions,
        limits: Limits,
    ) -> None:
        self._backend = backend
        self._options = options
        self._limits = limits

    def show(
        self,
        image: str | None,
        instruction: str,
        thinking: bool,
        look_twice: bool,
        own: ChatBackend | None = None,
    ) -> Iterator[LocateView]:
        """Yield the tab's right half as the answer grows.

        Args:
            own: the visitor's own backend; None is the page's.
        """
        try:
            path, turn = _open_turn(image, instruction, self._limits)
            yield LocateView(to_html(turn.pictures, ()), "", "", "", "")
            backend = who_answers(self._backend, own)
            for grown, _ in self._answer(backend, path, turn, thinking, look_twice):
                yield _view(grown)
        except Refused as problem:
            yield LocateView("", "", "", "", to_markdown(str(problem)))

    def call(
        self, image: str | None, instruction: str, thinking: bool, look_twice: bool = False
    ) -> Generator[tuple[dict[str, Any], str], None, None]:
        """Find in a screenshot what an instruction names.

        Args:
            image: the screenshot.
            instruction: what to find or do, sent to the model as it is: "Click on Save".
            thinking: let the model think before it answers.
            look_twice: ask again about the part around the first answer, at full resolution.

        Returns:
            result: {"answer", "thinking", "boxes", "points", "actions", "image_names",
                "image_sizes", "notes", "usage"}; coordinates in pixels of the screenshot ("xyxy",
                "xy") and in thousandths of its sides ("norm").
            picture: PNG of the screenshot with what was found drawn on it.
        """
        try:
            path, turn = _open_turn(image, instruction, self._limits)
            for grown, reply in self._answer(self._backend, path, turn, thinking, look_twice):
                yield _describe(grown, reply), _picture(grown)
            if grown.state == "failed":
                raise Refused(grown.notes[0])
        except Refused as problem:
            raise gr.Error(str(problem), print_exception=False) from problem

    def _answer(
        self, backend: ChatBackend, path: str, turn: Turn, thinking: bool, look_twice: bool
    ) -> Iterator[tuple[Turn, Reply]]:
        options = self._options
        if not look_twice:
            return answer(backend, (turn,), thinking=thinking, options=options)
        return answer_twice(
            backend, turn, path=path, thinking=thinking, options=options, limits=self._limits
        )


def _open_turn(image: str | None, instruction: str, limits: Limits) -> tuple[str, Turn]:
    """Return the file of the screenshot and the question about it."""
    if not image:
        raise Refused(say("Attach a screenshot first."))
    if not instruction.strip():
        raise Refused(say("Say what to find, for example: Click on Save."))
    try:
        attached = Attached.open_image(image, max_pixels=limits.max_pixels)
    except MediaError as error:
        raise Refused(as_sentence(error)) from error
    return image, Turn(instruction.strip(), (attached,))


def _picture(turn: Turn) -> str:
    return next(filter(None, turn.shown.drawings), turn.pictures[0].png)


def _describe(turn: Turn, reply: Reply) -> dict[str, Any]:
    return {
        "answer": strip_markers(turn.answer),
        "thinking": turn.thinking,
        **describe_turn(turn),
        "notes": list(turn.notes),
        "usage": describe_usage(reply),
    }


def _view(turn: Turn) -> LocateView:
    waiting = describe_waiting(turn.waiting) if turn.waiting is not None else ""
    return LocateView(
        overlay=turn.shown.overlay or to_html(turn.pictures, ()),
        answer=turn.shown.answer,
        thought=to_markdown(strip_markers(turn.thinking)),
        table=turn.shown.table,
        notice=to_markdown(" ".join(turn.notes) or waiting),
    )
