"""A conversation -> what a browser keeps of it, and back. The pictures stay in their files."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias, get_args

from grounding import CONVENTIONS
from model.backends.base import Finished, TokenProbability
from model.processing import Choice, MediaError
from ui.answering import as_sentence
from ui.chat.attaching import MAX_FILES, read_choice
from ui.chat.dialogue import Dialogue
from ui.chat.turn_tools import MAX_RAW_CHARACTERS
from ui.conversation import (
    Attached,
    Kind,
    Picture,
    State,
    Turn,
    pictures_in_question,
    read_turn,
)
from ui.rendering.marking import mark_complete, to_sentences

VERSION = 1
MAX_TURNS = 2_000
MAX_CHARACTERS = 4_000_000  # of one text
MAX_NOTES = 100
MAX_TOKENS = 200_000  # of one answer
MAX_COUNT = 10**9
MAX_NAME_CHARACTERS = 255
TITLE_CHARACTERS = 80
UNTITLED = "Untitled"
LEFT = "Stopped when the page was left."

# (path, choice) -> the file as a turn has it; ``MediaError`` says what is wrong with it
OpenFile: TypeAlias = Callable[[str, Choice], Attached]

_ID = re.compile(r"[0-9a-f]{32}")
# JSON has no infinity; nobody sees a difference below
_LOWEST_LOGPROB = -1e4


class RecordError(ValueError):
    """What was kept cannot be read; the message says which part of it, for the user."""


class _Fields:
    """The fields of a JSON object that somebody else wrote, each checked when it is read."""

    def __init__(self, raw: object, what: str) -> None:
        if not isinstance(raw, Mapping):
            raise RecordError(f"This is not a conversation of this page: {what} is not there.")
        self._raw = raw
        self.what = what

    def problem(self, name: str) -> RecordError:
        """Return the error that says which field is not as it must be."""
        got = str(self._raw.get(name))[:60]
        return RecordError(
            f'This conversation cannot be read: "{name}" of {self.what} is wrong ({got}). '
            "Nothing of it was changed."
        )

    def get(self, name: str) -> Any:
        """Return a field as it is; None where it is missing."""
        return self._raw.get(name)

    def text(self, name: str) -> str:
        """Return a text; a missing one is wrong."""
        value = self._raw.get(name)
        if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
            raise self.problem(name)
        return value

    def id(self, name: str, *, empty: bool = False) -> str:
        """Return what ``uuid4().hex`` makes; "" only where ``empty``."""
        value = self.text(name)
        if not (_ID.fullmatch(value) or (empty and not value)):
            raise self.problem(name)
        return value

    def one_of(self, name: str, known: Sequence[Any]) -> Any:
        """Return one of ``known``."""
        value = self._raw.get(name)
        if not isinstance(value, str) or value not in known:
            raise self.problem(name)
        return value

    def entries(self, name: str, most: int) -> list[Any]:
        """Return a list of at most ``most``."""
        value = self._raw.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise self.problem(name)
        return value

    def texts(self, name: str, most: int) -> list[str]:
        """Return a list of texts."""
        return [_Fields({name: text}, self.what).text(name) for text in self.entries(name, most)]

    def number(self, name: str, *, least: float = 0.0) -> float:
        """Return a finite number."""
        value = self._raw.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.problem(name)
        # a whole number may be larger than any float
        if not (abs(value) <= sys.float_info.max and value >= least):
            raise self.problem(name)
        return value

    def whole(self, name: str, least: int = 0) -> int:
        """Return a whole number of a size that counts have."""
        value = self.number(name, least=least)
        if value != int(value) or value > MAX_COUNT:
            raise self.problem(name)
        return int(value)


def to_record(dialogue: Dialogue) -> dict[str, Any]:
    """Return a conversation as JSON: what was written and answered, and where the files are.

    What can be computed from that again is left out: pictures, targets, drawings.
    """
    return {
        "version": VERSION,
        "id": dialogue.id,
        "title": make_title(dialogue),
        "at": dialogue.at,
        "turns": [_write_turn(turn) for turn in dialogue.turns],
    }


def make_title(dialogue: Dialogue) -> str:
    """Return what to call a conversation: its first question, or the file that it is about."""
    for turn in dialogue.turns[:1]:
        names = [attached.name for attached in turn.attachments]
        title = " ".join(turn.text[: 4 * TITLE_CHARACTERS].split()) or ", ".join(names)
        if len(title) > TITLE_CHARACTERS:
            title = title[: TITLE_CHARACTERS - 1].rstrip() + "…"
        return title or UNTITLED
    return UNTITLED


def key_of(turn_id: str, index: int) -> str:
    """Return what the browser calls the file at ``index`` of a turn's attachments."""
    return f"{turn_id}/{index}"


def from_record(record: object, files: Mapping[str, str], open_file: OpenFile) -> Dialogue:
    """Return the conversation that a browser kept; nothing of ``record`` is trusted.

    A file that is gone or damaged leaves a note in its place. An answer that was being written is
    one that was stopped.

    Args:
        files: paths of those that are here again, as ``key_of`` calls them; no path is taken from
            the record.

    Raises:
        RecordError: it is no record, or not one of ours.
    """
    raw = _Fields(record, "the conversation")
    version = raw.whole("version", 1)
    if version > VERSION:
        raise RecordError(
            f"This conversation was written by a newer version of the page (format {version}, this "
            f"page reads up to {VERSION}). Update Sightline to open it."
        )
    dialogue = Dialogue(id=raw.id("id"))
    known: set[str] = set()
    for number, entry in enumerate(raw.entries("turns", MAX_TURNS), 1):
        turn = _read_turn(_Fields(entry, f"turn {number}"), files, open_file)
        if turn.id in known:
            raise RecordError(f"This conversation cannot be read: turn {number} is there twice.")
        if turn.before and turn.before not in known:
            raise RecordError(
                f"This conversation cannot be read: what comes before turn {number} is missing."
            )
        known.add(turn.id)
        dialogue = replace(dialogue, turns=(*dialogue.turns, turn))
    at = raw.id("at", empty=True)
    if at and at not in known:
        raise RecordError("This conversation cannot be read: its last turn is missing.")
    for turn in dialogue.turns:
        pictures = pictures_in_question(replace(dialogue, at=turn.id).path)
        dialogue = dialogue.put(_mark(turn, pictures))
    return replace(dialogue, at=at)


def _write_turn(turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "before": turn.before,
        "text": turn.text,
        "attachments": [
            {
                "name": attached.name,
                "kind": attached.kind,
                "path": attached.path,
                "choice": asdict(attached.choice),
            }
            for attached in turn.attachments
        ],
        "thinking": turn.thinking,
        "answer": turn.answer,
        "state": turn.state,
        "thinking_s": turn.thinking_s,
        "spent_s": turn.spent_s,
        # each has the whole conversation until then
        "request": turn.request if len(turn.request) <= MAX_RAW_CHARACTERS else "",
        "convention": turn.convention,
        "default_image": turn.default_image,
        "notes": list(turn.notes),
        "finished": _write_finished(turn),
    }


def _write_finished(turn: Turn) -> dict[str, Any] | None:
    """Return how the answer came about; each token only where a target's score is read from it."""
    if turn.finished is None:
        return None
    tokens: Sequence[TokenProbability] = ()
    if any(target.score is not None for target in turn.targets):
        tokens = turn.finished.tokens
    written = [[token.text, max(token.logprob, _LOWEST_LOGPROB)] for token in tokens]
    return {**asdict(replace(turn.finished, tokens=())), "tokens": written}


def _read_turn(raw: _Fields, files: Mapping[str, str], open_file: OpenFile) -> Turn:
    turn_id = raw.id("id")
    entries = raw.entries("attachments", MAX_FILES)
    attachments = tuple(
        _read_attached(
            _Fields(entry, f"a file of {raw.what}"), files.get(key_of(turn_id, index)), open_file
        )
        for index, entry in enumerate(entries)
    )
    state: State = raw.one_of("state", get_args(State))
    notes = tuple(raw.texts("notes", MAX_NOTES))
    return Turn(
        raw.text("text"),
        attachments,
        thinking=raw.text("thinking"),
        answer=raw.text("answer"),
        state="stopped" if state == "running" else state,
        thinking_s=None if raw.get("thinking_s") is None else raw.number("thinking_s"),
        spent_s=raw.number("spent_s"),
        request=raw.text("request"),
        convention=raw.one_of("convention", tuple(CONVENTIONS)),
        default_image=None if raw.get("default_image") is None else raw.whole("default_image"),
        notes=(*notes, LEFT) if state == "running" else notes,
        finished=_read_finished(raw),
        before=raw.id("before", empty=True),
        id=turn_id,
    )


def _read_attached(raw: _Fields, path: str | None, open_file: OpenFile) -> Attached:
    name = raw.text("name")[:MAX_NAME_CHARACTERS]
    kind: Kind = raw.one_of("kind", get_args(Kind))
    choice = read_choice(raw.get("choice"))
    if path is None:
        return _without_file(name, kind, choice, f"{name} is not here any more; attach it again.")
    try:
        return replace(open_file(path, choice), name=name)
    except MediaError as error:
        return _without_file(name, kind, choice, str(error))


def _without_file(name: str, kind: Kind, choice: Choice, why: str) -> Attached:
    """Return what stands for a file that cannot be shown; the model is told, too."""
    content = {"type": "text", "text": f"[The file {name} was attached, but is missing.]"}
    return Attached(name, kind, (content,), choice=choice, notes=(as_sentence(MediaError(why)),))


def _read_finished(turn: _Fields) -> Finished | None:
    if turn.get("finished") is None:
        return None
    raw = _Fields(turn.get("finished"), f"the numbers of {turn.what}")
    tokens = []
    for pair in raw.entries("tokens", MAX_TOKENS):
        if not (isinstance(pair, list) and len(pair) == 2):
            raise raw.problem("tokens")
        token = _Fields({"text": pair[0], "logprob": pair[1]}, raw.what)
        logprob = min(token.number("logprob", least=-math.inf), 0.0)
        tokens.append(TokenProbability(token.text("text"), logprob))
    return Finished(
        raw.one_of("reason", ("stop", "length")),
        raw.whole("prompt_tokens"),
        raw.whole("new_tokens"),
        raw.number("first_token_s"),
        raw.number("total_s"),
        tuple(tokens),
    )


def _mark(turn: Turn, pictures: Sequence[Picture]) -> Turn:
    """Return the turn with its targets, as it was before it was written."""
    index = turn.default_image
    if index is not None and index >= len(pictures):
        turn = replace(turn, default_image=None)
    if not turn.answer:
        return turn
    # they come again with the reading
    from_reading = to_sentences(read_turn(turn, pictures).notes)
    return mark_complete(turn, pictures, [n for n in turn.notes if n not in from_reading])
