"""Steps that fit into a time, pages that get harder, and figures of steps."""

from __future__ import annotations

import math

import pytest
import torch

from training.curriculum import Curriculum
from training.figures import Averages, Later
from training.pace import MIN_STEPS, levels_of, steps_in

PACE = {"reading": 1.0, "tiny": 1.5, "small": 1.6, "middle": 2.5}


def test_the_steps_of_all_phases_take_the_time_there_is() -> None:
    schedule = steps_in(3600, PACE, "middle", reading_share=0.1, is_growing=True)
    taken = sum(
        PACE["reading" if schedule.phase(step) == "reading" else schedule.level(step)]
        for step in range(schedule.steps)
    )
    assert taken == pytest.approx(3600, rel=0.01)
    assert schedule.reading_steps == 360


def test_a_model_that_goes_on_is_timed_at_its_own_sizes_only() -> None:
    schedule = steps_in(100, {"middle": 2.5}, "middle", reading_share=0, is_growing=False)
    assert (schedule.reading_steps, schedule.grounding_steps) == (0, 40)
    assert levels_of("middle", is_growing=False) == ("middle",)
    assert levels_of("middle", is_growing=True) == ("tiny", "small", "middle")


def test_there_are_always_some_steps() -> None:
    schedule = steps_in(0, PACE, "middle", reading_share=0.1, is_growing=True)
    assert schedule.grounding_steps == MIN_STEPS


def test_pages_get_harder_when_they_are_read_and_not_before() -> None:
    curriculum = Curriculum()
    for _ in range(20):
        curriculum.learn(curriculum.difficulty, 0.5, progress=0.2)
    assert curriculum.difficulty == 0
    for _ in range(400):
        curriculum.learn(curriculum.difficulty, 0.95, progress=0.2)
    assert curriculum.difficulty == 1


def test_pages_of_another_difficulty_and_the_last_steps_change_nothing() -> None:
    curriculum = Curriculum(difficulty=0.5, accuracy=0.9)
    curriculum.learn(0.3, 0.95, progress=0.2)
    curriculum.learn(0.5, 0.95, progress=0.99)
    assert curriculum.difficulty == 0.5


def test_means_leave_out_what_was_not_measured() -> None:
    averages = Averages()
    averages.add({"loss": 1.0, "near": math.nan})
    averages.add({"loss": 3.0, "near": 0.5})
    kept = Averages()
    kept.load_state_dict(averages.state_dict())
    for each in (averages, kept):
        assert each.take() == {"loss": 2.0, "near": 0.5}
        assert each.take() == {}


def test_figures_are_read_later() -> None:
    figures = {"loss": torch.tensor(2.5, dtype=torch.bfloat16), "hits": torch.tensor(3)}
    assert Later(figures).read() == {"loss": 2.5, "hits": 3.0}
