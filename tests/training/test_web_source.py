"""Web pages as batches: of a folder, all tasks, the same for the same request."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from grounding.evaluation.options import BUNDLED_FOLDER
from training.batches import DrawnScreens, Request
from training.folders import write_screens
from training.materials import Materials
from training.schedule import Phase
from training.screens import render
from training.web.source import WebAndDrawnScreens

SIZE = (168, 140)


def request(step: int, *, phase: Phase = "grounding", size: tuple[int, int] = SIZE) -> Request:
    return Request(0, step, phase, (size,), 2, 4, False, False, 0.0, 0.5)


def make(folder: Path, materials: Materials, share: float) -> WebAndDrawnScreens:
    pages = [(f"{n}.png", render(n, SIZE, materials=materials)) for n in range(3)]
    write_screens(folder, pages)
    return WebAndDrawnScreens(DrawnScreens(BUNDLED_FOLDER), [folder], share=share)


def test_a_batch_shows_pages_of_the_folder_and_repeats(
    tmp_path: Path, materials: Materials
) -> None:
    source = make(tmp_path, materials, 1.0)
    pages = [screen.image for screen in source.screens[SIZE]]
    batch = source(request(1))
    assert batch.is_complete
    assert (batch.lengths > 0).all()
    assert (batch.characters > 0).any()  # what is written on a page is known
    for image in batch.images:
        assert any(np.array_equal(image, page) for page in pages)
    again = pickle.loads(pickle.dumps(source))(request(1))  # as in another process
    np.testing.assert_array_equal(again.images, batch.images)
    np.testing.assert_array_equal(again.input_ids, batch.input_ids)


def test_pages_of_several_folders_are_shown(tmp_path: Path, materials: Materials) -> None:
    sizes = [SIZE, (196, 112)]
    for size in sizes:
        write_screens(tmp_path / str(size[0]), [("0.png", render(0, size, materials=materials))])
    folders = [tmp_path / str(width) for width, _ in sizes]
    source = WebAndDrawnScreens(DrawnScreens(BUNDLED_FOLDER), folders, share=1.0)
    for size in sizes:
        [page] = source.screens[size]
        batch = source(request(1, size=size))
        np.testing.assert_array_equal(batch.images[0], page.image)


def test_other_sizes_and_the_reading_phase_are_drawn(tmp_path: Path, materials: Materials) -> None:
    source = make(tmp_path, materials, 1.0)
    drawn = DrawnScreens(BUNDLED_FOLDER)
    for asked in (request(1, size=(140, 168)), request(1, phase="reading")):
        np.testing.assert_array_equal(source(asked).images, drawn(asked).images)
