"""Animated WebP as clips: times from the file, frames by Pillow, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.processing import Limits, MediaError, open_clip
from model.processing import webp as module


def write(path: Path, durations_ms: list[int], size: tuple[int, int] = (64, 48)) -> Path:
    """Write one frame for each duration; frame i is 20 * i bright."""
    frames = [Image.new("RGB", size, (20 * i, 0, 255 - 20 * i)) for i in range(len(durations_ms))]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations_ms, lossless=True
    )
    return path


def test_a_steady_animation_has_a_rate(tmp_path: Path) -> None:
    clip = open_clip(write(tmp_path / "moving.webp", [200] * 10))
    assert (clip.frame_count, clip.fps, clip.duration_s) == (10, 5.0, 2.0)
    assert (clip.width, clip.height) == (64, 48)
    assert clip.timeline.is_constant


def test_each_frame_has_its_own_time(tmp_path: Path) -> None:
    clip = open_clip(write(tmp_path / "moving.webp", [100, 400, 250, 250]))
    times = [clip.timeline.time_of(index) for index in range(clip.frame_count)]
    assert times == pytest.approx([0.0, 0.1, 0.5, 0.75])
    assert not clip.timeline.is_constant
    assert clip.duration_s == pytest.approx(1.0)


def test_frames_that_are_shown_for_no_time_are_shown_as_browsers_do(tmp_path: Path) -> None:
    clip = open_clip(write(tmp_path / "moving.webp", [0, 10, 11]))
    assert clip.duration_s == pytest.approx(0.211)


def test_the_frames_are_those_of_their_times(tmp_path: Path) -> None:
    clip = open_clip(write(tmp_path / "moving.webp", [100] * 12))
    frames = clip.sample("glm4v", fps=5.0)
    for frame, picture in zip(frames, clip.read(frames), strict=True):
        assert picture.getpixel((5, 5)) == (20 * frame.index, 0, 255 - 20 * frame.index)


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (64, 48), (255, 0, 0, alpha)) for alpha in (255, 0)]
    path = tmp_path / "moving.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    clip = open_clip(path)
    pictures = list(clip.read_pixels(clip.sample("glm4v", fps=10.0)))
    assert np.unique(pictures[0].reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]
    assert np.unique(pictures[-1].reshape(-1, 3), axis=0).tolist() == [[255, 255, 255]]


def test_what_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "moving.webp", [100] * 8)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(MediaError, match="moving.webp"):
        clip = open_clip(path)
        list(clip.read(clip.sample("glm4v", fps=10.0)))


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "moving.webp", [500] * 8)
    with pytest.raises(MediaError, match="3,072 pixels per frame, more than the 3,000"):
        open_clip(path, limits=Limits(max_pixels=3000))
    with pytest.raises(MediaError, match="runs 4.0 s, more than the 3.0 s"):
        open_clip(path, limits=Limits(max_duration_s=3.0))
    monkeypatch.setattr(module, "MAX_ANIMATION_PIXELS", 20_000)
    with pytest.raises(MediaError, match="8 frames of 64x48, which would take too long"):
        open_clip(path)


def test_a_still_image_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "still.webp"
    Image.new("RGB", (64, 48)).save(path)
    with pytest.raises(MediaError, match="still.webp is a WebP image, not a video"):
        open_clip(path)
