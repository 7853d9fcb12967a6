"""Pictures made for the browser: written once, kept while in use, removed with Gradio's own."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import pytest
from gradio.route_utils import delete_files_created_by_app
from PIL import Image
from scripted_backend import ScriptedBackend

from ui import PageSettings, build_ui
from ui.files import keep_longer, remove_older, save_png, start_cleaning, use_own_folder

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


def test_who_has_a_picture_cannot_tell_from_its_name_whether_it_is_here() -> None:
    path = Path(save_png(Image.new("RGB", (3, 4))))
    assert path.parent.name != hashlib.sha256(path.read_bytes()).hexdigest()


def make_old(path: Path) -> float:
    """Write a file; return a time after that, in seconds since the epoch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"old")
    written = path.stat().st_ctime
    probe = path.parent / "probe"
    while True:  # clocks of file systems are coarse
        probe.write_bytes(b"")
        now = probe.stat().st_ctime
        probe.unlink()
        if now > written:
            return now


def test_old_files_go_whoever_left_them_and_those_in_use_stay(tmp_path: Path) -> None:
    uploaded, in_use = tmp_path / ("a" * 64) / "old.png", tmp_path / ("b" * 64) / "used.png"
    half = tmp_path / "tmpabc_1234"
    make_old(in_use)
    half.write_bytes(b"upload that broke off")
    then = make_old(uploaded)
    assert keep_longer([str(in_use), str(tmp_path / "none.png")]) == [str(tmp_path / "none.png")]
    remove_older(tmp_path, then)
    assert not uploaded.exists() and not half.exists()
    assert in_use.exists()


def test_emptied_folders_go_too(tmp_path: Path) -> None:
    then = make_old(tmp_path / ("a" * 64) / "old.png")
    remove_older(tmp_path, then)
    remove_older(tmp_path, make_old(tmp_path / "others.txt"))
    assert not (tmp_path / ("a" * 64)).exists()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "precious.png"
    make_old(outside)
    folder = tmp_path / "uploads"
    (folder / ("a" * 64)).mkdir(parents=True)
    (folder / ("a" * 64) / "file.png").symlink_to(outside)
    (folder / ("a" * 64) / "folder").symlink_to(outside.parent)
    (folder / ("b" * 64)).symlink_to(outside.parent)
    remove_older(folder, make_old(tmp_path / "later"))
    assert outside.exists()
    assert list(folder.rglob("*.png")) == [] and not (folder / ("b" * 64)).is_symlink()


def test_what_is_not_of_the_page_stays(tmp_path: Path) -> None:
    own = [tmp_path / "notes.txt", tmp_path / "photos" / "a.png"]
    then = max(make_old(path) for path in own)
    remove_older(tmp_path, then)
    assert all(path.exists() for path in own)


def test_a_raw_upload_of_an_earlier_process_is_removed_at_the_start(tmp_path: Path) -> None:
    left = tmp_path / ("c" * 64) / "left.png"
    make_old(left)
    ended = start_cleaning(interval_s=3600, keep_s=-60)
    try:
        deadline = time.monotonic() + 10
        while left.exists() and time.monotonic() < deadline:
            ended.wait(0.01)
    finally:
        ended.set()
    assert not left.exists()


def test_the_page_has_a_folder_that_nobody_else_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders = []
    for _ in range(2):
        monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
        use_own_folder()
        folders.append(os.environ["GRADIO_TEMP_DIR"])
    assert folders[0] == folders[1] and os.stat(folders[0]).st_mode & 0o077 == 0
    os.chmod(folders[0], 0o755)
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    use_own_folder()
    assert os.environ["GRADIO_TEMP_DIR"] not in folders
    assert os.stat(os.environ["GRADIO_TEMP_DIR"]).st_mode & 0o077 == 0


def test_a_folder_that_the_operator_chose_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "/chosen")
    use_own_folder()
    assert os.environ["GRADIO_TEMP_DIR"] == "/chosen"
