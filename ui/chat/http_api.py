"""``/chat`` over HTTP, and the chat tool over MCP: a question and its history in, an answer out."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import gradio as gr

from grounding import strip_markers
from model.backends.base import ChatBackend, SamplingOptions
from model.processing import Limits, mixing_note
from ui.answering import Refused, answer
from ui.chat.attaching import read_choice
from ui.chat.message import check_given, make_turn, open_given
from ui.conversation import Conversation, Turn
from ui.rendering.findings import describe_attachments, describe_turn, describe_usage


def _read_history(history: Any) -> Conversation:
    """Return earlier turns given over HTTP; an answer belongs to the question before it."""
    turns: list[Turn] = []
    messages = history or []
    if not isinstance(messages, list):
        raise _malformed(history)
    for message in messages:
        match message:
            case {"role": "user", "content": str(text)}:
                turns.append(Turn(text, state="done"))
            case {"role": "assistant", "content": str(text)} if turns:
                turns[-1] = replace(turns[-1], answer=text)
            case _:
                raise _malformed(message)
    return tuple(turns)


def _malformed(got: Any) -> Refused:
    return Refused(
        'history must be [{"role": "user", "content": text}, {"role": "assistant", '
        f'"content": text}}, ...], beginning with the user; got {str(got)[:80]}.'
    )


class ChatCall:
    """The handler of ``/chat``; nothing of a call is kept."""

    def __init__(self, backend: ChatBackend, options: SamplingOptions, limits: Limits) -> None:
        self._backend = backend
        self._options = options
        self._limits = limits

    def call(
        self,
        message: dict[str, Any],
        history: list[dict[str, str]] | None,
        thinking: bool,
        pages: str | None = None,
        fps: float | None = None,
        max_frames: float | None = None,
        max_item_tokens: float | None = None,
        animation_as_video: bool = False,
    ) -> Generator[dict[str, Any], None, None]:
        """Answer a message about files, or none; the result grows until the answer is complete.

        Args:
            message: {"text": the question, "files": up to 10 images, documents, videos}.
            history: earlier turns, [{"role": "user" or "assistant", "content": text}, ...].
            thinking: let the model think before it answers.
            pages: of each document, such as "1-5, 9"; by default the first ones that fit.
            fps: frames per second of each video; by default as the checkpoint says.
            max_frames: the most frames of each video; by default as the checkpoint says.
            max_item_tokens: the most tokens of each image, page or pair of frames, which is its
                resolution; by default as the checkpoint says.
            animation_as_video: take animated images as videos instead of their first frames.

        Returns:
            {"answer", "thinking", "boxes", "points", "actions", "image_names", "image_sizes",
            "attachments", "notes", "usage"}; coordinates in pixels of the images and pages sent
            ("xyxy") and in thousandths of them ("norm").
        """
        text, files = message["text"].strip(), message["files"]
        try:
            check_given(text, files)
            earlier = _read_history(history)
            choice = read_choice(
                {
                    "pages": pages,
                    "fps": fps,
                    "max_frames": max_frames,
                    "max_item_tokens": max_item_tokens,
                    "animation_as_video": animation_as_video,
                }
            )
            choices = dict.fromkeys(files, choice)
            *_, drafts = open_given(self._backend, files, choices, limits=self._limits)
            turn = make_turn(text, drafts, self._limits)
            notes = [note for attached in turn.attachments for note in attached.notes]
            mixed = mixing_note([draft.opened for draft in drafts if draft.opened is not None])
            for grown, reply in answer(
                self._backend, (*earlier, turn), thinking=thinking, options=self._options
            ):
                yield {
                    "answer": strip_markers(grown.answer),
                    "thinking": grown.thinking,
                    **describe_turn(grown),
                    "attachments": describe_attachments(grown.attachments),
                    "notes": [*filter(None, [mixed]), *notes, *grown.notes],
                    "usage": describe_usage(reply),
                }
            if grown.state == "failed":
                raise Refused(grown.notes[0])
        except Refused as problem:
            raise gr.Error(str(problem), print_exception=False) from problem
