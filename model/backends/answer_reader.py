"""The tokens of an answer, as they come -> its thought and its answer, apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.backends.base import AnswerDelta, Event, Reply, ThinkingDelta
from model.backends.thinking import ThinkingSplitter

if TYPE_CHECKING:
    from model.processing import Glm4vTokenizer


class AnswerReader:
    """Reads one answer.

    Args:
        tokenizer: of the model that writes it.
        inside: the prompt ends inside of an opened thought.
    """

    def __init__(self, tokenizer: Glm4vTokenizer, *, inside: bool) -> None:
        from model.processing import StreamDecoder

        self._decoder = StreamDecoder(tokenizer)
        self._splitter = ThinkingSplitter(inside=inside)
        self._shown = ""  # by whoever goes on with it: not to come again

    def push(self, token_id: int) -> tuple[str, list[Event]]:
        """Return the text that a token completes, and the events that are certain by it."""
        text = self._decoder.push(token_id)
        return text, self._unseen(self._splitter.push(text))

    def end(self, *, is_complete: bool) -> tuple[str, list[Event]]:
        """Return what was held back.

        Args:
            is_complete: the answer was not cut, so half of a character is all there is of it.
        """
        text = self._decoder.flush() if is_complete else ""
        return text, self._unseen([*self._splitter.push(text), *self._splitter.flush()])

    def go_on_from(self, tokens: list[int], shown: Reply) -> list[Event]:
        """Read the tokens that came before, and return what of them is not shown yet.

        Args:
            tokens: of the answer so far.
            shown: as it stands where it is gone on with; the same text but for blanks at its end,
                or what was held back when it was cut.
        """
        known = Reply()
        for token in tokens:
            for event in self.push(token)[1]:
                known.add(event)
        is_answer = bool(known.answer or shown.answer)
        before, now = (r.answer if is_answer else r.thinking for r in (known, shown))
        if now.startswith(before):
            self._shown = now[len(before) :]
        elif before.startswith(now):
            rest = before[len(now) :]
            return [AnswerDelta(rest) if is_answer else ThinkingDelta(rest)]
        return []

    def _unseen(self, events: list[Event]) -> list[Event]:
        """Leave out what is shown already, as far as it comes again."""
        left: list[Event] = []
        for event in events:
            if self._shown and isinstance(event, AnswerDelta | ThinkingDelta):
                common = _common_length(event.text, self._shown)
                self._shown = self._shown[common:] if common == len(event.text) else ""
                event = type(event)(event.text[common:])
                if not event.text:
                    continue
            left.append(event)
        return left


def _common_length(a: str, b: str) -> int:
    size = min(len(a), len(b))
    return next((place for place in range(size) if a[place] != b[place]), size)
