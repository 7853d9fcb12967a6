"""Muon and AdamW: what each trains, what a step is, and that a stopped run goes on exactly."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny import randomize, tiny_config
from torch import nn

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from training.optimizer import Optimizer, is_matrix, orthogonalize
from training.options import read_settings
from training.schedule import Schedule
from training.trainer import Rates, Trainer


def build(dtype: torch.dtype = torch.float32) -> Glm4vMoeForConditionalGeneration:
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config()))
    randomize(model, gain=1.0)
    return model.to(dtype)


def give_gradients(model: nn.Module, seed: int, size: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, generator=generator) * size
        parameter.grad = drawn.to(parameter.dtype)


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 16, 40), (2, 40, 16)])
def test_orthogonalizing_moves_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    u, _, vh = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrices = u * torch.linspace(1, 10, u.shape[-1]) @ vh
    after = torch.linalg.svdvals(orthogonalize(matrices).float())
    assert 0.5 < after.min() and after.max() < 1.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_trainer_and_optimizer_compute_in_what_is_fast_here(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("trainer", "optimizer", "options"):
        monkeypatch.setattr(f"training.{user}.fast_dtype", lambda device: dtype)
    schedule = Schedule(0, 10, "tiny", is_growing=False)
    trainer = Trainer(build(), schedule, Rates(1, 1, 1), device=torch.device("cpu"))
    assert {p.dtype for p in trainer.model.parameters()} == {dtype}
    assert {p.dtype for p in trainer.objectives.parameters()} == {dtype}
    assert orthogonalize(torch.randn(2, 8, 12)).dtype is dtype
    assert f"torch.{read_settings('', []).dtype}" == str(dtype)
    assert read_settings("", ["--dtype", "bfloat16"]).dtype == "bfloat16"


def test_each_expert_of_a_stack_is_orthogonalized_by_itself() -> None:
    stack = torch.randn(4, 8, 12)
    alone = torch.stack([orthogonalize(expert[None])[0] for expert in stack])
    torch.testing.assert_close(orthogonalize(stack), alone, atol=0.02, rtol=0)


def test_muon_trains_matrices_and_adam_everything_else() -> None:
    names = {name for name, p in build().named_parameters() if is_matrix(name, p)}
    assert "model.language_model.layers.1.mlp.experts.gate_up_proj" in names
    assert "model.language_model.layers.0.self_attn.q_proj.weight" in names
    assert "model.visual.patch_embed.proj.weight" in names
    assert "model.visual.merger.down_proj.weight" in names
    for other in (
        "lm_head.weight",
        "model.language_model.embed_tokens.weight",
        "model.language_model.layers.1.mlp.gate.weight",
        "model.language_model.layers.0.self_attn.q_proj.bias",
        "model.language_model.norm.weight",
        "model.visual.embeddings.position_embedding.weight",
    ):
        assert other not in names
    assert not is_matrix("objectives.roles.weight", torch.zeros(3, 4))


def test_a_first_step_of_adam_is_the_learning_rate_against_the_gradient() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    weight.grad = torch.tensor([0.1, -0.2, 0.001])
    Optimizer([("lm_head.weight", weight)], lr=0.01).step(scale=0.5)
    torch.testing.assert_close(weight.data, torch.tensor([0.995, -1.995, 2.995]))


def test_steps_of_muon_are_as_long_as_those_of_adam_for_any_shape() -> None:
    lengths = []
    for shape in ((64, 64), (16, 128), (4, 32, 64)):
        weight = nn.Parameter(torch.zeros(shape))
        weight.grad = torch.randn(shape)
        Optimizer([("model.x.weight", weight)], lr=1.0).step()
        lengths.append(weight.detach().square().mean().sqrt().item())
    assert all(0.14 < length < 0.24 for length in lengths), lengths


def test_the_vision_tower_and_its_patches_have_rates_of_their_own() -> None:
    lengths = {}
    for name in ("model.language_model.a", "model.visual.a", "model.visual.patch_embed.a"):
        weight = nn.Parameter(torch.zeros(8, 8))
        weight.grad = torch.eye(8)
        Optimizer([(name, weight)], lr=1.0, vision_scale=0.5).step()
        lengths[name] = weight.detach().norm()
    text, vision, patches = lengths.values()
    torch.testing.assert_close(vision, text / 2)
    torch.testing.assert_close(patches, text / 8)


def test_large_gradients_of_adam_are_clipped() -> None:
    weights = [nn.Parameter(torch.zeros(3)) for _ in range(2)]
    norms = []
    for weight, size in zip(weights, (100.0, 1.0), strict=True):
        optimizer = Optimizer([("lm_head.weight", weight)], lr=0.1)
        for _ in range(2):  # the second gradient shows what was remembered of the first
            weight.grad = torch.tensor([3.0, 4.0, 0.0]) * size / 5
            norms.append(optimizer.step())
    assert norms[0] == pytest.approx(100) and norms[2] == pytest.approx(1)
    torch.testing.assert_close(weights[0].data, weights[1].data)


def test_a_gradient_that_is_not_a_number_changes_nothing() -> None:
    model = build()
    before = copy.deepcopy(model.state_dict())
    give_gradients(model, seed=1)
    model.lm_head.weight.grad[0, 0] = float("nan")
    norm = Optimizer(model.named_parameters(), lr=0.1).step()
    assert norm != norm
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_parameters_without_a_gradient_stay() -> None:
    model = build()
    before = model.lm_head.weight.detach().clone()
    give_gradients(model, seed=1)
    model.lm_head.weight.grad = None
    Optimizer(model.named_parameters(), lr=0.1).step()
    assert torch.equal(model.lm_head.weight, before)


def test_short_floats_add_up_steps_that_are_too_small_for_them() -> None:
    weight = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = Optimizer([("lm_head.weight", weight)], lr=1e-4)
    for _ in range(100):  # the step of bfloat16 below one is 0.004
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    torch.testing.assert_close(weight.float(), torch.full((4,), 0.99), atol=0.002, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_stopped_run_goes_on_bit_for_bit(dtype: torch.dtype) -> None:
    whole, stopped = build(dtype), build(dtype)
    optimizer = Optimizer(whole.named_parameters(), lr=0.01, vision_scale=0.5)
    for seed in range(4):
        give_gradients(whole, seed)
        optimizer.step(scale=1 - seed / 8)

    first = Optimizer(stopped.named_parameters(), lr=0.01, vision_scale=0.5)
    for seed in range(2):
        give_gradients(stopped, seed)
        first.step(scale=1 - seed / 8)
    state = copy.deepcopy(first.state_dict())
    resumed = build(dtype)
    second = Optimizer(resumed.named_parameters(), lr=0.01, vision_scale=0.5)
    second.load_state_dict(state)
    for seed in (2, 3):
        give_gradients(resumed, seed)
        second.step(scale=1 - seed / 8)

    for name, tensor in whole.named_parameters():
        assert torch.equal(tensor, resumed.get_parameter(name)), name
    for name, tensors in optimizer.state_dict()["parameters"].items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, second.state_dict()["parameters"][name][key]), (name, key)


def test_a_state_of_another_model_is_refused() -> None:
    model = build()
    state = Optimizer(model.named_parameters(), lr=0.1).state_dict()
    other = Optimizer([("lm_head.weight", nn.Parameter(torch.zeros(3)))], lr=0.1)
    with pytest.raises(ValueError, match="another model: model.language_model"):
        other.load_state_dict(state)
