"""A decoding step never waits for its device, until the tokens are read: once for all of them.

No GPU is needed: fake tensors have shapes and no values, and an operation whose result the host
would have to know, as waiting for a GPU is caused by, is an error on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from as_on_a_gpu import compute_as_on_a_gpu, forget_values
from tiny import randomize, tiny_config
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.overrides import TorchFunctionMode

from model.cache import CacheBatch, KVCache
from model.config import Glm4vMoeConfig
from model.engine import Engine
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.thinking_budget import ThinkingBudget

Model = Glm4vMoeForConditionalGeneration
READS = {"item", "tolist", "numpy", "cpu", "__int__", "__float__", "__bool__", "__index__"}


class HostReads(TorchFunctionMode):
    """Counts how often values of tensors become Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += getattr(func, "__name__", "") in READS
        return func(*args, **(kwargs or {}))


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    compute_as_on_a_gpu(monkeypatch)


@pytest.fixture
def model() -> Model:
    network = Model(Glm4vMoeConfig(**tiny_config())).bfloat16().eval()
    randomize(network)
    return network


@pytest.fixture
def no_values() -> Iterator[None]:
    with FakeTensorMode(), torch.inference_mode():
        yield


def started(model: Model, lengths: list[int]) -> list[KVCache]:
    """Caches of conversations whose prompts were read."""
    caches = [KVCache(model.config.text_config.num_hidden_layers) for _ in lengths]
    for cache, length in zip(caches, lengths, strict=True):
        ids = torch.zeros(1, length, dtype=torch.int64)
        model.model.language_model(input_ids=ids, past_key_values=cache)
    return caches


@pytest.mark.parametrize("rows", [1, 3])
def test_the_network_computes_a_token_without_values(
    model: Model, as_on_a_gpu: None, no_values: None, rows: int
) -> None:
    forget_values(model)
    caches = started(model, list(range(5, 5 + rows)))
    ids = torch.zeros(rows, 1, dtype=torch.int64)
    hidden = model.model.language_model(
        input_ids=ids,
        position_ids=torch.full((rows, 1), 9),
        past_key_values=caches[0] if rows == 1 else CacheBatch(caches),
    ).last_hidden_state
    logits = model.lm_head(hidden[:, -1])
    assert logits.shape == (rows, model.config.text_config.vocab_size)
    assert caches[0].length == 6
    with pytest.raises(DataDependentOutputException):  # as anything above would have raised it
        bool(logits.sum() > 0)


def engine_reads(model: Model, requests: int, tokens: int, **options: Any) -> list[int]:
    """Return how often each step for answers read values; without those in which one ended."""
    engine = Engine(model)
    answer, reads = engine._answer, list[int]()

    def watched(running: Any) -> None:
        before = len(engine._running)
        with HostReads() as mode:
            answer(running)
        if len(engine._running) == before:
            reads.append(mode.count)

    engine._answer = watched  # type: ignore[method-assign]
    prompts: list[Tensor] = [torch.randint(1, 140, (1, 6 + n)) for n in range(requests)]
    handles = [
        engine.submit({"input_ids": ids}, max_new_tokens=tokens, eos_token_id=(), **options)
        for ids in prompts
    ]
    answers = [[token.id for token in handle] for handle in handles]
    engine.close()
    assert [len(answer) for answer in answers] == [tokens] * requests
    return reads


@pytest.mark.parametrize("requests", [1, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False},
        {"do_sample": True, "temperature": 0.7, "top_k": 9, "top_p": 0.9, "seed": 1},
        {"do_sample": False, "numbers": torch.arange(100), "repetition_penalty": 1.2},
        {"do_sample": False, "thinking": ThinkingBudget(1000, 141, (142, 143))},
    ],
    ids=["greedy", "drawn", "numbers", "thinking"],
)
def test_a_step_reads_from_the_device_once_for_all_its_tokens(
    model: Model, as_on_a_gpu: None, requests: int, options: dict[str, Any]
) -> None:
    reads = engine_reads(model, requests, 12, **options)
    assert len(reads) >= 10
    assert set(reads) == {1}
