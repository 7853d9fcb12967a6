"""A decoding step in recorded pieces against the layers one by one.

No GPU is needed: a recording that computes again, into what it returned first, does what a CUDA
graph does. That a GPU could record the pieces shows where values are unknown, as in
`test_waiting_for_devices`: nothing may depend on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from as_on_a_gpu import compute_as_on_a_gpu, forget_values
from tiny import randomize, tiny_config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from model import graphed_step, moe
from model.cache import CacheBatch, KVCache
from model.config import Glm4vMoeConfig
from model.decoder import Glm4vMoeTextModel
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.graphed_step import GraphedStep, Outputs
from model.quantization import QUANTIZATIONS, Quantization, QuantizedExperts, quantize
from model.watch import UnfitError


class Recorder:
    """Counts what was recorded and played."""

    def __init__(self) -> None:
        self.recorded = 0
        self.played = 0

    def __call__(self, compute: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        outputs = compute()
        self.recorded += 1

        def replay() -> None:
            self.played += 1
            for place, new in zip(outputs, compute(), strict=True):
                place.copy_(new)

        return outputs, replay


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    compute_as_on_a_gpu(monkeypatch)
    with torch.inference_mode():
        yield


@pytest.fixture
def model() -> Glm4vMoeTextModel:
    with torch.inference_mode(False):
        network = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config()))
        randomize(network)
        return network.bfloat16().eval().model.language_model


def conversations(model: Glm4vMoeTextModel, lengths: list[int]) -> list[KVCache]:
    """Caches of prompts that were read; the same at every call."""
    generator = torch.Generator().manual_seed(1)
    caches = [KVCache(model.config.num_hidden_layers) for _ in lengths]
    for cache, length in zip(caches, lengths, strict=True):
        model(torch.randint(1, 140, (1, length), generator=generator), past_key_values=cache)
    return caches


def inputs_of(model: Glm4vMoeTextModel, caches: list[KVCache], turn: int) -> Any:
    """Embeddings and angles of the next token of each, and where it is stored."""
    ids = torch.arange(len(caches))[:, None] + 7 * turn + 1
    x = model.embed_tokens(ids)
    positions = torch.tensor([[cache.length] for cache in caches]).expand(3, -1, -1)
    cache = caches[0] if len(caches) == 1 else CacheBatch(caches)
    return x, model.rotary_emb(positions, x.dtype), cache


def answer(
    model: Glm4vMoeTextModel, caches: list[KVCache], step: GraphedStep | None
) -> list[Tensor]:
    """States of tokens of conversations that come and go: 1, 3, 2 and again 1 at once."""
    states = []
    for turn, rows in enumerate((1, 3, 3, 2, 1, 3)):
        some = caches[:rows] if turn % 2 else caches[-rows:]
        x, rope, cache = inputs_of(model, some, turn)
        if step is None:
            for layer in model.layers:
                x, _ = layer(x, rope, None, cache)
            states.append(model.norm(x))
        else:
            step.prepare(x, rope)
            states.append(step.run(x, rope, cache))
        cache.advance(1)
    return states


def test_recorded_pieces_equal_the_layers_bit_for_bit(model: Glm4vMoeTextModel) -> None:
    lengths = [5, 128, 41]  # the second fills its storage, which has to grow
    recorder = Recorder()
    want = answer(model, conversations(model, lengths), None)
    got = answer(model, conversations(model, lengths), GraphedStep(model, recorder))
    for a, b in zip(want, got, strict=True):
        assert torch.equal(a, b)
    pieces = len(model.layers) + 1
    assert recorder.recorded == 3 * pieces  # once for each number of conversations
    assert recorder.played == 6 * pieces


def test_two_threads_that_share_a_network_do_not_meet(model: Glm4vMoeTextModel) -> None:
    class Slow(Recorder):
        def __call__(self, compute: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
            outputs, replay = super().__call__(compute)

            def hesitate() -> None:
                replay()
                time.sleep(0.002)  # as long as the other thread needs to begin its step

            return outputs, hesitate

    lengths = ([5, 7, 9], [31, 11, 6])
    want = [answer(model, conversations(model, each), None) for each in lengths]
    step = GraphedStep(model, Slow())
    caches = [conversations(model, each) for each in lengths]

    @torch.inference_mode()  # of a thread
    def answer_there(some: list[KVCache]) -> list[Tensor]:
        return answer(model, some, step)

    with ThreadPoolExecutor(2) as threads:
        got = list(threads.map(answer_there, caches))
    for a, b in zip(sum(want, []), sum(got, []), strict=True):
        assert torch.equal(a, b)


def test_nothing_in_a_piece_depends_on_values(
    model: Glm4vMoeTextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeTensorMode():
        forget_values(model)
        caches = conversations(model, [5, 9, 12])
        for state in answer(model, caches, GraphedStep(model, Recorder())):
            assert state.shape[1:] == (1, model.config.hidden_size)
        assert [cache.length for cache in caches] == [9, 13, 17]
        # experts that are computed one after the other depend on who chose them
        monkeypatch.setattr(moe, "run_experts", moe._run_sorted)
        with pytest.raises(DataDependentOutputException):
            answer(model, caches, GraphedStep(model, Recorder()))


def test_a_model_that_changes_is_recorded_anew_and_one_that_is_wrapped_never(
    model: Glm4vMoeTextModel,
) -> None:
    step = GraphedStep(model, Recorder())
    watch = step.watch
    assert watch.is_current() and not watch.is_hooked()
    handle = model.layers[1].mlp.gate.register_forward_hook(lambda *_: None)
    assert watch.is_hooked()
    handle.remove()
    assert not watch.is_hooked()
    gate = model.layers[1].mlp.gate
    gate.weight = nn.Parameter(gate.weight.clone(), requires_grad=False)
    assert not watch.is_current()
    model.layers[2].forward = model.layers[2].forward
    with pytest.raises(UnfitError):
        GraphedStep(model, Recorder())


def test_what_cannot_be_recorded_runs_layer_by_layer_and_says_so_once(
    model: Glm4vMoeTextModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing:
        def __call__(self, compute: Callable[[], Outputs]) -> Any:
            raise RuntimeError("operation not permitted when stream is capturing")

    class OnGPU(torch.Tensor):  # only says that it is there
        is_cuda = True

    monkeypatch.setattr(graphed_step, "CudaRecorder", Refusing)
    monkeypatch.setattr(graphed_step, "_is_in_order", lambda: True)
    x, rope, _ = inputs_of(model, conversations(model, [5]), 0)
    there = x.as_subclass(OnGPU)
    assert graphed_step.graphed_step_for(model, x, rope) is None  # on a CPU: no attempt
    assert not caplog.records
    assert graphed_step.graphed_step_for(model, there, rope) is None
    assert graphed_step.graphed_step_for(model, there, rope) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "without CUDA graphs" in caplog.text


@pytest.mark.parametrize("to", QUANTIZATIONS)
def test_experts_in_integers_are_not_recorded(model: Glm4vMoeTextModel, to: Quantization) -> None:
    device = model.norm.weight.device
    assert graphed_step._can_be_recorded(model, device)
    assert not graphed_step._can_be_recorded(model, torch.device("meta"))
    experts = model.layers[2].mlp.experts
    stacks = [quantize(experts.gate_up_proj, to), quantize(experts.down_proj, to)]
    model.layers[2].mlp.experts = QuantizedExperts(*stacks, experts.act)
    assert not graphed_step._can_be_recorded(model, device)
