"""The chat: what happens when somebody sends, stops, clears, or calls ``/chat``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import gradio as gr

from grounding import strip_markers
from model.backends.base import ChatBackend, SamplingOptions
from model.processing import MediaError
from ui.answering import Refused, answer, as_sentence
from ui.conversation import Attachment, Conversation, Turn, images_in_question, read_answer
from ui.findings import describe_findings, describe_usage
from ui.log import show
from ui.markdown import to_markdown

# What the official demo takes, and the model was trained for.
MAX_IMAGES = 10

# what a component's value is left to be, and what is being typed into it
KEEP = gr.skip()


class ChatView(NamedTuple):
    """What the chat tab shows after a step."""

    prompt: Any  # {"text", "files"}, or KEEP
    log: list[dict[str, Any]]
    conversation: Conversation
    notice: str  # Markdown; "" for none


def _open_turn(text: str, files: list[str]) -> Turn:
    """Open what was attached to a message; ``Refused`` if the message cannot be sent."""
    if not text and not files:
        raise Refused("Type a question or attach an image first.")
    if len(files) > MAX_IMAGES:
        raise Refused(f"{len(files)} images are attached; the model takes up to {MAX_IMAGES}.")
    try:
        return Turn(text, tuple(Attachment.open(file) for file in files))
    except MediaError as error:
        raise Refused(as_sentence(error)) from error


def _can_open(file: str) -> bool:
    try:
        Attachment.open(file)
    except MediaError:
        return False
    return True


def _read_history(history: list[dict[str, str]] | None) -> Conversation:
    """Return earlier turns given over HTTP; an answer belongs to the question before it."""
    turns: list[Turn] = []
    for message in history or []:
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            turns.append(Turn(message["content"], state="done"))
        elif (
            message.get("role") == "assistant" and turns and isinstance(message.get("content"), str)
        ):
            turns[-1] = replace(turns[-1], answer=message["content"])
        else:
            raise Refused(
                'history must be [{"role": "user", "content": text}, {"role": "assistant", '
                f'"content": text}}, ...], beginning with the user; got {str(message)[:80]}.'
            )
    return tuple(turns)


class Chat:
    """Handlers of the chat tab: plain values in, plain values out, nothing kept in between."""

    def __init__(self, backend: ChatBackend, options: SamplingOptions) -> None:
        self._backend = backend
        self._options = options

    def send(
        self, message: dict[str, Any], conversation: Conversation, thinking: bool
    ) -> Iterator[ChatView]:
        """Yield the page as the answer grows; if there is none, the message stays to be mended."""
        text, files = message["text"].strip(), message["files"]
        try:
            turn = _open_turn(text, files)
        except Refused as problem:
            usable = [file for file in files if _can_open(file)]
            back = {"text": message["text"], "files": usable}
            yield ChatView(back, show(conversation), conversation, to_markdown(str(problem)))
            return
        running = (*conversation, turn)
        yield ChatView({"text": "", "files": []}, show(running), running, "")
        try:
            for grown, _ in answer(
                self._backend, running, thinking=thinking, options=self._options
            ):
                running = (*conversation, grown)
                yield ChatView(KEEP, show(running), running, "")
        except Refused as problem:
            yield ChatView(message, show(conversation), conversation, to_markdown(str(problem)))

    def settle(self, conversation: Conversation) -> tuple[Any, Any]:
        """Mark an answer that was stopped as such; return log and conversation, or leave them."""
        if not conversation or conversation[-1].state != "running":
            return KEEP, KEEP
        turn = replace(conversation[-1], state="stopped", notes=("Stopped.",))
        conversation = (*conversation[:-1], turn)
        return show(conversation), conversation

    def take_example(self, chosen: gr.SelectData) -> dict[str, Any]:
        """Return the message of an example that was clicked, for the user to send."""
        return {"text": chosen.value["text"], "files": [f["path"] for f in chosen.value["files"]]}

    def clear(self) -> ChatView:
        """Return the page as it is before the first question."""
        return ChatView({"text": "", "files": []}, [], (), "")

    def call(
        self, message: dict[str, Any], history: list[dict[str, str]] | None, thinking: bool
    ) -> Iterator[dict[str, Any]]:
        """Answer a message about images, or none; the result grows until the answer is complete.

        Args:
            message: {"text": the question, "files": up to 10 images}.
            history: earlier turns, [{"role": "user" or "assistant", "content": text}, ...].
            thinking: let the model think before it answers.

        Returns:
            {"answer", "thinking", "boxes", "points", "actions", "notes", "usage"}; coordinates in
            pixels of the images sent ("xyxy") and in thousandths of them ("norm").
        """
        try:
            turn = _open_turn(message["text"].strip(), message["files"])
            conversation = (*_read_history(history), turn)
            for grown, reply in answer(
                self._backend, conversation, thinking=thinking, options=self._options
            ):
                attachments = images_in_question((grown,))
                yield {
                    "answer": strip_markers(grown.answer),
                    "thinking": grown.thinking,
                    **describe_findings(read_answer(grown.answer, attachments), attachments),
                    "notes": list(grown.notes),
                    "usage": describe_usage(reply),
                }
            if grown.state == "failed":
                raise Refused(grown.notes[0])
        except Refused as problem:
            raise gr.Error(str(problem), print_exception=False) from problem
