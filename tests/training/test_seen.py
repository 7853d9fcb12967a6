"""Training shows a screen at the size at which the processor shows it, and boxes go with it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made_screens import make_screen, random_screen

from grounding.evaluation.options import BUNDLED_FOLDER
from model.processing import Glm4vProcessor
from training.batches import DrawnScreens, Request, pixel_values
from training.materials import Materials
from training.packing import covered_cells
from training.schedule import Schedule
from training.screens import Character, Element
from training.screens.scaling import scaled
from training.seen import draw_size, screens_of, show
from training.tasks import turns
from training.tasks.turn import norm_box

SIZES = ((224, 168), (252, 336), (224, 448), (336, 728), (1288, 812))


@pytest.fixture(scope="module")
def processor() -> Glm4vProcessor:
    return Glm4vProcessor.from_pretrained(BUNDLED_FOLDER)


@pytest.mark.parametrize("size", SIZES)
def test_most_batches_are_seen_as_the_processor_shows_them(
    size: tuple[int, int], processor: Glm4vProcessor
) -> None:
    images = processor.image_processor
    rng = random.Random(0)
    drawn = [draw_size(size, images.settings, rng) for _ in range(200)]
    rows, columns = images.resized(size[1], size[0])
    assert drawn.count((columns, rows)) >= 120
    assert all(width % 28 == height % 28 == 0 for width, height in drawn)
    if size[0] * size[1] < 100_000:  # small ones are seen at several others
        assert len(set(drawn)) > 5
        areas = [width * height for width, height in drawn]
        assert min(areas) < 0.8 * rows * columns and max(areas) > 1.2 * rows * columns


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_that_the_processor_makes(
    size: tuple[int, int], processor: Glm4vProcessor
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    screen = replace(make_screen(size=size), image=pixels)
    rows, columns = processor.image_processor.resized(size[1], size[0])
    seen = scaled(screen, (columns, rows))
    values, grid = pixel_values(torch.from_numpy(seen.image)[None])
    expected = processor.image_processor([pixels])
    assert torch.equal(values, expected["pixel_values"])
    assert torch.equal(grid, expected["image_grid_thw"])


def test_boxes_and_characters_grow_with_the_screen() -> None:
    character = Character("S", 30, 40, center_y=50, size=12)
    screen = make_screen(
        Element("button", (30, 40, 100, 70), "Save"), size=(252, 168), characters=(character,)
    )
    seen = scaled(screen, (504, 560))
    assert (seen.width, seen.height) == (504, 560)
    assert seen.elements[0].box == pytest.approx((60, 400 / 3, 200, 700 / 3))
    [drawn] = seen.characters
    place = (drawn.x0, drawn.x1, drawn.center_y, drawn.size)
    assert place == pytest.approx((60, 80, 500 / 3, 40))
    assert screen.elements[0].box == (30, 40, 100, 70)


def test_questions_and_answers_stay_and_point_at_the_enlarged_element() -> None:
    screens = [random_screen(seed) for seed in range(3)]
    asked = [turns(screen, random.Random(0), 20) for screen in screens]
    seen, shown = show(screens, asked, (560, 728))
    pointed = 0
    for small, large, before, after in zip(screens, seen, asked, shown, strict=True):
        assert (large.width, large.height) == (560, 728)
        for old, new in zip(before, after, strict=True):
            assert replace(new, element=old.element) == old
            if old.element is None:
                assert new.element is None
                continue
            pointed += 1
            assert new.element is not None
            assert norm_box(new.element.box, large) == norm_box(old.element.box, small)
            assert new.element in large.elements
            cells = covered_cells([new.element.box], large)[0]
            assert cells.sum() >= covered_cells([old.element.box], small)[0].sum()
    assert pointed > 20


def test_of_larger_screens_a_batch_has_fewer_but_never_one_alone() -> None:
    counts = [screens_of(size, 8) for size in ((224, 168), (532, 392), (336, 728), (980, 588))]
    assert counts == [8, 4, 3, 2]
    assert screens_of((980, 588), 1) == 1  # if no more were asked for


def test_batches_show_small_screens_enlarged_once_screens_have_grown(materials: Materials) -> None:
    make = DrawnScreens(BUNDLED_FOLDER, materials.folder)
    schedule = Schedule(reading_steps=1, grounding_steps=4, largest="middle", is_growing=False)
    growing = replace(schedule, largest="tiny", is_growing=True)

    def pixels(of: Schedule, step: int, seed: int) -> int:
        batch = make(Request.of(of, step, seed=seed, screens=2, turns=2, difficulty=0.3))
        return int(np.prod(batch.images.shape[1:3]))

    least = make.processor.image_processor.settings.min_pixels // 2  # a picture counts twice
    enlarged = [pixels(schedule, 1, seed) for seed in range(6)]
    assert sum(area >= least for area in enlarged) >= 3
    assert min(enlarged) > least / 2.5
    assert pixels(growing, 1, 0) < least / 4
    assert pixels(schedule, 0, 0) < least / 4  # reading is learnt from screens as they are
