"""The chunks of a streamed answer -> events."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any, Literal

from model.backends.base import (
    AnswerDelta,
    Event,
    Finished,
    Reply,
    ThinkingDelta,
    TokenProbability,
)
from model.backends.endpoint.opening import Opening, Seam
from model.backends.thinking import CLOSING_TAG, OPENING_TAG, ThinkingSplitter
from model.characters import CharacterJoiner

# Each of them ends an answer of a GLM model; servers that keep special tokens may send it.
STOP_TOKENS = ("<|endoftext|>", "<|user|>", "<|observation|>")

# How an answer ends that is complete, one that is too long (the second is Z.ai's word for a full
# context), and one that the server cut for what it says or because it failed.
LENGTH_REASONS = ("length", "model_context_window_exceeded")
WITHHELD_REASONS = ("content_filter", "sensitive")
FAILED_REASONS = ("network_error", "error", "abort")

# More are a server's mistake: of tokens, and of a logarithm but for its rounding.
MAX_COUNT = 10**9
MAX_LOGPROB = 0.01


class StopTrimmer:
    """Removes a stop token at the very end of a text that arrives in pieces."""

    def __init__(self) -> None:
        self._held = ""  # the end of the text, as long as it may be a stop token

    def push(self, text: str) -> str:
        """Take the next piece; return what is certain to be part of the answer."""
        text = self._held + text
        start = len(text) - _length_of_possible_stop(text)
        self._held = text[start:]
        return text[:start]

    def flush(self) -> str:
        """Return what was held back and is no stop token; call once, after the last piece."""
        return "" if self._held in STOP_TOKENS else self._held


def _length_of_possible_stop(text: str) -> int:
    """How many characters at the end are a stop token or its beginning."""
    for length in range(min(len(text), max(map(len, STOP_TOKENS))), 0, -1):
        if any(token.startswith(text[-length:]) for token in STOP_TOKENS):
            return length
    return 0


class AnswerReader:
    """Puts one answer together; knows nothing of connections.

    The thought is read from ``reasoning_content``, from ``reasoning``, or from between tags in the
    answer itself, with either tag missing. Whatever a server sends that makes no sense is passed
    over: chunks are data, not trusted to have the protocol's form.
    """

    def __init__(self, *, enable_thinking: bool, opening: Opening | None = None) -> None:
        """``opening``: what the answer goes on with, if it does."""
        self._enable_thinking = enable_thinking
        self._opening = opening
        self._seam = Seam(opening) if opening is not None else None
        is_thought = opening is not None and opening.is_thought
        self._thought_joiner, self._answer_joiner = CharacterJoiner(), CharacterJoiner()
        self._trimmer = StopTrimmer()
        self._splitter = ThinkingSplitter(inside=is_thought, begun=is_thought)
        self._reply = Reply()
        self._has_reasoning = False
        self._pieces = 0
        self._tokens = _TokenReader()
        self.finish_reason: str | None = None
        self.usage: tuple[int, int] | None = None  # tokens of the prompt, tokens generated

    @property
    def has_text(self) -> bool:
        """Whether anything of a thought or an answer came, even if it is still held back."""
        return self._pieces > 0

    def push(self, chunk: Any) -> list[Event]:
        """Take the next chunk; return the events that are certain by now."""
        events: list[Event] = []
        usage = getattr(chunk, "usage", None)
        prompt, generated = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if prompt is not None and generated is not None:
            self.usage = (prompt, generated)
        for choice in _list(chunk, "choices")[:1]:
            delta = getattr(choice, "delta", None)
            thought = _text(delta, "reasoning_content") or _text(delta, "reasoning")
            answer = _text(delta, "content")
            self._pieces += bool(thought or answer)
            if self._opening is not None and not self._opening.is_thought:
                # servers that were not told that the thought is over take an answer for one
                thought, answer = "", thought + answer
            thought = self._thought_joiner.push(thought)
            if answer:
                thought += self._thought_joiner.flush()
                answer = self._answer_joiner.push(answer)
            events += self._push_thought(thought) + self._push_answer(answer)
            self._tokens.push(choice)
            self.finish_reason = _text(choice, "finish_reason") or self.finish_reason
        return self._remember(events)

    def flush(self) -> list[Event]:
        """Return what was held back; call once, after the last chunk, complete or not."""
        events = self._push_thought(self._thought_joiner.flush())
        events += self._push_answer(self._answer_joiner.flush())
        events += self._push_rest(self._trimmer.flush()) + self._splitter.flush()
        self._remember(events)
        is_whole = self.finish_reason == "stop" and not self._reply.answer.strip()
        if is_whole and self._has_reasoning and not self._enable_thinking:
            # told not to think, a model answers at once; some servers take that for a thought
            events += self._remember([AnswerDelta(self._reply.thinking)])
        return events

    def finished(self, *, prompt_tokens: int, first_token_s: float, total_s: float) -> Finished:
        """Return the last event; call after ``flush``.

        Args:
            prompt_tokens: what to say if the server did not tell.
        """
        tokens = self._tokens.tokens_of(self._reply.answer)
        counted = (prompt_tokens, len(tokens) or self._pieces)
        prompt, generated = self.usage or counted
        reason: Literal["stop", "length"] = (
            "length" if self.finish_reason in LENGTH_REASONS else "stop"
        )
        return Finished(reason, prompt, generated, first_token_s, total_s, tokens)

    def _push_thought(self, text: str) -> list[Event]:
        if not text:
            return []
        if not self._has_reasoning:
            self._has_reasoning = True
            if not self._reply.answer:
                # the answer comes apart: tags in it are ordinary text
                self._splitter.push(OPENING_TAG * (self._seam is None) + CLOSING_TAG)
            text = text.lstrip() if self._seam is None else self._seam.push(text)
        return [ThinkingDelta(text)] if text else []

    def _push_answer(self, text: str) -> list[Event]:
        return self._push_rest(self._trimmer.push(text)) if text else []

    def _push_rest(self, text: str) -> list[Event]:
        """Tell thought from answer in a text without stop tokens."""
        if self._opening is None or self._has_reasoning:
            return self._splitter.push(text)
        assert self._seam is not None
        text = self._seam.push(text)
        if self._opening.is_thought:
            return self._splitter.push(text)
        return [AnswerDelta(text)] if text else []

    def _remember(self, events: list[Event]) -> list[Event]:
        for event in events:
            self._reply.add(event)
        return events


class _TokenReader:
    """Collects the tokens of an answer and their probabilities.

    A token may end within a character; its text is then told with the next one.
    """

    def __init__(self) -> None:
        self._tokens: list[TokenProbability] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._joiner = CharacterJoiner()

    def push(self, choice: Any) -> None:
        """Take the tokens of a chunk in."""
        for token in _list(getattr(choice, "logprobs", None), "content"):
            text, logprob = getattr(token, "token", None), getattr(token, "logprob", None)
            if not isinstance(text, str) or not isinstance(logprob, (int, float)):
                continue
            # NaN is not less than anything
            if not logprob < MAX_LOGPROB:
                continue
            raw = getattr(token, "bytes", None)
            if isinstance(raw, list) and all(isinstance(byte, int) for byte in raw):
                text = self._decoder.decode(bytes(byte & 0xFF for byte in raw))
            self._tokens.append(TokenProbability(self._joiner.push(text), min(float(logprob), 0.0)))

    def tokens_of(self, answer: str) -> tuple[TokenProbability, ...]:
        """Return the tokens if they really end with the answer, else none."""
        tokens: Sequence[TokenProbability] = self._tokens
        while tokens and tokens[-1].text in STOP_TOKENS:
            tokens = tokens[:-1]
        joined = "".join(token.text for token in tokens)
        return tuple(tokens) if answer and joined.endswith(answer) else ()


def _text(holder: Any, name: str) -> str:
    value = getattr(holder, name, None)
    return value if isinstance(value, str) else ""


def _count(holder: Any, name: str) -> int | None:
    value = getattr(holder, name, None)
    return value if isinstance(value, int) and 0 <= value <= MAX_COUNT else None


def _list(holder: Any, name: str) -> list[Any]:
    value = getattr(holder, name, None)
    return value if isinstance(value, list) else []
