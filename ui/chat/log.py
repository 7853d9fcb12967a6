"""A conversation -> the messages that Gradio's chat shows."""

from __future__ import annotations

from typing import Any

from grounding import strip_markers
from model.backends.base import Waiting
from ui.chat.dialogue import Dialogue
from ui.chat.turn_tools import to_row
from ui.conversation import Attached, Turn
from ui.language import say, say_number
from ui.rendering.markdown import to_markdown
from ui.rendering.media_view import to_media_html


def show(dialogue: Dialogue, *, continuing: bool = False) -> list[dict[str, Any]]:
    """Return the value of a ``gr.Chatbot``; a thought is a message of its own, folded when done.

    Args:
        continuing: whether the backend can go on with an answer.
    """
    log: list[dict[str, Any]] = []
    for number, turn in enumerate(dialogue.path, 1):
        log += show_turn(turn, dialogue, number=number, continuing=continuing)
    return log


def show_turn(
    turn: Turn, dialogue: Dialogue, *, number: int, continuing: bool = False
) -> list[dict[str, Any]]:
    """Return the messages of one turn on the page, the last of which is the row under it.

    Args:
        number: of the question, from 1.
        continuing: whether the backend can go on with an answer.
    """
    row = to_row(turn, dialogue, number=number, continuing=continuing)
    return [*_show_words(turn), _html("assistant", row)]


def _show_words(turn: Turn) -> list[dict[str, Any]]:
    """Return a message for each text and each image, so that each gets its own buttons."""
    messages = [message for attached in turn.attachments for message in _show_attached(attached)]
    if turn.text:
        messages.append(_text("user", to_markdown(turn.text)))
    if turn.thinking:
        messages.append(_show_thought(turn))
    if turn.answer:
        messages.append(_text("assistant", turn.shown.answer))
    if turn.shown.overlay:
        messages.append(_html("assistant", turn.shown.overlay + _fold(turn.shown.table)))
    if turn.shown.preview:
        messages.append(_html("assistant", turn.shown.preview))
    if turn.waiting is not None and turn.state == "running":
        messages.append(_text("assistant", f"*{describe_waiting(turn.waiting)}*"))
    if turn.notes:
        notes = " ".join(turn.notes)
        messages.append(_text("assistant", f"*{to_markdown(notes)}*"))
    return messages


def describe_waiting(waiting: Waiting) -> str:
    """Say how far a question is that is not being answered yet."""
    if waiting.place:
        return say("Waiting for others: number {place} in the queue", place=waiting.place)
    if waiting.read:
        return say("Reading the question: {share:.0%}", share=waiting.read)
    return say("Reading the question")


def _show_attached(attached: Attached) -> list[dict[str, Any]]:
    """Return an image as it is; of others the player or pages, and a line on what was sent."""
    if attached.kind != "text" and not attached.pictures:
        return [_text("user", to_markdown(" ".join(attached.notes) or attached.name))]
    if attached.kind == "image":
        return [_file("user", picture.png, picture.name) for picture in attached.pictures]
    line = attached.name
    if attached.kind == "document":
        numbers = ", ".join(item.label.removeprefix("Page ") for item in attached.items)
        one, many = "{name}: page {pages}", "{name}: pages {pages}"
        line = say_number(len(attached.items), one, many, name=attached.name, pages=numbers)
    elif attached.kind == "video":
        line = say(
            "{name}: {number} frames, {first} to {last}",
            name=attached.name,
            number=len(attached.items),
            first=attached.items[0].label,
            last=attached.items[-1].label,
        )
    media = to_media_html(attached)
    return [*([_html("user", media)] if media else []), _text("user", to_markdown(line))]


def _show_thought(turn: Turn) -> dict[str, Any]:
    lasts = turn.state == "running" and turn.thinking_s is None
    metadata: dict[str, Any] = {"title": say("Thinking" if lasts else "Thought")}
    metadata["status"] = "pending" if lasts else "done"
    if turn.thinking_s is not None:
        metadata["duration"] = round(turn.thinking_s, 1)
    return {**_text("assistant", to_markdown(strip_markers(turn.thinking))), "metadata": metadata}


def _text(role: str, text: str) -> dict[str, Any]:
    # as a block: Gradio takes the indentation out of a bare string, and breaks code
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _fold(table: str) -> str:
    return f"<details><summary>{say('Targets')}</summary>{table}</details>" if table else ""


def _html(role: str, html: str) -> dict[str, Any]:
    # as Gradio itself would send a ``gr.HTML``, which it would build anew for each step
    component = {"type": "component", "component": "html", "value": html}
    return {"role": role, "content": [{**component, "constructor_args": {}, "props": {}}]}


def _file(role: str, path: str, alt_text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"path": path, "alt_text": alt_text}]}
