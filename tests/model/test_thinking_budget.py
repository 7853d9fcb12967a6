"""A thought's budget: when it is closed, what is left alone, and engine and twin alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from prompts import Prompt, pad_together
from stepping import Stepped, alone, read, text
from torch import Tensor

from model.generate import stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.thinking_budget import ThinkingBudget, Thought

Model = Glm4vMoeForConditionalGeneration
OPEN, CLOSE, NEWLINE, STOP = 141, 142, 143, 144
BUDGET = ThinkingBudget(3, OPEN, (CLOSE, NEWLINE))


def follow(chosen: list[int], prompt: list[int] | None = None, **changes: Any) -> list[int]:
    """Return what becomes of the tokens that a model chooses."""
    thought = Thought(replace(BUDGET, **changes), prompt or [1], [STOP])
    return [thought.take(token) for token in chosen]


CASES: dict[str, tuple[list[int], list[int], list[int]]] = {
    # prompt, chosen, what comes
    "a long thought is closed": ([1], [OPEN, *"abcdef"], [OPEN, *"abc", CLOSE, NEWLINE, "f"]),
    "blanks may come first": ([1], [NEWLINE, OPEN, *"abcd"], [NEWLINE, OPEN, *"abc", CLOSE]),
    "an answer without a thought": ([1], [*"abcdef", OPEN, *"abcdef"], []),
    "a short thought": ([1], [OPEN, *"ab", CLOSE, *"cdefgh"], []),
    "one as long as it may be": (
        [1],
        [OPEN, *"abc", CLOSE, *"de"],
        [OPEN, *"abc", CLOSE, NEWLINE, "e"],
    ),
    "a second one": ([1], [OPEN, *"a", CLOSE, NEWLINE, OPEN, *"abcdefg"], []),
    "a stop inside": ([1], [OPEN, "a", STOP], []),
    "one that the prompt opens": ([1, OPEN], [*"abcd"], [*"abc", CLOSE]),
    "one that the prompt begins": ([1, OPEN, 5, 6], [*"abcd"], ["a", CLOSE, NEWLINE, "d"]),
    "one that is too long already": ([1, OPEN, 5, 6, 7, 8], [*"abc"], [CLOSE, NEWLINE, "c"]),
    "one that the prompt closes": ([1, OPEN, CLOSE, NEWLINE], [*"abcdef"], []),
    "one that an earlier turn never closed": ([OPEN, 5, STOP, 1], [*"abcdef"], []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_closed_and_what_is_not(case: tuple[list, list, list]) -> None:
    prompt, chosen, expected = case
    ids = [token if isinstance(token, int) else ord(token) for token in chosen]
    wanted = [token if isinstance(token, int) else ord(token) for token in expected or chosen]
    assert follow(ids, prompt) == wanted


def test_a_budget_of_nothing_closes_at_once() -> None:
    assert follow([OPEN, 1, 2, 3], tokens=0) == [OPEN, CLOSE, NEWLINE, 3]
    assert follow([1, 2, 3], [9, OPEN], tokens=0) == [CLOSE, NEWLINE, 3]


@pytest.mark.parametrize("cut", range(12))
def test_an_answer_gone_on_with_counts_what_was_thought_before(cut: int) -> None:
    chosen = [OPEN, *range(1, 11)]
    whole = follow(chosen)
    assert follow(chosen[cut:], [9, *whole[:cut]], written=cut) == whole[cut:]


def test_only_whose_thought_was_cut_must_not_open_another() -> None:
    logits = torch.zeros(200)
    for chosen, is_cut in (([OPEN, 1, 2, CLOSE, 3], False), ([OPEN, 1, 2, 3, 4], True)):
        thought = Thought(BUDGET, [1], [STOP])
        for token in chosen:
            assert thought.allowed(logits).isfinite().all()
            thought.take(token)
        finite = thought.allowed(logits).isfinite()
        assert (finite.sum(), bool(finite[OPEN])) == (200 - is_cut, not is_cut)


@pytest.mark.parametrize("bad", [{"tokens": -1}, {"written": -1}, {"closing": ()}])
def test_a_budget_that_means_nothing_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="thought|written"):
        replace(BUDGET, **bad)


def test_more_written_than_the_prompt_has_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="the prompt has 5 tokens, 6"):
        stream_tokens(tiny_model, **text(5), thinking=replace(BUDGET, written=6))


def opened(length: int) -> dict[str, Tensor]:
    """Return a prompt with an image that ends inside of a thought."""
    inputs = Prompt().text(length).image(4, 6).tensors()
    inputs["input_ids"] = torch.cat((inputs["input_ids"], torch.tensor([[OPEN]])), dim=1)
    return inputs


@pytest.mark.parametrize("tokens", [0, 1, 5, 100])
def test_the_engine_closes_thoughts_as_its_twin_does(tiny_model: Model, tokens: int) -> None:
    options: dict[str, Any] = {"thinking": replace(BUDGET, tokens=tokens), "max_new_tokens": 16}
    asked = [opened(5), opened(21), text(9)]
    expected = [alone(tiny_model, inputs, **options) for inputs in asked]
    for answer in expected[:2]:
        assert (answer[tokens : tokens + 2] == [CLOSE, NEWLINE]) == (tokens < 16)
    engine = Stepped(tiny_model)
    for _ in range(2):  # the second time, what was computed is used again
        requests = [engine.submit(inputs, **options) for inputs in asked]
        engine.finish()
        assert [read(request) for request in requests] == expected


def test_after_a_closed_thought_the_model_reads_what_stands_there(tiny_model: Model) -> None:
    inputs = opened(7)
    budget = replace(BUDGET, tokens=4)
    answer = alone(tiny_model, inputs, thinking=budget, max_new_tokens=20)
    written = torch.cat((inputs["input_ids"], torch.tensor([answer[:6]])), dim=1)
    fresh = alone(tiny_model, {**inputs, "input_ids": written}, max_new_tokens=14)
    assert answer[6:] == fresh
    assert answer != alone(tiny_model, inputs, max_new_tokens=20)


def test_a_model_that_would_open_another_thought_answers(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = opened(7)

    def asked(opening: int) -> dict[str, Any]:
        ids = torch.cat((inputs["input_ids"][:, :-1], torch.tensor([[opening]])), dim=1)
        budget = replace(BUDGET, tokens=2, opening=opening)
        return {**inputs, "input_ids": ids, "thinking": budget, "max_new_tokens": 12}

    with monkeypatch.context() as patch:
        patch.setattr(Thought, "allowed", lambda self, logits: logits)
        openings = (n for n in range(1, 140) if n in alone(tiny_model, asked(n))[4:])
        opening = next(openings)
    expected = alone(tiny_model, asked(opening))
    assert opening not in expected[4:]
    engine = Stepped(tiny_model)
    options = asked(opening)
    media = {name: options.pop(name) for name in inputs}
    request = engine.submit(media, **options)
    engine.finish()
    assert read(request) == expected


def test_in_a_batch_each_row_has_its_own_thought(tiny_model: Model) -> None:
    prompts = [Prompt([*range(3, 9), OPEN], [0] * 7), Prompt([*range(30, 50)], [0] * 20)]
    options: dict[str, Any] = {"thinking": BUDGET, "max_new_tokens": 12}
    together = tiny_model.generate(**pad_together(prompts, "left"), **options)
    for row, prompt in enumerate(prompts):
        expected = alone(tiny_model, {"input_ids": torch.tensor([prompt.ids])}, **options)
        assert together[row, -12:].tolist() == expected


def test_a_stop_token_inside_of_a_thought_ends_the_answer(tiny_model: Model) -> None:
    inputs = opened(7)
    free = alone(tiny_model, inputs, max_new_tokens=4)
    options: dict[str, Any] = {"thinking": replace(BUDGET, tokens=9), "eos_token_id": free[2]}
    expected = free[: free.index(free[2]) + 1]
    assert alone(tiny_model, inputs, **options) == expected
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, **options)
    engine.finish()
    assert read(request) == expected


def test_tokens_that_close_a_thought_have_the_probabilities_that_the_network_gave_them(
    tiny_model: Model,
) -> None:
    inputs = opened(7)
    steps = list(stream_tokens(tiny_model, **inputs, thinking=BUDGET, max_new_tokens=6))
    whole = torch.cat((inputs["input_ids"], *(step.token[:, None] for step in steps)), dim=1)
    with torch.no_grad():
        logits = tiny_model(**{**inputs, "input_ids": whole}).logits
    logprobs = logits[0, -7:-1].float().log_softmax(dim=-1)
    expected = [float(row[int(step.token)]) for row, step in zip(logprobs, steps, strict=True)]
    assert min(expected) == min(expected[3:5])  # the network would not have written that
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, thinking=BUDGET, max_new_tokens=6)
    engine.finish()
    got = [token.logprob for token in request]
    assert got == pytest.approx(expected, abs=1e-4)
    assert got == pytest.approx([float(step.logprobs()) for step in steps], abs=1e-4)
