"""The beginning of an answer that a server is to go on with, and how what comes is joined to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.backends.thinking import CLOSING_TAG, OPENING_TAG


@dataclass(frozen=True, slots=True)
class Opening:
    """What there is of an answer already.

    Attributes:
        thought: "" for none.
        answer: "" while the thought lasts.
        closes_thought: whether the server closes a thought in any case, so that its answer begins.
    """

    thought: str
    answer: str
    closes_thought: bool

    @property
    def is_thought(self) -> bool:
        """Whether what comes next belongs to the thought."""
        return bool(self.thought) and not self.answer and not self.closes_thought

    @property
    def blanks(self) -> str:
        """What stands at the end and is not sent: a model writes a blank with the word after it."""
        last = self.thought if self.is_thought else self.answer
        return last[len(last.rstrip()) :]

    def to_text(self) -> str:
        """Return the content of the message that the server goes on with.

        The thought stands between its tags within the content: servers differ in whether they pass
        a field of its own to the chat template, which takes it from there.
        """
        if not self.thought:
            return self.answer.rstrip()
        thought = OPENING_TAG + self.thought.strip()
        return thought if self.is_thought else f"{thought}{CLOSING_TAG}\n{self.answer.strip()}"


def read_opening(last: Mapping[str, Any], *, closes_thought: bool) -> Opening | None:
    """Return what an answer has already; None if that is nothing.

    Args:
        last: the answer, a message in the protocol's form.
    """
    thought, answer = last.get("reasoning_content") or "", last["content"]
    return Opening(thought, answer, closes_thought) if thought or answer.strip() else None


class Seam:
    """Leaves out of what comes the blanks that are there already."""

    def __init__(self, opening: Opening) -> None:
        self._blanks = opening.blanks
        # between a thought and its answer there may be any
        self._any = not opening.is_thought and not opening.answer

    def push(self, text: str) -> str:
        """Take the next piece; return what is new of it."""
        if self._any:
            text = text.lstrip()
        while text and self._blanks[:1] == text[0]:
            text, self._blanks = text[1:], self._blanks[1:]
        if text:
            self._blanks, self._any = "", False
        return text
