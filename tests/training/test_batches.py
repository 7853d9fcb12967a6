"""A batch is a function of its request; it holds what packing and the processor make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hand_made_screens import processor_of, random_screen
from numpy.typing import NDArray

from grounding.evaluation.options import BUNDLED_FOLDER
from model.processing import Glm4vProcessor
from training.batches import (
    ARRAYS,
    DrawnScreens,
    Request,
    ScreenBatch,
    pixel_values,
    stack_padded,
    to_batch,
    to_device,
    to_tensors,
)
from training.materials import Materials
from training.packing import IGNORED, pack
from training.schedule import Schedule
from training.screens import SIZES
from training.tasks import turns

SCHEDULE = Schedule(reading_steps=4, grounding_steps=8, largest="tiny", is_growing=True)


def request_of(step: int, difficulty: float = 0.3, seed: int = 0) -> Request:
    return Request.of(SCHEDULE, step, seed=seed, screens=2, turns=3, difficulty=difficulty)


@pytest.fixture(scope="module")
def make(materials: Materials) -> DrawnScreens:
    return DrawnScreens(BUNDLED_FOLDER, materials.folder)


@pytest.fixture(scope="module")
def processor() -> Glm4vProcessor:
    return processor_of(BUNDLED_FOLDER)


def differing(a: ScreenBatch[NDArray[Any]], b: ScreenBatch[NDArray[Any]]) -> set[str]:
    return {name for name in ARRAYS if not np.array_equal(getattr(a, name), getattr(b, name))}


def test_the_same_request_gives_the_same_batch_whoever_makes_it(
    make: DrawnScreens, materials: Materials
) -> None:
    other = DrawnScreens(BUNDLED_FOLDER, materials.folder)
    other(request_of(2))  # what was made before does not matter
    for step in (0, 5):
        assert differing(make(request_of(step)), other(request_of(step))) == set()


@pytest.mark.parametrize("other", [request_of(6), request_of(5, seed=1)])
def test_every_step_and_every_seed_has_its_own_batch(make: DrawnScreens, other: Request) -> None:
    assert {"images", "labels"} <= differing(make(request_of(5)), make(other))


def test_pages_of_text_are_as_difficult_as_asked_for(make: DrawnScreens) -> None:
    steps = [step for step in range(4) if make(request_of(step, 0.0)).has_pages]
    assert steps
    easy, hard = (make(request_of(steps[0], difficulty)) for difficulty in (0.0, 1.0))
    assert "images" in differing(easy, hard)
    assert len(easy.images) == 2 * request_of(0).screens  # pages are small
    assert easy.images.shape[1:3] in {(height, width) for width, height in SIZES["dense"]}
    assert easy.questions == 0


def test_a_batch_of_the_grounding_phase_has_the_turns_that_were_asked_for(
    make: DrawnScreens,
) -> None:
    batch = make(request_of(6))
    assert batch.images.shape[:1] == (3,)  # of tiny screens there are more
    assert batch.images.shape[1:3] in {(height, width) for width, height in SIZES["tiny"]}
    assert batch.input_ids.shape[:2] == (3, 3)
    assert batch.questions == 9
    assert (batch.labels != IGNORED).any(-1).all()


def test_turns_of_several_screens_are_those_of_each_filled_up(processor: Glm4vProcessor) -> None:
    request = replace(request_of(6), screens=2)
    screens = [random_screen(seed) for seed in range(2)]
    asked = [turns(screen, request.random(), 3 + 2 * i) for i, screen in enumerate(screens)]
    batch = to_batch(request, screens, asked, processor)
    for index, (screen, own) in enumerate(zip(screens, asked, strict=True)):
        packed = pack(screen, own, processor)
        count, length = packed.input_ids.shape
        assert np.array_equal(batch.prefix_ids[index], packed.prefix_ids)
        assert np.array_equal(batch.labels[index, :count, :length], packed.labels)
        assert np.array_equal(batch.input_ids[index, :count, :length], packed.input_ids)
        assert (batch.labels[index, count:] == IGNORED).all()
        assert (batch.labels[index, :, length:] == IGNORED).all()
        assert (batch.lengths[index, count:] == 0).all()
        assert (batch.pointer_at[index, count:] == -1).all()
    assert batch.questions == 8


def test_padding_stands_at_the_end_of_every_axis() -> None:
    stacked = stack_padded([np.ones((1, 3), np.int32), np.ones((2, 2), np.int32)], -1)
    assert stacked.tolist() == [[[1, 1, 1], [-1, -1, -1]], [[1, 1, -1], [1, 1, -1]]]


def test_patches_are_those_of_the_image_processor(processor: Glm4vProcessor) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 140, 196, 3), np.uint8)
    expected = processor.image_processor(list(images))
    values, grids = pixel_values(torch.from_numpy(images))
    assert torch.equal(values, expected["pixel_values"])
    assert torch.equal(grids, expected["image_grid_thw"])


@pytest.fixture
def drawn(make: DrawnScreens) -> Iterator[ScreenBatch[NDArray[Any]]]:
    yield make(request_of(6))


def test_screens_of_which_not_everything_is_known_teach_no_patches(
    drawn: ScreenBatch[NDArray[Any]],
) -> None:
    tensors = to_tensors(drawn)
    device = torch.device("cpu")
    whole = to_device(tensors, device)
    assert whole.targets is not None
    assert torch.equal(whole.targets.role, torch.from_numpy(drawn.role).long())
    assert to_device(replace(tensors, is_complete=False), device).targets is None
