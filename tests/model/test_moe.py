"""Routing and experts against brute force; the load-balancing update."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_config
from torch import Tensor

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.moe import (
    ExpertLoad,
    Router,
    _run_sorted,
    _run_streamed,
    route,
    run_experts,
    run_experts_grouped,
    run_experts_reference,
)


def route_by_hand(
    scores: list[float], bias: list[float], top_k: int, n_group: int, topk_group: int
) -> set[int]:
    """Experts of one token, by sorting plain lists."""
    biased = [s + b for s, b in zip(scores, bias, strict=True)]
    size = len(biased) // n_group
    groups = [list(range(g * size, (g + 1) * size)) for g in range(n_group)]
    strength = {g: sum(sorted(biased[e] for e in groups[g])[-2:]) for g in range(n_group)}
    kept = sorted(strength, key=lambda g: -strength[g])[:topk_group] if n_group > 1 else [0]
    allowed = [e for g in kept for e in groups[g]]
    return set(sorted(allowed, key=lambda e: -biased[e])[:top_k])


@pytest.mark.parametrize(("n_group", "topk_group", "top_k"), [(1, 1, 3), (4, 2, 3), (2, 1, 5)])
def test_routing_picks_what_sorting_picks(n_group: int, topk_group: int, top_k: int) -> None:
    logits, bias = torch.randn(50, 12), torch.randn(12)
    ids, weights = route(logits, bias, top_k, n_group=n_group, topk_group=topk_group)
    scores = logits.sigmoid()
    for row in range(50):
        want = route_by_hand(scores[row].tolist(), bias.tolist(), top_k, n_group, topk_group)
        assert set(ids[row].tolist()) == want
        chosen = scores[row, ids[row]]
        torch.testing.assert_close(weights[row], chosen / chosen.sum())


def test_a_biased_expert_is_chosen_more_but_not_weighted_more() -> None:
    logits = torch.tensor([[2.0, 1.0, -3.0]])
    ids, weights = route(logits, bias=torch.tensor([0.0, 0.0, 9.0]), top_k=2)
    assert set(ids[0].tolist()) == {0, 2}
    expected = logits.sigmoid()[0, ids[0]]
    torch.testing.assert_close(weights[0], expected / expected.sum())


def test_weights_are_scaled_and_left_unnormalised_on_request() -> None:
    logits = torch.randn(4, 6)
    ids, weights = route(logits, torch.zeros(6), 2, norm_topk_prob=False, scaling_factor=2.5)
    torch.testing.assert_close(weights, logits.sigmoid().gather(1, ids) * 2.5)


@pytest.mark.parametrize("rows", [1, 2, 4, 5, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("run", [run_experts, run_experts_grouped])
@pytest.mark.parametrize("training", [False, True])
def test_experts_equal_every_expert_on_every_token(
    rows: int, dtype: torch.dtype, run: Callable[..., Tensor], training: bool
) -> None:
    experts, hidden, inner = 8, 16, 16
    x = torch.randn(rows, hidden).to(dtype)
    gate_up = (torch.randn(experts, 2 * inner, hidden) / 4).to(dtype)
    down = (torch.randn(experts, hidden, inner) / 4).to(dtype)
    # experts 6 and 7 get no token: an empty slice must not break the sum
    ids = torch.stack([torch.randperm(6)[:3] for _ in range(rows)])
    weights = torch.rand(rows, 3)
    want = run_experts_reference(x, ids, weights, gate_up, down, F.silu)
    with torch.set_grad_enabled(training):
        got = run(x, ids, weights, gate_up, down, F.silu)
    assert got.dtype == dtype
    tolerance = {"atol": 3e-2, "rtol": 3e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(got, want, **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_experts_one_after_the_other_equal_all_at_once_to_the_last_bit(dtype: torch.dtype) -> None:
    experts, hidden, inner, rows = 8, 64, 32, 70
    x = torch.randn(rows, hidden).to(dtype)
    gate_up = (torch.randn(experts, 2 * inner, hidden) / 8).to(dtype)
    down = (torch.randn(experts, hidden, inner) / 6).to(dtype)
    ids, weights = torch.rand(rows, experts - 1).topk(3).indices, torch.rand(rows, 3)
    arguments = (x, ids, weights, gate_up, down, F.silu)
    with torch.inference_mode():
        assert torch.equal(_run_streamed(*arguments), _run_sorted(*arguments))


def test_experts_have_the_same_gradients_as_the_slow_form() -> None:
    def gradients(run: Callable[..., Tensor]) -> list[Tensor]:
        torch.manual_seed(3)
        leaves = [
            torch.randn(*shape, requires_grad=True) for shape in ((9, 16), (4, 24, 16), (4, 16, 12))
        ]
        ids = torch.stack([torch.randperm(4)[:2] for _ in range(9)])
        weights = torch.rand(9, 2, requires_grad=True)
        run(leaves[0], ids, weights, *leaves[1:], F.silu).square().sum().backward()
        return [leaf.grad for leaf in (*leaves, weights)]

    for fast, slow in zip(gradients(run_experts), gradients(run_experts_reference), strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


def test_balancing_moves_load_from_crowded_to_idle_experts() -> None:
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config())).eval()
    router = model.model.language_model.layers[1].mlp.gate
    assert isinstance(router, Router)
    with torch.no_grad():
        router.e_score_correction_bias[0] = 1.0  # every token goes to expert 0
    ids = torch.randint(1, 140, (4, 64))

    def spread() -> float:
        with ExpertLoad(model) as load, torch.no_grad():
            model(ids)
        load.balance(rate=0.05)
        assert load.counts[0].sum() == 4 * 64 * 3
        return (load.counts[0].max() / load.counts[0].mean()).item()

    first = spread()
    for _ in range(40):
        last = spread()
    assert first > 2.5
    assert last < 1.5


def test_a_balancing_step_is_the_rate_whatever_the_imbalance() -> None:
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config())).eval()
    with ExpertLoad(model) as load, torch.no_grad():
        model(torch.randint(1, 140, (2, 40)))
    load.balance(rate=0.25)
    bias = model.model.language_model.layers[1].mlp.gate.e_score_correction_bias
    mean = load.counts[0].mean()
    assert torch.equal(bias, 0.25 * torch.sign(mean - load.counts[0]))


def test_padding_is_not_counted_as_load() -> None:
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config())).eval()
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    with ExpertLoad(model, mask) as load, torch.no_grad():
        model(torch.randint(1, 140, (2, 4)), mask)
    assert [counts.sum().item() for counts in load.counts] == [6 * 3, 6 * 3]
    with load, torch.no_grad():
        model(torch.randint(1, 140, (2, 4)), mask)
    assert load.counts[0].sum() == 6 * 3


def test_the_router_scores_in_float32_whatever_the_dtype() -> None:
    config = Glm4vMoeConfig(**tiny_config()).text_config
    router = Router(config)
    torch.nn.init.normal_(router.weight)
    x = torch.randn(200, 64).bfloat16()
    router = router.bfloat16()
    ids, weights = router(x)
    scores = (x.float() @ router.weight.float().T).sigmoid()
    want = scores.topk(3).indices
    assert torch.equal(ids.sort().values, want.sort().values)
    chosen = scores.gather(1, ids)
    torch.testing.assert_close(weights, chosen / chosen.sum(-1, keepdim=True))


def test_counting_load_leaves_no_hook_on_the_model() -> None:
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config()))
    with ExpertLoad(model):
        pass
    assert not any(module._forward_hooks for module in model.modules())
