"""A stream of text pieces -> thought and answer, apart."""

from __future__ import annotations

from model.backends.base import AnswerDelta, AnswerWasThinking, Event, ThinkingDelta

OPENING_TAG = "<think>"
CLOSING_TAG = "</think>"
# {opening: closing}: GLM's, and those of other models that an endpoint may have
TAGS = {
    OPENING_TAG: CLOSING_TAG,
    "<thinking>": "</thinking>",
    "<seed:think>": "</seed:think>",
    "◁think▷": "◁/think▷",
}


def _length_to_hold(text: str, closing_tag: str) -> int:
    """How many characters at the end may be the beginning of a closing tag, with blanks before."""
    for length in range(min(len(text), len(closing_tag) - 1), 0, -1):
        if closing_tag.startswith(text[-length:]):
            text = text[:-length]
            return length + len(text) - len(text.rstrip())
    return len(text) - len(text.rstrip())


class ThinkingSplitter:
    """Tells thought from answer while the text arrives in pieces of any length.

    Only the first block counts, and only at the beginning: once the answer has begun after a
    closed thought, tags are ordinary text (an answer may explain what ``<think>`` means). A tag
    may be cut anywhere between two pieces. A missing closing tag leaves everything in the thought;
    a missing opening tag is noticed at the closing one (``AnswerWasThinking``).
    """

    def __init__(self, *, inside: bool = False, begun: bool = False) -> None:
        """
        Args:
            inside: the prompt already ends with an opening tag, or within a thought.
            begun: the thought goes on there, so that blanks at its beginning belong to it.
        """
        self._place = "thinking" if inside else "start"  # start -> thinking -> answer
        self._closing_tag = CLOSING_TAG
        self._closed = False
        self._held = ""  # text that may still turn out to be a tag, or blanks at an edge
        self._at_edge = not begun  # nothing but blanks since the thought or the answer began

    def push(self, text: str) -> list[Event]:
        """Take the next piece; return the events that are certain by now."""
        self._held += text
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def flush(self) -> list[Event]:
        """Return what was held back; call once, after the last piece."""
        text, self._held = self._held, ""
        return self._emit(text.rstrip() if self._place == "thinking" else text)

    def _step(self, events: list[Event]) -> bool:
        """Consume what can be consumed; True if a tag was passed and there may be more."""
        if self._place == "start":
            text = self._held.lstrip()
            for opening, closing in TAGS.items():
                if text.startswith(opening):
                    self._closing_tag = closing
                    self._enter("thinking", text[len(opening) :])
                    return True
            if any(opening.startswith(text) for opening in TAGS):  # also true of no text at all
                return False
            self._enter("answer", self._held)
        if self._closed:
            events += self._emit_held()
            return False
        before, tag, after = self._held.partition(self._closing_tag)
        if tag:
            events += self._emit(before.rstrip())
            if self._place == "answer":
                events.append(AnswerWasThinking())
            self._closed = True
            self._enter("answer", after)
            return True
        events += self._emit_held(keep=_length_to_hold(self._held, self._closing_tag))
        return False

    def _enter(self, place: str, held: str) -> None:
        self._place, self._held, self._at_edge = place, held, True

    def _emit_held(self, keep: int = 0) -> list[Event]:
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return self._emit(text)

    def _emit(self, text: str) -> list[Event]:
        if self._at_edge:
            text = text.lstrip()
        if not text:
            return []
        self._at_edge = False
        return [ThinkingDelta(text) if self._place == "thinking" else AnswerDelta(text)]
