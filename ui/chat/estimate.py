"""How much of the model's context a message will take, and when its answer may begin."""

from __future__ import annotations

from dataclasses import dataclass

from ui.conversation import Conversation

# A prompt much longer than any that was measured may behave differently.
MAX_EXTRAPOLATION = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What sending a message will take.

    Attributes:
        attached: tokens of the files; the text comes on top.
        before: tokens of the conversation so far; thoughts are left out when it goes on, so it may
            turn out a little less.
        context: tokens that fit into the model's context; None if that is not known.
        first_word_s: seconds until the answer begins; None if nothing comparable was measured.
    """

    attached: int
    before: int
    context: int | None
    first_word_s: float | None

    @property
    def total(self) -> int:
        """All tokens but those of the text."""
        return self.attached + self.before

    @property
    def is_too_long(self) -> bool:
        """Whether the files leave no room for a question and an answer."""
        return self.context is not None and self.total >= self.context


def estimate(tokens: int, conversation: Conversation, context: int | None) -> Estimate:
    """Estimate from the tokens of the files, and from what earlier answers took."""
    answered = [turn.finished for turn in conversation if turn.finished is not None]
    before = answered[-1].prompt_tokens + answered[-1].new_tokens if answered else 0
    seconds = None
    longest = max(answered, key=lambda finished: finished.prompt_tokens, default=None)
    if longest is not None and tokens + before <= MAX_EXTRAPOLATION * longest.prompt_tokens:
        seconds = longest.first_token_s * (tokens + before) / longest.prompt_tokens
    return Estimate(tokens, before, context, seconds)
