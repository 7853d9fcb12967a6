"""Pictures made for the browser: written once, kept while in use, removed with Gradio's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gradio.route_utils import delete_files_created_by_app
from PIL import Image
from scripted_backend import ScriptedBackend

from ui import PageSettings, build_ui
from ui.files import save_png

LONG_AGO_S = 10 * 24 * 3600


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


def test_the_same_picture_is_one_file() -> None:
    first = save_png(Image.new("RGB", (4, 4)))
    written = os.stat(first).st_ino
    assert save_png(Image.new("RGB", (4, 4))) == first
    assert os.stat(first).st_ino == written


def test_a_picture_is_removed_when_the_page_is_cleaned() -> None:
    page = build_ui(ScriptedBackend(), PageSettings())
    path = save_png(Image.new("RGB", (5, 4)))
    delete_files_created_by_app(page, LONG_AGO_S)
    assert Path(path).exists()
    delete_files_created_by_app(page, None)
    assert not Path(path).exists()
    assert Path(save_png(Image.new("RGB", (5, 4)))).exists()


def test_a_picture_in_use_counts_as_new() -> None:
    path = save_png(Image.new("RGB", (6, 4)))
    os.utime(path, (0, 0))
    save_png(Image.new("RGB", (6, 4)))
    assert os.stat(path).st_mtime > 0


def test_pictures_may_be_made_while_the_page_is_cleaned() -> None:
    page = build_ui(ScriptedBackend(), PageSettings())
    save_png(Image.new("RGB", (7, 4)))
    for saved in page.temp_file_sets[-1]:
        assert saved
        save_png(Image.new("RGB", (8, 4)))
        save_png(Image.new("RGB", (9, 4)))
