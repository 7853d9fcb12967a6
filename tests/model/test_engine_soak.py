"""The engine under many askers who share beginnings, lag, and leave."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from prompts import Prompt
from torch import Tensor

import model.pacing
from model.engine import Engine
from model.generate import stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

ASKERS = 6
QUESTIONS = 200
MAX_NEW_TOKENS = 90  # more than the engine computes ahead of its reader
PATIENCE_S = 60.0
MAX_PREFIX_BYTES = 400_000
MAX_VISION_BYTES = 12_000


def conversations(rng: random.Random) -> list[tuple[dict[str, Tensor], dict[str, Any]]]:
    """Return prompts, many of which begin alike, with the options of their answers."""
    beginnings = [
        Prompt().text(30),
        Prompt().text(20).image(6, 8),
        Prompt().text(3).video(4, 4, 6).text(9).image(4, 4).text(5),
    ]
    shown = [beginning.tensors() for beginning in beginnings]
    asked = []
    for n in range(24):
        inputs = dict(shown[n % 3])
        more = torch.randint(1, 140, (1, rng.randint(1, 60)))
        inputs["input_ids"] = torch.cat((inputs["input_ids"], more), dim=1)
        options: dict[str, Any] = {"max_new_tokens": rng.choice((1, 8, MAX_NEW_TOKENS))}
        if n % 2:
            options |= {"do_sample": True, "temperature": 1.3, "top_k": 40, "seed": n}
        asked.append((inputs, options))
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("pauses", ["when it is time", "after every layer"])
def test_two_hundred_questions_from_six_threads_are_each_answered_as_alone(
    tiny_model: Glm4vMoeForConditionalGeneration, monkeypatch: pytest.MonkeyPatch, pauses: str
) -> None:
    if pauses == "after every layer":
        monkeypatch.setattr(model.pacing, "READING_ANSWERS", 0)
        monkeypatch.setattr(model.pacing, "MIN_READING_S", 0.0)
    monkeypatch.setattr(model.pacing, "FIRST_PIECE_TOKENS", 17)
    monkeypatch.setattr("model.prompt.MAX_GROUP_PATCHES", 50)
    asked = conversations(random.Random(0))
    expected = []
    for inputs, options in asked:
        all_options: dict[str, Any] = {**inputs, **options}
        expected.append([int(s.token) for s in stream_tokens(tiny_model, **all_options)])
    engine = Engine(
        tiny_model,
        max_running=4,
        max_kv_bytes=600_000,
        max_prefix_bytes=MAX_PREFIX_BYTES,
        max_vision_bytes=MAX_VISION_BYTES,
    )

    def ask(seed: int) -> bool:
        rng = random.Random(seed)
        which = rng.randrange(len(asked))
        inputs, options = asked[which]
        patience = rng.choice((0, 3, MAX_NEW_TOKENS, MAX_NEW_TOKENS))  # tokens until it leaves
        tokens: list[int] = []
        with engine.submit(inputs, **options) as request:
            while len(tokens) < patience:
                token = request.next_token(PATIENCE_S)
                if token is None:
                    break
                tokens.append(token.id)
        memory = engine.memory()
        assert memory.prefixes <= MAX_PREFIX_BYTES
        assert memory.vision <= MAX_VISION_BYTES
        return tokens == expected[which][:patience]

    try:
        with ThreadPoolExecutor(ASKERS) as threads:
            assert all(threads.map(ask, range(QUESTIONS)))
        inputs, _ = asked[0]
        with engine.submit(inputs, max_new_tokens=1) as last:  # those who left are gone by then
            assert last.next_token(PATIENCE_S) is not None
            assert last.next_token(PATIENCE_S) is None
        assert engine.memory().running == 0
    finally:
        engine.close()
