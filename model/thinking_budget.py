"""A thought that may take so many tokens: then it is closed, and the answer begins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ThinkingBudget:
    """How long a thought may be, and how the model writes its beginning and its end.

    Attributes:
        tokens: of a thought, its tags not counted; 0 closes it as soon as it is opened.
        opening: the token that opens it.
        closing: the tokens that close it and lead over to the answer; the first one alone means
            that it is closed.
        written: so many tokens at the end of the prompt are the beginning of the answer itself,
            which is gone on with; what was thought in them counts.
    """

    tokens: int
    opening: int
    closing: tuple[int, ...]
    written: int = 0

    def __post_init__(self) -> None:
        if self.tokens < 0:
            raise ValueError(f"a thought may take 0 tokens or more, got {self.tokens}")
        if self.written < 0:
            raise ValueError(f"written must be 0 or more, got {self.written}")
        if not self.closing:
            raise ValueError("a thought can't be closed without closing tokens; give one or more")


class Thought:
    """How far the thought of one answer is.

    An answer has one thought at most, and it stands at the beginning: opened by the prompt's end,
    or by the first token of the answer (blanks aside, of which those in ``closing`` are known).
    Later an opening token is a word like any other.

    Args:
        budget: how long it may be.
        prompt: token ids, what is ``written`` of the answer included.
        ends: tokens that end a turn: what was opened before the last of them is over.
    """

    def __init__(
        self, budget: ThinkingBudget, prompt: Sequence[int], ends: Collection[int]
    ) -> None:
        self._budget = budget
        self._place = "start"  # start -> thinking -> answer
        self._tokens = 0  # of the thought so far
        self._is_cut = False
        self._forced: list[int] = []  # to come, in reverse
        size = len(prompt) - budget.written
        bounds = {budget.opening, budget.closing[0], *ends}
        for place in range(size - 1, -1, -1):
            if prompt[place] in bounds:
                if prompt[place] == budget.opening:
                    self._place, self._tokens = "thinking", size - 1 - place
                break
        for token in prompt[size:]:
            self.take(token)

    def allowed(self, logits: Tensor) -> Tensor:
        """Return (V,) logits of what may come: whose thought was cut must not open another."""
        if not self._is_cut:
            return logits
        opening = logits.new_tensor([self._budget.opening], dtype=torch.int64)
        return logits.index_fill(0, opening, float("-inf"))

    def take(self, token: int) -> int:
        """Return what comes next where the model chose ``token``: that, unless its time is over."""
        budget = self._budget
        if self._forced:
            return self._forced.pop()
        if self._place == "start" and token not in budget.closing[1:]:
            self._place = "thinking" if token == budget.opening else "answer"
        elif self._place == "thinking" and self._tokens >= budget.tokens:
            self._place, self._is_cut = "answer", True
            token, *rest = budget.closing
            self._forced = rest[::-1]
        elif self._place == "thinking" and token == budget.closing[0]:
            self._place = "answer"
        elif self._place == "thinking":
            self._tokens += 1
        return token
