"""All versions of one person's conversation, and which of them is on the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from ui.conversation import Conversation, Turn


@dataclass(frozen=True, slots=True)
class Editing:
    """A question that is in the message box again, to be asked otherwise.

    Attributes:
        turn: id of its turn.
        is_undone: whether that turn was taken from the page for it.
        put: what was put into the message box.
        aside: what was there before, {"text", "files"}; it comes back afterwards.
    """

    turn: str
    is_undone: bool
    put: dict[str, Any]
    aside: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A tree of turns: a question that is asked again, or otherwise, is a branch beside the first.

    Attributes:
        turns: all of them, in the order in which they were asked.
        at: id of the last turn on the page; "" for an empty page.
        id: its own, given with the first question; "" before.
        editing: the question that is in the message box again; None if there is none.
    """

    turns: tuple[Turn, ...] = ()
    at: str = ""
    id: str = ""
    editing: Editing | None = None

    def turn(self, turn_id: str) -> Turn:
        """Return the turn with this id; KeyError if there is none."""
        for turn in self.turns:
            if turn.id == turn_id:
                return turn
        raise KeyError(turn_id)

    @property
    def is_running(self) -> bool:
        """Whether the last answer on the page is still being written."""
        return bool(self.at) and self.turn(self.at).state == "running"

    @property
    def path(self) -> Conversation:
        """The turns on the page, from the first to ``at``."""
        known = {turn.id: turn for turn in self.turns}
        path: list[Turn] = []
        at = self.at
        while at:
            path.append(known[at])
            at = known[at].before
        return tuple(reversed(path))

    def ask(self, turn: Turn, *, before: str | None = None) -> Dialogue:
        """Return the dialogue with a new turn as the last on the page.

        Args:
            before: id of the turn that it follows, "" for none; by default the last on the page.
        """
        turn = replace(turn, before=self.at if before is None else before)
        turns, own_id = (*self.turns, turn), self.id or uuid4().hex
        return replace(self, turns=turns, at=turn.id, id=own_id)

    def put(self, turn: Turn) -> Dialogue:
        """Return the dialogue with a turn that has grown in the place of what it was."""
        return replace(self, turns=tuple(turn if t.id == turn.id else t for t in self.turns))

    def versions(self, turn_id: str) -> tuple[str, ...]:
        """Return the ids of all turns that follow the same turn, this one among them, in order."""
        return tuple(self._following(self.turn(turn_id).before))

    def show(self, turn_id: str) -> Dialogue:
        """Return the dialogue with this turn on the page, and what was asked last after it."""
        self.turn(turn_id)
        at = turn_id
        while following := list(self._following(at)):
            at = following[-1]
        return replace(self, at=at)

    def back(self) -> Dialogue:
        """Return the dialogue without the last turn on the page, which stays a version."""
        return replace(self, at=self.turn(self.at).before) if self.at else self

    def _following(self, turn_id: str) -> Iterator[str]:
        return (turn.id for turn in self.turns if turn.before == turn_id)
