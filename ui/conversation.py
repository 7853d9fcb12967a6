"""One person's conversation: what was said, shown and answered. Plain values, no page, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from PIL import Image

from grounding import Result, draw, parse
from model.backends.base import Message, Reply
from model.processing import open_image
from ui.files import save_png


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image as it was opened, once: these pixels are sent, shown and drawn upon."""

    name: str
    image: Image.Image  # RGB, upright
    png: str  # file with the same pixels, for the browser

    @classmethod
    def open(cls, path: str) -> Attachment:
        """Open an uploaded file; ``MediaError`` says what is wrong with it."""
        image = open_image(path)
        return cls(Path(path).name, image, save_png(image))


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and the answer to it, as far as it has come.

    Attributes:
        answer: the model's own text, box markers included.
        thinking_s: how long the thought took; None while it lasts, or if there is none.
        overlays: files of the images with the answer's boxes drawn upon them.
        notes: what the person should know about this answer.
    """

    text: str
    attachments: tuple[Attachment, ...] = ()
    thinking: str = ""
    answer: str = ""
    state: Literal["running", "done", "stopped", "failed"] = "running"
    thinking_s: float | None = None
    overlays: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Conversation: TypeAlias = tuple[Turn, ...]


def to_messages(conversation: Conversation) -> list[Message]:
    """Return the conversation as a backend takes it: earlier answers without their thoughts."""
    messages: list[Message] = []
    for turn in conversation:
        content: list[dict[str, Any]] = [
            {"type": "image", "image": attachment.image} for attachment in turn.attachments
        ]
        if turn.text:
            content.append({"type": "text", "text": turn.text})
        messages.append({"role": "user", "content": content})
        if turn.answer:
            text = {"type": "text", "text": turn.answer}
            messages.append({"role": "assistant", "content": [text]})
    return messages


def images_in_question(conversation: Conversation) -> tuple[Attachment, ...]:
    """Return the images that the newest answer is about: the last that were attached."""
    for turn in reversed(conversation):
        if turn.attachments:
            return turn.attachments
    return ()


def read_answer(answer: str, attachments: Sequence[Attachment]) -> Result:
    """Return what ``answer`` says about the images: boxes, points and actions in their pixels."""
    return parse(answer, image_sizes=[attachment.image.size for attachment in attachments])


def draw_overlays(result: Result, attachments: Sequence[Attachment]) -> tuple[str, ...]:
    """Draw what was found; return the file of each image that something was found in."""
    marked = {box.image_index for box in result.boxes}
    marked |= {point.image_index for point in result.points}
    marked |= {action.image_index for action in result.actions if action.target}
    return tuple(
        save_png(draw(attachment.image, result, image_index=index))
        for index, attachment in enumerate(attachments)
        if index in marked
    )


def explain_ending(reply: Reply) -> tuple[str, ...]:
    """Say what an answer that ended by itself does not say of its ending."""
    finished = reply.finished
    if finished is not None and finished.reason == "length":
        return (f"Cut off after {finished.new_tokens:,} tokens, the longest answer allowed.",)
    if not reply.answer:
        return ("The model ended without an answer.",)
    return ()
