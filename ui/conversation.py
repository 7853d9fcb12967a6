"""One person's conversation: what was said, shown and answered. Plain values, no page, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from PIL import Image

from grounding import Place, Result, add_scores, draw, last_named, parse
from model.backends.base import Finished, Message, Reply, Waiting
from model.processing import Choice, open_image
from ui.files import save_png
from ui.language import say
from ui.targets.target import Target, list_targets, on_picture

Kind: TypeAlias = Literal["image", "document", "text", "video"]
State: TypeAlias = Literal["running", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, a page or a frame as it was opened, once: it is sent, shown and drawn upon.

    Attributes:
        image: RGB, upright.
        png: file with the same pixels, for the browser.
        place: what an answer may call it.
        sent_size: width and height in pixels as the model sees it; None where that is not known.
        of: the file that it is a part of, where it belongs to a question.
        is_earlier: it came with an earlier message than the pictures that an answer is about, and
            is meant only where the answer names it.
    """

    name: str
    image: Image.Image
    png: str
    place: Place = Place("image")
    sent_size: tuple[int, int] | None = None
    of: Attached | None = None
    is_earlier: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """What the model sees at one go: an image, a page, a frame, or a text.

    Attributes:
        label: "Page 3", "0:12.5", or nothing where the file is all there is.
        png: file with the picture, for the browser; "" for a text.
        size: width and height in pixels as attached, and ``sent_size`` as the model sees it.
    """

    label: str
    tokens: int
    png: str = ""
    size: tuple[int, int] | None = None
    sent_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a message, opened.

    Attributes:
        content: the parts of the message that it becomes.
        path: the file as it was uploaded; "" where there is none any more.
        choice: which part of it was chosen.
        pictures: its images, pages or frames, in the order in which the model sees them.
        tokens: how much of the model's context it takes.
        notes: what of it is not as it may seem, in sentences.
        duration_s: seconds of the whole video; 0 for what has none.
    """

    name: str
    kind: Kind
    content: tuple[dict[str, Any], ...]
    pictures: tuple[Picture, ...] = ()
    items: tuple[Item, ...] = ()
    tokens: int = 0
    notes: tuple[str, ...] = ()
    path: str = ""
    choice: Choice = Choice()
    duration_s: float = 0.0

    @classmethod
    def open_image(cls, path: str, *, max_pixels: int) -> Attached:
        """Open an uploaded image; ``MediaError`` says what is wrong with it."""
        image = open_image(path, max_pixels=max_pixels)
        picture = Picture(Path(path).name, image, save_png(image))
        content = ({"type": "image", "image": image},)
        return cls(picture.name, "image", content, (picture,), path=path)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows of an answer, made once each time that it grows.

    Attributes:
        answer: Markdown, in which the words about a target link to it.
        overlay: HTML of the pictures with the targets over them; "" where there are none.
        drawings: for each picture a file with the targets drawn upon it; "" where there are none.
        table: HTML with the targets in rows; "" where there are none.
        preview: HTML that offers to show what the answer has of HTML; "" where it has none.
    """

    answer: str = ""
    overlay: str = ""
    drawings: tuple[str, ...] = ()
    table: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and the answer to it, as far as it has come.

    Attributes:
        id: its own, which it keeps while it grows.
        before: id of the turn that it follows; "" for a first one.
        answer: the model's own text, box markers included.
        thinking_s: how long the thought took; None while it lasts, or if there is none.
        waiting: how far it is while nothing has been generated yet.
        convention: how the model counts coordinates, as ``grounding.CONVENTIONS`` calls it.
        default_image: which of the pictures a box belongs to whose image the answer does not name,
            if somebody has said so.
        targets: what the answer points at.
        shown: the answer as the page shows it.
        notes: what the person should know about this answer.
        finished: how long the prompt was and what it took, once the answer is complete.
        spent_s: seconds that passed while it was being answered, the wait included.
        request: what the model was given, for people; "" where that is not known.
    """

    text: str
    attachments: tuple[Attached, ...] = ()
    thinking: str = ""
    answer: str = ""
    state: State = "running"
    thinking_s: float | None = None
    waiting: Waiting | None = None
    convention: str = "glm"
    default_image: int | None = None
    targets: tuple[Target, ...] = ()
    shown: Shown = field(default_factory=Shown)
    notes: tuple[str, ...] = ()
    finished: Finished | None = None
    spent_s: float = 0.0
    request: str = ""
    before: str = ""
    id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All that can be drawn upon in the question, in the order in which the model sees it."""
        return tuple(
            replace(p, of=attached) for attached in self.attachments for p in attached.pictures
        )


Conversation: TypeAlias = tuple[Turn, ...]


def to_place(kind: str, label: str) -> Place:
    """Return what an answer may call a picture.

    Args:
        kind: of the file that it is from, as ``Attached`` has it.
        label: its own within the file, as ``Item`` has it.
    """
    if kind == "document":
        number = label.removeprefix("Page ")
        return Place("page", int(number) if number.isdecimal() else None)
    if kind == "video":
        seconds = 0.0
        for part in label.split(":"):
            seconds = seconds * 60 + float(part)
        return Place("frame", time_s=seconds)
    return Place("image")


def to_messages(conversation: Conversation, system: str = "") -> list[Message]:
    """Return the conversation as a backend takes it: earlier answers without their thoughts.

    What the last turn has of an answer is to be gone on with, so there the thought is needed.

    Args:
        system: what the model is told before it; "" for nothing.
    """
    messages: list[Message] = []
    if system:
        messages.append({"role": "system", "content": [{"type": "text", "text": system}]})
    for turn in conversation:
        content = [part for attached in turn.attachments for part in attached.content]
        if turn.text:
            content.append({"type": "text", "text": turn.text})
        messages.append({"role": "user", "content": content})
        answer = [{"type": "text", "text": turn.answer}] if turn.answer else []
        is_last = turn is conversation[-1]
        if turn.answer or (is_last and turn.thinking):
            thought = {"reasoning_content": turn.thinking} if is_last and turn.thinking else {}
            messages.append({"role": "assistant", "content": answer, **thought})
    return messages


def pictures_in_question(conversation: Conversation) -> tuple[Picture, ...]:
    """Return the pictures that the newest answer may be about: the last that were attached.

    Where that is a single image, images of earlier messages follow it, for an answer may name them:
    "image 1" is then the first of the conversation. Several images of a message are counted among
    themselves.
    """
    for place in reversed(range(len(conversation))):
        turn = conversation[place]
        if any(attached.kind != "text" for attached in turn.attachments):
            break
    else:
        return ()
    own = turn.pictures
    if len(own) != 1 or own[0].place.kind != "image":
        return own
    before = [p for t in conversation[:place] for p in t.pictures if p.place.kind == "image"]
    if not before:
        return own
    *earlier, last = (
        replace(picture, place=Place("image", number))
        for number, picture in enumerate([*before, *own], 1)
    )
    return (last, *(replace(picture, is_earlier=True) for picture in earlier))


def read_turn(turn: Turn, pictures: Sequence[Picture]) -> Result:
    """Return what the answer says about the pictures: boxes, points and actions in their pixels.

    Args:
        pictures: as ``pictures_in_question`` returns them.
    """
    result = _parse_answer(turn, pictures)
    if any(picture.is_earlier for picture in pictures):
        if told := _explain_earlier(result, pictures):
            result.notes.extend(told)
        else:  # a number is of something that is seen in the picture
            result = _parse_answer(turn, pictures[:1])
    tokens = turn.finished.tokens if turn.finished is not None else ()
    return add_scores(result, turn.answer, tokens)


def default_picture(turn: Turn, pictures: Sequence[Picture]) -> int | None:
    """Return which picture a box is on where the answer does not say; None for the first.

    The one that somebody has chosen, else the one that the question names last, else the newest.
    """
    if turn.default_image is not None:
        return turn.default_image
    if any(picture.is_earlier for picture in pictures):
        return 0
    return last_named(turn.text, [picture.place for picture in pictures])


def _parse_answer(turn: Turn, pictures: Sequence[Picture]) -> Result:
    return parse(
        turn.answer,
        image_sizes=[picture.image.size for picture in pictures],
        convention=turn.convention,
        model_size=[picture.sent_size or picture.image.size for picture in pictures],
        places=[picture.place for picture in pictures],
        default_image=default_picture(turn, pictures),
    )


def _explain_earlier(result: Result, pictures: Sequence[Picture]) -> list[str]:
    """Say which pictures of earlier messages the answer names."""
    targets = list_targets(result)
    return [
        f"the answer names image {picture.place.number}; taken as {picture.name}, of an earlier "
        "message"
        for index, picture in enumerate(pictures)
        if picture.is_earlier and on_picture(targets, index)
    ]


def draw_targets(result: Result, pictures: Sequence[Picture]) -> tuple[str, ...]:
    """Draw what was found; return a file for each picture, "" where there is nothing to draw."""
    targets = list_targets(result)
    return tuple(
        save_png(draw(picture.image, result, image_index=index))
        if on_picture(targets, index)
        else ""
        for index, picture in enumerate(pictures)
    )


def explain_ending(reply: Reply) -> tuple[str, ...]:
    """Say what an answer that ended by itself does not say of its ending."""
    finished = reply.finished
    if finished is not None and finished.reason == "length":
        return (
            say(
                "Cut off after {tokens:,} tokens, the longest answer allowed.",
                tokens=finished.new_tokens,
            ),
        )
    if not reply.answer:
        return (say("The model ended without an answer."),)
    return ()
