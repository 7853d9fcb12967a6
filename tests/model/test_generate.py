"""Generation: streams, stops, sampling, limits."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest
import torch
from prompts import Prompt, pad_together
from tiny import tiny_config

from model.cache import KVCache
from model.config import Glm4vMoeConfig
from model.generate import stream_tokens
from model.generation_config import GenerationConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.sampling import (
    Sampling,
    keep_top_k,
    keep_top_p,
    likely_tokens,
    penalize_repetition,
    pick,
)

Model = Glm4vMoeForConditionalGeneration


def test_the_stream_yields_what_generate_returns(tiny_model: Model) -> None:
    inputs = Prompt().text(3).image(4, 6).text(2).tensors()
    streamed = [int(step.token) for step in stream_tokens(tiny_model, **inputs, max_new_tokens=12)]
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
    steps = stream_tokens(tiny_model, ids, max_new_tokens=10, eos_token_id=stop)
    got = [int(step.token) for step in steps]
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


def test_without_a_seed_every_run_differs(tiny_model: Model) -> None:
    ids = Prompt().text(8).tensors()["input_ids"]
    runs = {
        tuple(tiny_model.generate(ids, max_new_tokens=20, do_sample=True)[0].tolist())
        for _ in range(3)
    }
    assert len(runs) == 3


def test_tokens_of_a_stream_are_ordinary_tensors(tiny_model: Model) -> None:
    token, _ = next(stream_tokens(tiny_model, Prompt().text(4).tensors()["input_ids"]))
    token += 1
    assert not token.is_inference()


def test_a_step_knows_the_models_own_probability_of_its_token(tiny_model: Model) -> None:
    """Whatever it was picked with: the reference is one pass over the whole text."""
    ids = Prompt().text(8).tensors()["input_ids"]
    options = {"do_sample": True, "temperature": 3.0, "repetition_penalty": 1.5, "seed": 3}
    steps = list(stream_tokens(tiny_model, ids, max_new_tokens=6, **options))
    text = torch.cat([ids, *(step.token[:, None] for step in steps)], dim=1)
    with torch.no_grad():
        logprobs = tiny_model(text).logits.float().log_softmax(dim=-1)
    expected = [float(logprobs[0, 7 + i, int(step.token)]) for i, step in enumerate(steps)]
    assert [float(step.logprobs()) for step in steps] == pytest.approx(expected, abs=1e-4)


def test_only_the_last_tokens_logits_are_computed(tiny_model: Model) -> None:
    shapes = []
    hook = tiny_model.lm_head.register_forward_hook(
        lambda module, inputs, output: shapes.append(tuple(output.shape))
    )
    tiny_model.generate(Prompt().text(30).tensors()["input_ids"], max_new_tokens=3)
    hook.remove()
    assert shapes == [(1, 1, 160)] * 3


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


IDS = torch.tensor([[3, 4, 5]])
BAD_PROMPTS = {
    "padding on the right": ((IDS, torch.tensor([[1, 1, 0]])), "pad on the left"),
    "a mask of another width": ((IDS, torch.ones(1, 2)), r"\(1, 2\); expected that of input_ids"),
    "image tokens without an image": ((torch.tensor([[3, 150, 5]]),), "give pixel_values"),
    "an empty prompt": ((torch.empty(1, 0, dtype=torch.int64),), "input_ids must be"),
}


@pytest.mark.parametrize(("prompt", "message"), BAD_PROMPTS.values(), ids=BAD_PROMPTS.keys())
def test_prompts_that_would_be_answered_with_nonsense_are_refused(
    tiny_model: Model, prompt: tuple, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model.generate(*prompt)


def test_given_token_types_reach_the_model(tiny_model: Model) -> None:
    prompt = Prompt().text(2).image(4, 6).text(3)
    with pytest.raises(ValueError, match="0 tokens for media"):
        tiny_model.generate(**prompt.tensors(), mm_token_type_ids=prompt.token_types() * 2)


def test_a_negative_number_of_tokens_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="max_new_tokens must be 0 or more, got -1"):
        tiny_model.generate(IDS, max_new_tokens=-1)


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


def test_top_k_keeps_the_k_likeliest() -> None:
    kept = keep_top_k(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), 2)
    assert kept[0].isfinite().tolist() == [True, False, True, False]


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    for top_p, kept in ((0.4, 1), (0.79, 2), (0.81, 3), (1e-9, 1)):
        finite = keep_top_p(probabilities.log(), top_p)[0].isfinite()
        assert finite.tolist() == [i < kept for i in range(4)]


@pytest.mark.parametrize("spread", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])  # the latter with many ties
@pytest.mark.parametrize(
    ("top_k", "top_p"),
    [(0, 0.6), (0, 0.999), (0, 1e-5), (2, 0.6), (50, 0.9), (7, 1.0), (9999, 0.5)],
)
def test_likely_tokens_are_those_that_sorting_the_vocabulary_leaves(
    spread: float, dtype: torch.dtype, top_k: int, top_p: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        logits = (torch.randn(3000, generator=generator) * spread).to(dtype).float()
        want = logits[None]
        if top_k:
            want = keep_top_k(want, top_k)
        if top_p < 1:
            want = keep_top_p(want, top_p)
        tokens, probabilities = likely_tokens(logits, top_k, top_p)
        got = torch.zeros(len(logits)).index_put_((tokens,), probabilities / probabilities.sum())
        assert torch.equal(got > 0, want[0].isfinite())
        torch.testing.assert_close(got, want[0].softmax(dim=-1))


@pytest.mark.parametrize("settings", [{"top_k": 40}, {"top_p": 0.95}, {"top_k": 40, "top_p": 0.9}])
def test_a_draw_does_not_depend_on_rounding(settings: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    # every two as good as equal: which of them is ahead is a matter of rounding
    logits = torch.randn(1, 1500, generator=generator).repeat_interleave(2, dim=1)
    noise = 1e-6 * torch.randn(1, 3000, generator=generator)
    sampling, seen = Sampling(True, **settings), torch.zeros(1, 1, dtype=torch.int64)

    def drawn(given: torch.Tensor) -> list[int]:
        return [
            int(pick(given, sampling, seen, torch.Generator().manual_seed(seed)))
            for seed in range(300)
        ]

    assert len(set(drawn(logits))) > 20
    assert drawn(logits) == drawn(logits + noise)


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


@pytest.mark.parametrize(
    ("sampling", "want"),
    [
        (Sampling(True, temperature=0.5), [0.49 / 0.54, 0.04 / 0.54, 0.01 / 0.54]),
        (Sampling(True, top_p=0.85), [7 / 9, 2 / 9, 0.0]),
        (Sampling(True, top_k=2), [7 / 9, 2 / 9, 0.0]),
        (Sampling(True, temperature=0.5, top_k=2), [49 / 53, 4 / 53, 0.0]),
    ],
    ids=["temperature", "top_p", "top_k", "both"],
)
def test_every_setting_shapes_the_draws(sampling: Sampling, want: list[float]) -> None:
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(4000, 3)
    generator = torch.Generator().manual_seed(0)
    tokens = pick(logits, sampling, torch.zeros(4000, 1, dtype=torch.int64), generator)
    shares = torch.bincount(tokens, minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor(want), atol=0.03, rtol=0)


def test_logits_that_bfloat16_can_tell_apart_are_compared_in_float32() -> None:
    logits = torch.tensor([[1.0, 1.0078125]]).bfloat16()
    seen = torch.tensor([[1]])
    # 1.0078125 / 1.005 is above 1 in float32 and rounds to 1 in bfloat16
    assert pick(logits, Sampling(repetition_penalty=1.005), seen, None).tolist() == [1]


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
    (tmp_path / "generation_config.json").write_text(json.dumps(got.to_dict()))
    assert GenerationConfig.from_pretrained(tmp_path) == got


@pytest.mark.parametrize(
    "raw",
    [
        {"do_sample": False, "temperature": 0.0},
        {"do_sample": True, "temperature": 0.0, "top_k": -1},
        {"do_sample": False, "top_k": -1, "top_p": None},
    ],
    ids=str,
)
def test_other_engines_ways_to_say_greedy_are_understood(tmp_path: Path, raw: dict) -> None:
    Glm4vMoeConfig(**tiny_config()).save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps(raw))
    assert GenerationConfig.from_pretrained(tmp_path).sampling == Sampling()


def test_a_broken_generation_config_is_named(tmp_path: Path) -> None:
    Glm4vMoeConfig(**tiny_config()).save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"generation_config\.json is not valid JSON"):
        GenerationConfig.from_pretrained(tmp_path)
