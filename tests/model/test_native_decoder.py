"""Steps and prompts in few calls against the decoder's layers, and when these have to compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from native_kinds import KINDS, PAIRED_KINDS, needs_pairs, other_kernels
from tiny import randomize, tiny_config
from torch import Tensor

from model import decoder, native
from model.cache import CacheBatch, KVCache
from model.config import Glm4vMoeConfig
from model.decoder import Glm4vMoeTextModel
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.moe import ExpertLoad
from model.native.decoder import reader_for, step_for
from model.quantization import QUANTIZATIONS, Quantization, quantize_model

# nothing is a multiple of what vectors and tiles hold
ODD_SIZES = {"hidden_size": 72, "intermediate_size": 50, "moe_intermediate_size": 19}
# as many queries share their keys as tiles are used for
WIDE_GROUP = {
    "num_attention_heads": 6,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "partial_rotary_factor": 0.25,
    "attention_bias": False,
}
# torch adds up in another order; in bfloat16, where that turns roundings over, the layers run with
# the compiled products, and nothing differs
TOLERANCE: dict[str, dict[str, Any]] = {
    "float32": {"atol": 2e-5, "rtol": 1e-4},
    "bfloat16": {"atol": 0.0, "rtol": 0.0},
}


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def make_decoder(kind: str, monkeypatch: pytest.MonkeyPatch, **text: Any) -> Glm4vMoeTextModel:
    dtype = getattr(torch, kind.split()[0])
    other = other_kernels(kind)
    if other is not None:
        monkeypatch.setitem(native._kernels, dtype, other)
    with torch.inference_mode(False):
        model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config(text)))
        randomize(model)
        return model.to(dtype).eval().model.language_model


def conversations(model: Glm4vMoeTextModel, rows: int) -> list[KVCache]:
    """Caches of prompts of different lengths; the same at every call."""
    generator = torch.Generator().manual_seed(1)
    caches = []
    for row in range(rows):
        cache = KVCache(model.config.num_hidden_layers)
        # the third prompt fills its storage: the step has to make room
        ids = torch.randint(1, 140, (1, 128 if row == 2 else 3 + 41 * row), generator=generator)
        model(ids, past_key_values=cache)
        caches.append(cache)
    return caches


def answer(model: Glm4vMoeTextModel, caches: list[KVCache], tokens: int = 3) -> Tensor:
    """The hidden states of some more tokens of each conversation, (B, tokens, C)."""
    states = []
    for token in range(tokens):
        states.append(
            model(
                torch.arange(len(caches))[:, None] + 7 * token + 1,
                position_ids=torch.tensor([[cache.length] for cache in caches]),
                past_key_values=CacheBatch(caches),
            ).last_hidden_state
        )
    return torch.cat(states, dim=1)


def by_layers(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Tensor]) -> Tensor:
    """What the layers compute, in float32 by torch alone."""
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "step_for", lambda model, x: None)
        patch.setitem(native._kernels, torch.float32, None)
        return run()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("rows", "text"),
    [(1, {}), (3, ODD_SIZES), (8, WIDE_GROUP)],
)
def test_a_step_equals_the_layers_one_by_one(
    kind: str, rows: int, text: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_decoder(kind, monkeypatch, **text)
    caches, slow_caches = conversations(model, rows), conversations(model, rows)
    assert step_for(model, model.embed_tokens(torch.ones(rows, 1, dtype=torch.int64)))
    got = answer(model, caches)
    want = by_layers(monkeypatch, lambda: answer(model, slow_caches))
    tolerance = TOLERANCE[kind.split()[0]]
    torch.testing.assert_close(got, want, **tolerance)
    for fast, slow in zip(caches, slow_caches, strict=True):
        assert fast.length == slow.length
        for stored, wanted in zip((*fast._k, *fast._v), (*slow._k, *slow._v), strict=True):
            assert stored is not None and wanted is not None
            kept = slice(fast.length)
            torch.testing.assert_close(stored[:, :, kept], wanted[:, :, kept], **tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_conversation_gets_the_same_states_to_the_last_bit_alone_and_with_others(
    kind: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_decoder(kind, monkeypatch)
    monkeypatch.setattr(native, "threads_for", lambda size: threads)
    together = answer(model, conversations(model, 7))
    monkeypatch.setattr(native, "threads_for", lambda size: 1)
    for row, cache in enumerate(conversations(model, 7)):
        states = []
        for token in range(3):
            ids = torch.tensor([[row + 7 * token + 1]])
            states.append(model(ids, past_key_values=cache).last_hidden_state)
        assert torch.equal(torch.cat(states, dim=1)[0], together[row])


def test_a_batch_in_one_cache_steps_as_its_rows_do() -> None:
    with torch.inference_mode(False):
        model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config())).eval()
        randomize(model)
    text, ids, more = model.model.language_model, torch.randint(1, 140, (3, 9)), torch.ones(3, 1)
    cache = KVCache(text.config.num_hidden_layers)
    text(ids, past_key_values=cache)
    got = text(more.long(), past_key_values=cache).last_hidden_state
    for row in range(3):
        alone = KVCache(text.config.num_hidden_layers)
        text(ids[row : row + 1], past_key_values=alone)
        want = text(more[:1].long(), past_key_values=alone).last_hidden_state
        torch.testing.assert_close(got[row], want[0])


def test_a_step_sees_weights_that_were_replaced_moved_or_cast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_decoder("float32", monkeypatch)
    x = model.embed_tokens(torch.ones(1, 1, dtype=torch.int64))
    first = step_for(model, x)
    assert first is not None and step_for(model, x) is first
    attention: Any = model.layers[1].self_attn
    attention.q_proj.weight = torch.nn.Parameter(attention.q_proj.weight.clone())
    replaced = step_for(model, x)
    assert replaced is not first
    attention.o_proj = type(attention.o_proj)(*reversed(attention.o_proj.weight.shape), bias=False)
    assert step_for(model, x) not in (None, replaced)
    model.to(torch.bfloat16)
    assert step_for(model, x.bfloat16()) is not None
    got = answer(model, conversations(model, 2))
    want = by_layers(monkeypatch, lambda: answer(model, conversations(model, 2)))
    torch.testing.assert_close(got, want, **TOLERANCE["bfloat16"])


@pytest.mark.parametrize(
    "case", ["hook", "activation", "groups", "module", "gaps", "tokens", "dtype"]
)
def test_what_a_step_cannot_compute_is_left_to_the_layers(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: dict[str, dict[str, Any]] = {
        "activation": {"hidden_act": "gelu"},
        "groups": {"n_group": 2, "topk_group": 1, "n_routed_experts": 8, "num_experts_per_tok": 2},
    }
    model = make_decoder("float32", monkeypatch, **changed.get(case, {}))
    tokens = torch.ones(1, 2 if case == "tokens" else 1, dtype=torch.int64)
    if case == "dtype":
        assert step_for(model, model.embed_tokens(tokens).bfloat16()) is None
        return
    last: Any = model.layers[-1]
    if case == "module":
        last.mlp.shared_experts = torch.nn.Sequential(last.mlp.shared_experts)
    if case == "gaps":
        wide = last.self_attn.o_proj.weight
        last.self_attn.o_proj.weight = torch.nn.Parameter(wide.T.contiguous().T)
    if case == "hook":
        with ExpertLoad(model) as load:
            answer(model, conversations(model, 1), tokens=1)
        assert load.counts[0].sum() > 3 * model.config.num_experts_per_tok
        return
    assert step_for(model, model.embed_tokens(tokens)) is None


DENSE = {"first_k_dense_replace": 3}
# heads of whole vectors, as prompts in one call need them
WIDE_HEADS = {"head_dim": 32, "partial_rotary_factor": 0.25}


def read(
    model: Glm4vMoeTextModel, pieces: tuple[int, ...], between: Callable[[], None] | None = None
) -> tuple[Tensor, KVCache]:
    """The hidden states (1, T, C) of a prompt that is read in pieces, and its cache."""
    cache = KVCache(model.config.num_hidden_layers)
    ids = torch.randint(1, 140, (1, sum(pieces)), generator=torch.Generator().manual_seed(2))
    # as of a picture: the planes of positions differ
    positions = torch.stack([torch.arange(ids.shape[1]) // part for part in (1, 3, 2)])[:, None]
    states, start = [], 0
    for tokens in pieces:
        piece = slice(start, start + tokens)
        states.append(
            model(
                ids[:, piece],
                position_ids=positions[:, :, piece],
                past_key_values=cache,
                between_layers=between,
            ).last_hidden_state
        )
        start += tokens
    return torch.cat(states, dim=1), cache


@needs_pairs
@pytest.mark.parametrize("kind", PAIRED_KINDS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((17,), {}),
        ((33, 100), ODD_SIZES),
        ((300, 40), DENSE),
        ((5, 47), WIDE_GROUP),
        ((300, 40), {"n_routed_experts": 40, "norm_topk_prob": False}),
    ],
)
def test_a_prompt_in_one_call_a_layer_equals_the_layers(
    kind: str,
    threads: int,
    pieces: tuple[int, ...],
    text: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_decoder(kind, monkeypatch, **{**WIDE_HEADS, **text})
    assert reader_for(model, model.embed_tokens(torch.ones(1, pieces[-1], dtype=torch.int64)))
    monkeypatch.setattr(native, "threads_for", lambda size: threads)
    got, cache = read(model, pieces)
    monkeypatch.setattr(decoder, "reader_for", lambda model, x: None)
    want, slow_cache = read(model, pieces)
    is_equal = torch.equal if text is DENSE else is_equal_but_for_shares
    assert is_equal(got, want)
    assert cache.length == slow_cache.length == sum(pieces)
    for stored, wanted in zip(
        (*cache._k, *cache._v), (*slow_cache._k, *slow_cache._v), strict=True
    ):
        assert stored is not None and wanted is not None
        assert is_equal(stored[:, :, : cache.length], wanted[:, :, : cache.length])


def is_equal_but_for_shares(got: Tensor, want: Tensor) -> bool:
    """Whether hardly anything differs, by roundings: torch adds experts' scores up in its order."""
    near = torch.isclose(got.float(), want.float(), atol=0.06, rtol=0.03)
    return bool(near.all()) and float((got != want).float().mean()) < 0.01


@needs_pairs
def test_a_prompt_longer_than_products_in_pairs_equals_the_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_decoder("bfloat16 without tiles", monkeypatch, **WIDE_HEADS)
    got, _ = read(model, (700,))
    monkeypatch.setattr(decoder, "reader_for", lambda model, x: None)
    want, _ = read(model, (700,))
    # torch adds up in another order there
    torch.testing.assert_close(got.float(), want.float(), atol=0.15, rtol=0.05)
    assert (got.float() - want.float()).abs().mean() < 0.01


@needs_pairs
def test_what_embeddings_a_prompt_is_read_from_stay_and_a_piece_that_is_left_counts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_decoder("bfloat16", monkeypatch, **WIDE_HEADS)
    x = model.embed_tokens(torch.arange(1, 41)[None])
    assert reader_for(model, x) is not None
    before, cache = x.clone(), KVCache(model.config.num_hidden_layers)
    calls: list[int] = []

    def leave() -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        model(inputs_embeds=x, past_key_values=cache, between_layers=leave)
    assert torch.equal(x, before) and cache.length == 0
    got = model(inputs_embeds=x, past_key_values=cache).last_hidden_state
    assert is_equal_but_for_shares(got, model(inputs_embeds=x).last_hidden_state)
    assert calls == [0, 1] and torch.equal(x, before)


@needs_pairs
@pytest.mark.parametrize(
    "case", ["few", "batch", "heads", "hook", "dtype of the cache", "training"]
)
def test_what_no_prompt_in_one_call_can_compute_is_left_to_the_layers(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_decoder("bfloat16", monkeypatch, **({} if case == "heads" else WIDE_HEADS))
    rows, tokens = (2 if case == "batch" else 1), (native.MAX_ROWS if case == "few" else 20)
    x = model.embed_tokens(torch.ones(rows, tokens, dtype=torch.int64))
    cache = KVCache(model.config.num_hidden_layers)
    seen: list[int] = []
    if case == "hook":
        with torch.inference_mode(False):
            model.layers[0].register_forward_hook(lambda *_: seen.append(1))
    if case == "training":
        model.train()
    if case == "dtype of the cache":
        like = torch.empty(1, model.config.num_key_value_heads, 0, 32)
        cache.reserve(0, 4, like)
    assert model._reader(x, cache) is None
    if case != "dtype of the cache":
        assert model(inputs_embeds=x, past_key_values=cache).last_hidden_state.shape == x.shape
    assert seen == ([1] if case == "hook" else [])


@needs_pairs
def test_a_prompt_goes_on_with_the_threads_and_weights_with_which_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_decoder("bfloat16", monkeypatch, **WIDE_HEADS)
    monkeypatch.setattr(native, "threads_for", lambda size: 1)
    want, _ = read(model, (40,))

    def change() -> None:
        monkeypatch.setattr(native, "threads_for", lambda size: 3)
        with torch.inference_mode(False):
            for weight in model.layers.parameters():
                weight.data = torch.full_like(weight, torch.nan)

    got, _ = read(model, (40,), change)
    assert torch.equal(got, want)


@needs_pairs
def test_a_default_device_is_not_where_scratch_space_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_decoder("bfloat16", monkeypatch, **WIDE_HEADS)
    ids, position = torch.ones(1, 40, dtype=torch.int64), torch.tensor([[40]])

    def answered() -> Tensor:
        cache = KVCache(model.config.num_hidden_layers)
        prompt = model(ids, past_key_values=cache).last_hidden_state
        more = model(ids[:, :1], position_ids=position, past_key_values=cache).last_hidden_state
        return torch.cat((prompt, more), dim=1)

    want = answered()
    with torch.device("meta"):
        got = answered()
    assert torch.equal(got, want)


@needs_pairs
@pytest.mark.parametrize("kept", [(0, 1), (0, 2), (2, 1, 0), (0, 1, 2, 2)])
def test_layers_that_were_left_out_moved_or_repeated_compute_as_they_stand(
    kept: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_decoder("bfloat16", monkeypatch, **WIDE_HEADS)
    read(model, (20, 1))  # prepared for all of them
    layers = [model.layers[index] for index in kept]
    if kept[:3] == (0, 1, 2):
        model.layers.append(layers[-1])
    elif kept == (0, 1):
        del model.layers[2]
    else:
        model.layers = torch.nn.ModuleList(layers)
    got, _ = read(model, (40, 20, 1, 1))
    monkeypatch.setattr(decoder, "reader_for", lambda model, x: None)
    monkeypatch.setattr(decoder, "step_for", lambda model, x: None)
    want, _ = read(model, (40, 20, 1, 1))
    assert torch.equal(got, want)


@pytest.mark.parametrize("to", QUANTIZATIONS)
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_integers_without_biases_are_read_and_stepped(
    kind: str, to: Quantization, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**WIDE_HEADS, "attention_bias": False}
    with torch.inference_mode(False):
        whole = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config(changes)))
        randomize(whole)
        quantize_model(whole.to(getattr(torch, kind)).eval(), to)
    model = whole.model.language_model
    assert step_for(model, model.embed_tokens(torch.ones(1, 1, dtype=torch.int64))) is not None
    got, _ = read(model, (40, 1, 1))
    monkeypatch.setattr(decoder, "reader_for", lambda model, x: None)
    want = by_layers(monkeypatch, lambda: read(model, (40, 1, 1))[0])
    torch.testing.assert_close(got, want, **TOLERANCE[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_decoder_without_shared_experts_computes_what_torch_does(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = getattr(torch, kind.split()[0])
    other = other_kernels(kind)
    if other is not None:
        monkeypatch.setitem(native._kernels, dtype, other)
    with torch.inference_mode(False):
        config = Glm4vMoeConfig(**tiny_config({**WIDE_HEADS, "n_shared_experts": 0}))
        model = Glm4vMoeForConditionalGeneration(config).to(dtype).eval().model.language_model
    got, _ = read(model, (40, 1))
    monkeypatch.setitem(native._kernels, dtype, None)
    want, _ = read(model, (40, 1))
    torch.testing.assert_close(
        got, want, **({} if kind == "float32" else {"atol": 0.1, "rtol": 0.05})
    )


@needs_pairs
def test_a_cache_of_another_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_decoder("bfloat16", monkeypatch, **WIDE_HEADS)
    x = model.embed_tokens(torch.ones(1, 20, dtype=torch.int64))
    for heads, dim in ((1, 32), (2, 16)):
        cache = KVCache(model.config.num_hidden_layers)
        cache.reserve(0, 200, torch.empty(1, heads, 0, dim, dtype=torch.bfloat16))
        with pytest.raises(RuntimeError, match="size"):
            model(inputs_embeds=x, past_key_values=cache)


@pytest.mark.parametrize("tokens", [1, 20])
def test_embeddings_of_another_size_are_refused(
    tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_decoder("float32", monkeypatch)
    with pytest.raises(ValueError, match=r"expected \(B, T, 64\)"):
        model(inputs_embeds=torch.zeros(1, tokens, 32))
