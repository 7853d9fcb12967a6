"""The row under each answer: its buttons, its versions, its speed, and what the model was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import gradio as gr

from grounding import strip_markers
from model.backends.base import Finished
from ui.chat.dialogue import Dialogue
from ui.conversation import Turn
from ui.language import say

ASSETS = Path(__file__).parents[2] / "assets"
# in this order: what is used stands before what uses it
SCRIPTS = (ASSETS / "overlay" / "copy.js", ASSETS / "turns" / "turns.js")
# What is longer is shown without its middle: the log goes to the browser again with each question.
MAX_RAW_CHARACTERS = 20_000

Act: TypeAlias = Literal["send", "regenerate", "continue", "show", "edit", "undo", "cancel"]


class Asked(NamedTuple):
    """What a button stands for: something to do, and the turn to do it with."""

    act: Act
    turn: str  # id; "" for a message, which needs none


def read_asked(event: gr.EventData, dialogue: Dialogue) -> Asked | None:
    """Return what an event of the page asks for; None for what makes no sense (any more)."""
    data = event._data if isinstance(event._data, Mapping) else {}
    if "act" not in data:
        return Asked("send", "")
    known = {turn.id for turn in dialogue.turns}
    if data["act"] in get_args(Act) and data.get("turn") in known:
        return Asked(data["act"], data["turn"])
    return None


def make_turn_tools() -> gr.HTML:
    """Return the bar over the message box; its script also serves the rows in the log.

    It raises "submit" for what asks the model and "edit" for what does not.
    """
    program = "\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    return gr.HTML("", js_on_load=program, elem_id="editing")


def can_continue(turn: Turn) -> bool:
    """Whether an answer ended before its end, and there is something to go on with."""
    is_cut = turn.finished is not None and turn.finished.reason == "length"
    has_begun = bool(turn.answer or turn.thinking)
    return has_begun and (turn.state in ("stopped", "failed") or (turn.state == "done" and is_cut))


def to_row(turn: Turn, dialogue: Dialogue, *, number: int, continuing: bool) -> str:
    """Return the row of a turn on the page as HTML.

    Buttons have what they do (data-act) and the turn that they do it with (data-turn).

    Args:
        number: of the question, from 1.
        continuing: whether the backend can go on with an answer.
    """
    if turn.state == "running":
        return '<div class="turn-tools" data-running></div>'
    is_last = turn.id == dialogue.at
    parts = [_versions(turn, dialogue, number)]
    if turn.answer:
        answer = escape(strip_markers(turn.answer))
        label = escape(say("Copy answer {number}", number=number))
        parts.append(
            f'<button type="button" data-act="copy" data-answer="{answer}" aria-label="{label}">'
            f"{say('Copy')}</button>"
        )
    if is_last and continuing and can_continue(turn):
        parts.append(
            _button(
                "continue", turn.id, say("Continue"), say("Continue answer {number}", number=number)
            )
        )
    parts.append(
        _button(
            "regenerate",
            turn.id,
            say("Regenerate"),
            say("Regenerate answer {number}", number=number),
        )
    )
    parts.append(
        _button("edit", turn.id, say("Edit"), say("Edit question {number}", number=number))
    )
    if is_last:
        parts.append(
            _button("undo", turn.id, say("Undo"), say("Take back question {number}", number=number))
        )
    if turn.finished is not None:
        parts.append(_speed(turn.finished))
    answer = say("Answer {number}", number=number)
    return (
        f'<div class="turn-tools" role="group" aria-label="{escape(answer)}" '
        f'data-number="{number}">{"".join(parts)}</div>{_exchange(turn)}'
    )


def to_bar(dialogue: Dialogue) -> str:
    """Return what the bar over the message box says, as HTML; "" where nothing is edited."""
    editing = dialogue.editing
    if editing is None:
        return ""
    if editing.is_undone:
        says, button = say("This question was taken back."), say("Put it back")
    else:
        at = dialogue.show(editing.turn).path
        number = next(n for n, turn in enumerate(at, 1) if turn.id == editing.turn)
        says = say("Editing question {number}. The answer until now stays.", number=number)
        button = say("Cancel")
    if editing.aside["text"] or editing.aside["files"]:
        says = f"{says} {say('What you were typing comes back afterwards.')}"
    return (
        f'<div class="turn-tools" role="status"><span>{says}</span>'
        f"{_button('cancel', editing.turn, button, button)}</div>"
    )


def describe_speed(finished: Finished) -> str:
    """Return in one line how fast an answer was."""
    parts = [say("First word after {seconds:.1f} s", seconds=finished.first_token_s)]
    if rate := _decode_rate(finished):
        parts.append(say("{rate} tokens/s", rate=f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"))
    parts.append(
        say(
            "{read:,} tokens in, {written:,} out",
            read=finished.prompt_tokens,
            written=finished.new_tokens,
        )
    )
    return " · ".join(parts)


def _speed(finished: Finished) -> str:
    seconds = finished.first_token_s
    read = [
        say(
            "Reading: {tokens:,} tokens in {seconds:.1f} s",
            tokens=finished.prompt_tokens,
            seconds=seconds,
        )
    ]
    if seconds > 0 and finished.prompt_tokens:
        read.append(say("{rate} tokens/s", rate=f"{finished.prompt_tokens / seconds:,.0f}"))
    written = [
        say(
            "Writing: {tokens:,} tokens in {seconds:.1f} s",
            tokens=finished.new_tokens,
            seconds=finished.total_s - seconds,
        )
    ]
    if rate := _decode_rate(finished):
        written.append(say("{rate} tokens/s", rate=f"{rate:,.1f}"))
    details = " ".join(say("{facts}.", facts=say(", ").join(part)) for part in (read, written))
    return (
        f'<span class="speed" title="{escape(details)}">{escape(describe_speed(finished))}</span>'
    )


def _decode_rate(finished: Finished) -> float | None:
    """Return tokens per second after the first; None where that cannot be told."""
    seconds = finished.total_s - finished.first_token_s
    return (finished.new_tokens - 1) / seconds if finished.new_tokens > 1 and seconds > 0 else None


def _versions(turn: Turn, dialogue: Dialogue, number: int) -> str:
    """Return the arrows between the versions of a turn; "" where there is one only."""
    versions = dialogue.versions(turn.id)
    if len(versions) == 1:
        return ""
    at = versions.index(turn.id)
    arrows = []
    previous = say("Previous version of question {number}", number=number)
    following = say("Next version of question {number}", number=number)
    for sign, label, index in (("‹", previous, at - 1), ("›", following, at + 1)):
        target = versions[index] if 0 <= index < len(versions) else ""
        arrows.append(_button("show", target, sign, label, sign))
    label = say("Version {number} of {all}", number=at + 1, all=len(versions))
    place = f'<span aria-label="{escape(label)}">{at + 1}/{len(versions)}</span>'
    return f'<span class="versions">{arrows[0]}{place}{arrows[1]}</span>'


def _button(act: Act, turn: str, text: str, label: str, name: str = "") -> str:
    """Return a button; one without a turn is of no use now.

    Args:
        name: tells it from others of the same act in its row.
    """
    return (
        f'<button type="button" data-act="{act}" data-turn="{escape(turn)}" '
        f'data-name="{name or act}" aria-label="{escape(label)}"{"" if turn else " disabled"}>'
        f"{text}</button>"
    )


def _exchange(turn: Turn) -> str:
    """Return folds with what the model was given and what it gave, nothing taken out."""
    folds = _raw(say("What was sent"), turn.request) if turn.request else ""
    if turn.answer or turn.thinking:
        came: dict[str, Any] = {"reasoning_content": turn.thinking, "content": turn.answer}
        if turn.finished is not None:
            came["finish_reason"] = turn.finished.reason
        folds += _raw(say("What came back"), json.dumps(came, ensure_ascii=False, indent=1))
    return folds


def _raw(title: str, text: str) -> str:
    half = MAX_RAW_CHARACTERS // 2
    if len(text) > MAX_RAW_CHARACTERS:
        left_out = say("[{number:,} characters are left out here]", number=len(text) - 2 * half)
        text = f"{text[:half]}\n\n{left_out}\n\n{text[-half:]}"
    return (
        f'<details class="sent"><summary>{escape(title)}</summary>'
        f'<pre tabindex="0">{escape(text)}</pre></details>'
    )
