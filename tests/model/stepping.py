"""An engine that the test drives turn by turn, and its slow twin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from prompts import Prompt
from torch import Tensor

import model.pacing
from model.engine import Engine
from model.generate import stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.request import Request

Model = Glm4vMoeForConditionalGeneration
PATIENCE_S = 60.0


class Stepped(Engine):
    """An engine whose turns are taken by the test."""

    def _run(self) -> None:
        pass

    @torch.inference_mode()
    def turns(self, count: int = 1) -> bool:
        """Take turns; whether the last one had anything to do."""
        return [self._take_turn() for _ in range(count)][-1]

    def finish(self) -> None:
        """Take turns until nothing is left to do."""
        while self.turns():
            pass


def alone(tiny_model: Model, inputs: dict[str, Tensor], **options: Any) -> list[int]:
    """Return the answer by the slow twin."""
    asked: dict[str, Any] = {**inputs, **options}
    return [int(step.token) for step in stream_tokens(tiny_model, **asked)]


def read(request: Request) -> list[int]:
    """Return all tokens that are still to come."""
    tokens = []
    while (token := request.next_token(PATIENCE_S)) is not None:
        tokens.append(token.id)
    return tokens


def text(count: int) -> dict[str, Tensor]:
    """Return a prompt of ``count`` ordinary tokens."""
    return Prompt().text(count).tensors()


def pieces_of(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let every piece of a prompt have ``tokens`` tokens."""
    for name in ("FIRST_PIECE_TOKENS", "MAX_PIECE_TOKENS", "MIN_PIECE_TOKENS"):
        monkeypatch.setattr(model.pacing, name, tokens)
