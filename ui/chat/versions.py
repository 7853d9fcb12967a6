"""Edit, undo and the arrows between versions: what they do to a dialogue and to the message box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from model.processing import Choice
from ui.chat.dialogue import Dialogue, Editing
from ui.conversation import Turn
from ui.language import say

EMPTY = {"text": "", "files": []}
STILL_EDITING = "Another question is being edited: send it or cancel that first."
GONE = "These files are no longer here; attach them again: {names}."


class Altered(NamedTuple):
    """A dialogue after a step, and what belongs into the message box."""

    dialogue: Dialogue
    message: dict[str, Any] | None = None  # {"text", "files"}; None leaves it as it is
    choices: dict[str, Any] | None = None  # of the files, as the page keeps them; None as before
    notice: str = ""


def take_up(
    message: Mapping[str, Any], dialogue: Dialogue, turn_id: str, choices: Any, *, undo: bool
) -> Altered:
    """Put a question back into the message box; what was being typed there is put aside.

    Args:
        message: what is in the box, {"text", "files"}.
        choices: what was entered about each file.
        undo: take the turn, which is the last, from the page as well.
    """
    turn, editing = dialogue.turn(turn_id), dialogue.editing
    aside = {"text": message["text"], "files": list(message["files"])}
    if editing is not None:
        if aside != editing.put:
            return Altered(dialogue, notice=say(STILL_EDITING))
        aside = editing.aside
    put, gone = _to_message(turn)
    dialogue = replace(dialogue, editing=Editing(turn_id, undo, put, aside))
    if undo:
        dialogue = dialogue.back()
    kept = choices if isinstance(choices, Mapping) else {}
    notice = say(GONE, names=", ".join(gone)) if gone else ""
    return Altered(dialogue, put, {**kept, **_to_choices(turn)}, notice)


def put_down(dialogue: Dialogue) -> Altered:
    """End the editing of a question; what was typed before comes back, and a turn taken back."""
    editing = dialogue.editing
    if editing is None:
        return Altered(dialogue)
    if editing.is_undone:
        dialogue = dialogue.show(editing.turn)
    return Altered(replace(dialogue, editing=None), editing.aside)


def ask_again(dialogue: Dialogue, turn: Turn) -> Altered:
    """Ask what is in the message box: beside the question being edited, or after the last turn."""
    editing = dialogue.editing
    if editing is None:
        return Altered(dialogue.ask(turn), EMPTY)
    before = dialogue.turn(editing.turn).before
    asked = replace(dialogue.ask(turn, before=before), editing=None)
    return Altered(asked, editing.aside)


def repeat(dialogue: Dialogue, turn_id: str) -> Dialogue:
    """Return the dialogue with the same question asked once more beside the first time."""
    turn = dialogue.turn(turn_id)
    again = Turn(turn.text, turn.attachments, default_image=turn.default_image)
    return dialogue.ask(again, before=turn.before)


def reopen(dialogue: Dialogue) -> Dialogue:
    """Return the dialogue with its last answer about to be gone on with."""
    turn = dialogue.turn(dialogue.at)
    thinking_s = turn.thinking_s if turn.answer else None  # a thought that was cut goes on
    return dialogue.put(replace(turn, state="running", notes=(), thinking_s=thinking_s))


def _to_message(turn: Turn) -> tuple[dict[str, Any], list[str]]:
    """Return a question as it is in the message box, and the names of files that are gone."""
    here = [attached for attached in turn.attachments if Path(attached.path).is_file()]
    gone = [attached.name for attached in turn.attachments if attached not in here]
    return {"text": turn.text, "files": [attached.path for attached in here]}, gone


def _to_choices(turn: Turn) -> dict[str, dict[str, Any]]:
    """Return what was chosen of each file, as ``read_choice`` takes it."""
    chosen = {attached.path: attached.choice for attached in turn.attachments}
    return {path: asdict(choice) for path, choice in chosen.items() if choice != Choice()}
