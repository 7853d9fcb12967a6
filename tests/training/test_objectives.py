"""All losses of a step together: what they reach, what they leave out, that they fall."""

from __future__ import annotations

import math
from dataclasses import asdict, fields, replace

import pytest
import torch
from random_batch import build_model, random_batch, random_labels

from training.objectives import Objectives, ObjectiveWeights, forward_batch
from training.objectives.answers import CONTINUED_SIGMA, FIRST_SIGMA, AnswerLoss
from training.objectives.weights import CONTINUED, GROUNDING, reading_weights
from training.optimizer import Optimizer
from training.schedule import Schedule
from training.shared_prefix import vision_states
from training.trainer import Rates, Trainer

CPU = torch.device("cpu")


def test_every_parameter_of_model_and_heads_gets_a_gradient() -> None:
    model, batch = build_model(), random_batch()
    objectives = Objectives(model.config)
    loss, _ = objectives(forward_batch(model, batch), batch, 0.5)
    loss.backward()
    named = [*model.named_parameters(), *objectives.named_parameters()]
    assert [name for name, p in named if p.grad is None or not p.grad.any()] == []


def test_reading_trains_the_vision_tower_alone() -> None:
    model, batch = build_model(), random_batch()
    objectives = Objectives(model.config)
    visual = model.model.visual
    states = vision_states(visual, batch.pixel_values, batch.image_grid_thw)
    loss, measures = objectives.reading(*states, batch.targets, difficulty=0.5)
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in visual.parameters())
    assert all(p.grad is None for p in model.model.language_model.parameters())
    assert all(p.grad is None for p in objectives.pointer.parameters())
    assert {"characters", "token_characters", "icons", "box_error"} <= measures.keys()


def test_the_loss_is_the_weighted_sum_of_what_is_measured() -> None:
    model, batch = build_model(), random_batch()
    weights = ObjectiveWeights(answers=2.0, pointer=0.7, attention=0.0, boxes=3.0)
    loss, measures = Objectives(model.config, weights)(forward_batch(model, batch), batch, 0.2)
    names = [field.name for field in fields(ObjectiveWeights)]
    want = sum(getattr(weights, name) * measures[f"loss/{name}"] for name in names)
    torch.testing.assert_close(loss.detach(), want)


def test_measures_carry_no_gradient_and_are_numbers() -> None:
    model, batch = build_model(), random_batch()
    _, measures = Objectives(model.config)(forward_batch(model, batch), batch, 0.5)
    assert all(value.shape == () and not value.requires_grad for value in measures.values())
    asked, unasked = measures["near/text"], measures["near/icon"]
    assert 0 <= asked <= 1
    assert math.isnan(unasked)


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)]
)
def test_losses_of_a_batch_that_is_seen_again_fall(dtype: torch.dtype) -> None:
    model, batch = build_model(dtype), random_batch()
    objectives = Objectives(model.config).to(dtype)
    heads = [(f"objectives.{name}", p) for name, p in objectives.named_parameters()]
    optimizer = Optimizer([*model.named_parameters(), *heads], lr=1e-2)
    history = []
    for _ in range(20):
        loss, measures = objectives(forward_batch(model, batch), batch, 0.5)
        loss.backward()
        optimizer.step()
        history.append(measures)
    first, last = history[0], history[-1]
    for name in ("answers", "pointer", "attention", "image_coordinates", "patch_characters"):
        assert last[f"loss/{name}"] < 0.8 * first[f"loss/{name}"], name
    assert last["near/text"] == 1 and last["pointer_hit"] == 1


def test_screens_of_which_not_everything_is_known_have_no_losses_of_patches() -> None:
    model, batch = build_model(), replace(random_batch(), targets=None)
    objectives = Objectives(model.config)
    loss, measures = objectives(forward_batch(model, batch), batch, 0.5)
    loss.backward()
    assert measures["loss/answers"] > 0 and "loss/boxes" not in measures
    assert objectives.boxes.weight.grad is None


def test_a_batch_in_which_no_element_is_asked_for_has_no_pointer() -> None:
    model, batch = build_model(), random_batch()
    batch = replace(batch, pointer_at=torch.full_like(batch.pointer_at, -1))
    loss, measures = Objectives(model.config)(forward_batch(model, batch), batch, 0.5)
    loss.backward()
    assert measures["loss/pointer"] == 0 and measures["loss/attention"] == 0
    assert "pointer_hit" not in measures


def test_a_screen_without_elements_or_text_gives_finite_losses() -> None:
    model, batch = build_model(), random_batch()
    labels = random_labels()
    nothing = {name: torch.zeros_like(getattr(labels, name)) for name in ("role", "icon")}
    blank = replace(labels, characters=torch.zeros_like(labels.characters), **nothing)
    batch = replace(batch, targets=blank)
    loss, measures = Objectives(model.config)(forward_batch(model, batch), batch, 0.5)
    loss.backward()
    assert loss.isfinite()
    assert measures["loss/boxes"] == 0 and measures["loss/image_coordinates"] == 0


def test_what_is_not_about_characters_comes_in_as_pages_get_harder() -> None:
    easy, hard = reading_weights(0.0), reading_weights(1.0)
    assert 0 < easy.roles < hard.roles and easy.icons < hard.icons
    assert easy.patch_characters == hard.patch_characters > 0
    assert hard.answers == hard.pointer == hard.attention == 0
    assert GROUNDING.answers == 1


def test_for_a_model_that_goes_on_only_the_answers_count_as_before() -> None:
    for name, weight in asdict(CONTINUED).items():
        assert weight == (1 if name == "answers" else 0.25 * getattr(GROUNDING, name)), name


@pytest.mark.parametrize(("is_growing", "sigma"), [(True, FIRST_SIGMA), (False, CONTINUED_SIGMA)])
def test_coordinates_of_a_model_that_goes_on_have_narrow_targets_from_the_first_step(
    is_growing: bool, sigma: float
) -> None:
    model, batch = build_model(), random_batch()
    schedule = Schedule(0, 10, largest="tiny", is_growing=is_growing)
    trainer = Trainer(model, schedule, Rates(0.0, 0.0, 1.0), device=CPU, dtype=torch.float32)
    output = forward_batch(trainer.model, batch)
    _, measures = trainer.objectives(output, batch, 0.0)
    loss, _ = AnswerLoss()(output, batch, sigma)
    torch.testing.assert_close(measures["loss/answers"], loss.detach())
