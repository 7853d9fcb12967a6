"""Generation: streams, stops, sampling, limits."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from prompts import Prompt, pad_together
from tiny import tiny_config

from model.cache import KVCache
from model.config import Glm4vMoeConfig
from model.generate import GenerationConfig, stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.sampling import Sampling, keep_top_k, keep_top_p, penalize_repetition, pick

Model = Glm4vMoeForConditionalGeneration


def test_the_stream_yields_what_generate_returns(tiny_model: Model) -> None:
    inputs = Prompt().text(3).image(4, 6).text(2).tensors()
    streamed = [int(token) for token in stream_tokens(tiny_model, **inputs, max_new_tokens=12)]
    whole = tiny_model.generate(**inputs, max_new_tokens=12)
    assert whole[0, -12:].tolist() == streamed


def test_a_batch_generates_what_each_prompt_alone_does(tiny_model: Model) -> None:
    prompts = [Prompt().text(9), Prompt().text(20), Prompt().text(1)]
    together = tiny_model.generate(**pad_together(prompts, "left"), max_new_tokens=20)
    for row, prompt in enumerate(prompts):
        alone = tiny_model.generate(torch.tensor([prompt.ids]), max_new_tokens=20)
        assert together[row, -20:].tolist() == alone[0, -20:].tolist()


def test_the_stream_ends_with_the_stop_token(tiny_model: Model) -> None:
    ids = Prompt().text(8).tensors()["input_ids"]
    free = tiny_model.generate(ids, max_new_tokens=10)[0, 8:].tolist()
    stop = free[4]
    got = [int(t) for t in stream_tokens(tiny_model, ids, max_new_tokens=10, eos_token_id=stop)]
    assert got == free[: free.index(stop) + 1]


def test_nothing_is_computed_before_the_first_token_or_after_closing(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    forward = tiny_model.model.forward
    monkeypatch.setattr(
        tiny_model.model, "forward", lambda **inputs: calls.append(1) or forward(**inputs)
    )
    stream = stream_tokens(tiny_model, Prompt().text(8).tensors()["input_ids"])
    assert len(calls) == 0
    next(stream)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(calls) == 2
    with pytest.raises(StopIteration):
        next(stream)


def test_a_closed_stream_frees_its_cache(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches: list[weakref.ref] = []
    init = KVCache.__init__

    def remember(self: KVCache, *args: int, **kwargs: int) -> None:
        init(self, *args, **kwargs)
        caches.append(weakref.ref(self))

    monkeypatch.setattr(KVCache, "__init__", remember)
    stream = stream_tokens(tiny_model, Prompt().text(8).tensors()["input_ids"])
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    del stream
    gc.collect()
    assert len(caches) == 1
    assert caches[0]() is None


def test_the_same_seed_samples_the_same_and_another_one_differs(tiny_model: Model) -> None:
    ids = Prompt().text(8).tensors()["input_ids"]

    def sample(seed: int) -> list[int]:
        out = tiny_model.generate(ids, max_new_tokens=20, do_sample=True, seed=seed)
        return out[0].tolist()

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_sampling_leaves_the_global_generator_alone(tiny_model: Model) -> None:
    ids = Prompt().text(8).tensors()["input_ids"]
    before = torch.random.get_rng_state()
    tiny_model.generate(ids, max_new_tokens=5, do_sample=True, seed=7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_top_k_of_one_is_greedy(tiny_model: Model) -> None:
    ids = Prompt().text(8).tensors()["input_ids"]
    greedy = tiny_model.generate(ids, max_new_tokens=12)
    drawn = tiny_model.generate(ids, max_new_tokens=12, do_sample=True, top_k=1, seed=3)
    assert drawn.tolist() == greedy.tolist()


def test_generation_stops_where_the_context_ends() -> None:
    config = Glm4vMoeConfig(**tiny_config(text={"max_position_embeddings": 16}))
    model = Model(config).eval()
    assert model.generate(torch.arange(1, 11)[None]).shape == (1, 16)


def test_a_prompt_that_fills_the_context_is_refused_at_once(tiny_model: Model) -> None:
    ids = Prompt().text(512).tensors()["input_ids"]
    with pytest.raises(ValueError, match="512 tokens and the model's context holds 512; shorten"):
        stream_tokens(tiny_model, ids)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
        ({"top_k": -1}, "top_k must be 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be above 0"),
    ],
)
def test_settings_out_of_range_are_refused(
    tiny_model: Model, options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model.generate(torch.tensor([[1]]), do_sample=True, **options)


def test_an_empty_prompt_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="input_ids must be"):
        tiny_model.generate(torch.empty(1, 0, dtype=torch.int64))


def test_top_k_keeps_the_k_likeliest() -> None:
    kept = keep_top_k(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), 2)
    assert kept[0].isfinite().tolist() == [True, False, True, False]


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    for top_p, kept in ((0.4, 1), (0.79, 2), (0.81, 3), (1e-9, 1)):
        finite = keep_top_p(probabilities.log(), top_p)[0].isfinite()
        assert finite.tolist() == [i < kept for i in range(4)]


def test_repeated_tokens_lose_whatever_their_sign() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    got = penalize_repetition(logits, torch.tensor([[0, 1, 0]]), 2.0)
    assert got.tolist() == [[1.0, -4.0, 1.0]]


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(4000, 3)
    generator = torch.Generator().manual_seed(0)
    sampling = Sampling(do_sample=True)
    tokens = pick(logits, sampling, torch.zeros(4000, 1, dtype=torch.int64), generator)
    shares = torch.bincount(tokens, minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.2, 0.1]), atol=0.03, rtol=0)


def test_generation_defaults_come_from_the_checkpoints_files(tmp_path: Path) -> None:
    text = {"eos_token_id": [7, 8], "pad_token_id": 7}
    Glm4vMoeConfig(**tiny_config(text=text)).save_pretrained(tmp_path)
    assert GenerationConfig.from_pretrained(tmp_path) == GenerationConfig(
        Sampling(), eos_token_id=(7, 8), pad_token_id=7
    )
    (tmp_path / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 0.8, "top_p": 0.6, "top_k": 2, "eos_token_id": 9}'
    )
    got = GenerationConfig.from_pretrained(tmp_path)
    assert got.sampling == Sampling(True, 0.8, 2, 0.6, 1.0)
    assert got.eos_token_id == (9,)
    assert got.pad_token_id == 7
