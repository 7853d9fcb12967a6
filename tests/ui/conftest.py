"""What tests of the page's handlers share: a folder for the page's files, a screenshot."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_files import make_image

from ui import answering


@pytest.fixture(autouse=True)
def files_of_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what the page writes in a folder of the test."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))


@pytest.fixture
def every_piece_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show an answer as often as something comes, however soon after the last time."""
    monkeypatch.setattr(answering, "MIN_INTERVAL_S", 0.0)


@pytest.fixture
def screenshot(tmp_path: Path) -> str:
    """Return a white screen of 200 x 100 pixels."""
    return make_image(tmp_path / "screen.png")
