"""A backend with a door: people wait in a fair line for a place of the one behind it."""

from __future__ import annotations

from collections.abc import Generator

from model.backends.base import (
    Abilities,
    ChatBackend,
    Event,
    Message,
    SamplingOptions,
    Status,
    Waiting,
)
from model.processing import WHOLE, Attachment, Choice, Limits
from ui.settings import PageSettings
from ui.visitors.visitor import who_asks
from ui.visitors.waiting_line import WaitingLine

# A stop is noticed so fast by somebody who waits ...
WAITING_INTERVAL_S = 0.25
# ... but so many steps a second are enough for all who wait: each is a message to a browser.
WAITING_STEPS_PER_S = 40


class FairBackend:
    """Answers as the backend behind it, once it is the visitor's turn.

    Args:
        backend: what answers.
        line: where to wait.
        takes_place: whether an answer needs one of the places.
    """

    def __init__(
        self, backend: ChatBackend, line: WaitingLine, *, takes_place: bool = True
    ) -> None:
        self._backend = backend
        self._line = line
        self._takes_place = takes_place

    def beside(self, other: ChatBackend) -> FairBackend:
        """Return a visitor's own backend behind this line: it counts, and needs no place."""
        return FairBackend(other, self._line, takes_place=False)

    @property
    def name(self) -> str:
        """What to call the backend on the page."""
        return self._backend.name

    @property
    def model_name(self) -> str:
        """What the model calls itself."""
        return self._backend.model_name

    @property
    def abilities(self) -> Abilities:
        """What the backend can do."""
        return self._backend.abilities

    @property
    def defaults(self) -> SamplingOptions:
        """What None means in the options of a question."""
        return self._backend.defaults

    def status(self) -> Status:
        """Say whether the backend is loading, ready or failed; returns at once."""
        return self._backend.status()

    @property
    def context_length(self) -> int | None:
        """Tokens that a conversation and its answer may have together; None if not known (yet)."""
        return self._backend.context_length

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        """Open a file as the backend will see it; see ``ChatBackend``."""
        return self._backend.open_attachment(path, choice, limits=limits)

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        """Yield ``Waiting`` until it is the visitor's turn, then what the backend yields.

        Closing it gives back the place, in the queue too.

        Raises:
            BackendError: the line is full, the visitor asks too often, or the backend's own.
        """
        question = self._line.enter(who_asks(), takes_place=self._takes_place)
        try:
            while not question.wait(self._interval_s()):
                yield Waiting(question.place)
            yield from self._backend.stream(
                messages, enable_thinking=enable_thinking, options=options
            )
        finally:
            self._line.leave(question)

    def _interval_s(self) -> float:
        return max(WAITING_INTERVAL_S, self._line.waiting / WAITING_STEPS_PER_S)


def admit(backend: ChatBackend, settings: PageSettings) -> FairBackend:
    """Return the backend with a line before it, as the page is set; it is never given a second."""
    if isinstance(backend, FairBackend):
        return backend
    line = WaitingLine(
        settings.max_conversations,
        max_waiting=settings.max_waiting,
        max_per_minute=settings.max_per_minute,
    )
    return FairBackend(backend, line)


def who_answers(page: ChatBackend, own: ChatBackend | None) -> ChatBackend:
    """Return what answers a visitor: their own backend if they have one, else the page's."""
    if own is None:
        return page
    return page.beside(own) if isinstance(page, FairBackend) else own
