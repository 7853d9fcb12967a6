"""What answers a conversation: one protocol, and the events that an answer consists of."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from model.processing import WHOLE, Attachment, Choice, Limits

# {"role": ..., "content": [{"type": "image", "image": PIL.Image}, {"type": "text", "text": ...}]}
Message: TypeAlias = dict[str, Any]


class BackendError(RuntimeError):
    """Something the user must know; the message says what happened and what to do."""


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """The next piece of the thought."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """The next piece of the answer, as the model wrote it (box markers included)."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerWasThinking:
    """All answer text so far was the thought: a closing tag came that no opening tag announced."""


class TokenProbability(NamedTuple):
    """A token that was generated: its text, and the natural logarithm of its probability.

    The probability is the model's own, whatever temperature or penalties the token was picked with.
    For a whole number, which may be a coordinate, it is that of it or one close by, if the backend
    knows those: 412 and 413 point at the same thing.
    """

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a stream.

    Attributes:
        first_token_s: seconds from the start of the computation; so is ``total_s``.
        tokens: all that was generated, in order; joined, their texts end with the answer. Empty
            where a backend does not know them.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int
    new_tokens: int
    first_token_s: float
    total_s: float
    tokens: tuple[TokenProbability, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing has been generated yet; comes several times a second until something has.

    Attributes:
        place: in the queue behind others, 1 for the next; 0 once the question is being read.
        read: how much of the question has been read, from 0 to 1.
    """

    place: int = 0
    read: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What the model or the server was given; comes once, before the first piece.

    Attributes:
        request: for people to read. Pictures and videos are told, not contained; no key is in it.
    """

    request: str


Event: TypeAlias = Waiting | Sent | ThinkingDelta | AnswerDelta | AnswerWasThinking | Finished


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a backend can answer now, in words for the user."""

    state: Literal["loading", "ready", "failed"]
    detail: str


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to pick tokens; None means the checkpoint's own default.

    Attributes:
        temperature: 0 always takes the likeliest token.
        thinking_budget: tokens that a thought may take; then it is closed, and the answer begins.
            Only where ``Abilities`` has it.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    thinking_budget: int | None = None


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a backend can do that not all can.

    Attributes:
        thinking_budget: end a thought after so many tokens, and begin the answer.
        continuing: go on with an answer that ended early (``ChatBackend.stream``).
    """

    thinking_budget: bool = False
    continuing: bool = False


class ChatBackend(Protocol):
    """Answers conversations; holds nothing of a single conversation."""

    @property
    def name(self) -> str:
        """What to call this backend on the page."""

    @property
    def model_name(self) -> str:
        """What the model calls itself, which tells how it writes coordinates; "" if not known."""

    @property
    def abilities(self) -> Abilities:
        """What this backend can do; may change once it is ready."""

    @property
    def defaults(self) -> SamplingOptions:
        """What None means in the options of a question; None in it is not known (yet)."""

    def status(self) -> Status:
        """Say whether the backend is loading, ready or failed; returns at once."""

    @property
    def context_length(self) -> int | None:
        """Tokens that a conversation and its answer may have together; None if not known (yet)."""

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        """Open a file as this backend will see it.

        Args:
            path: local file; its name is what the person called it.
            choice: which part of it.
            limits: what the operator allows.

        Raises:
            MediaError: the file cannot be used; the message names it and says what to do.
            BackendError: the backend does not know yet how it would see the file.
        """

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        """Yield the answer as it comes, ending with ``Finished``; closing it ends all work.

        A conversation that ends with an assistant's message is gone on with, where ``Abilities``
        has that: only what is new is yielded. Such a message may have, beside its content, the
        "reasoning_content" before it; with that and without content, the thought is gone on with.

        A generator that waits cannot be closed: a backend that waits for long yields empty deltas
        meanwhile.

        Raises:
            BackendError: the conversation cannot be answered.
        """


@dataclass(slots=True)
class Reply:
    """An answer being put together from the events of one stream."""

    thinking: str = ""
    answer: str = ""
    request: str = ""  # what was sent, for people
    waiting: Waiting | None = None  # until something is generated
    finished: Finished | None = None

    def add(self, event: Event) -> None:
        """Take the next event of the stream in."""
        if isinstance(event, ThinkingDelta):
            self.thinking += event.text
        elif isinstance(event, AnswerDelta):
            self.answer += event.text
        elif isinstance(event, AnswerWasThinking):
            self.thinking, self.answer = self.thinking + self.answer, ""
        elif isinstance(event, Waiting):
            self.waiting = event
            return
        elif isinstance(event, Sent):
            self.request = event.request
            return
        else:
            self.finished = event
        self.waiting = None
