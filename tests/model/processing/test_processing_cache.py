"""The cache of processed attachments: bounds, order, threads, and what it saves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import pytest
import torch
from attachment_files import write_clip
from PIL import Image

from model.processing import (
    Clip,
    ClipFrames,
    Glm4vImageProcessor,
    Glm4vVideoProcessor,
    ProcessingCache,
    open_attachment,
    open_clip,
)
from model.processing.patches import PatchSettings

SETTINGS = PatchSettings(112 * 112, 9_633_792)


def test_the_least_recently_used_goes_first() -> None:
    cache = ProcessingCache(max_bytes=30)
    for key in "abc":
        cache.keep(key, bytes(10))
    cache.find("a")
    cache.keep("d", bytes(10))
    assert [key for key in "abcd" if cache.find(key) is not None] == ["a", "c", "d"]
    assert cache.nbytes == 30


def test_a_result_larger_than_the_cache_is_handed_out_but_not_kept() -> None:
    cache = ProcessingCache(max_bytes=5)
    assert cache.get("a", lambda: bytes(6)) == bytes(6)
    assert len(cache) == cache.nbytes == 0


def test_a_replaced_result_is_counted_once() -> None:
    cache = ProcessingCache(max_bytes=30)
    cache.keep("a", bytes(20))
    cache.keep("a", bytes(10))
    assert (len(cache), cache.nbytes) == (1, 10)


def test_pictures_and_tensors_count_with_their_pixels() -> None:
    cache = ProcessingCache()
    cache.keep("a", [Image.new("RGB", (4, 5)), Image.new("L", (4, 5))])
    cache.keep("b", torch.zeros(3, 7))
    assert cache.nbytes == 80 + 84


def test_threads_leave_the_count_right() -> None:
    cache = ProcessingCache(max_bytes=400)

    def work(seed: int) -> None:
        for i in range(300):
            cache.get((seed * i) % 17, lambda: bytes(50))

    threads = [Thread(target=work, args=(seed,)) for seed in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == 50 * len(cache) <= 400


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        ProcessingCache(-1)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count how often the image processor decodes and resizes."""
    module = "model.processing.image_processor"
    counts = {"open_image": 0, "resize": 0}

    def count(name: str) -> None:
        import model.processing.image_processor as processor

        real = getattr(processor, name)

        def counting(*given: object, **named: object) -> object:
            counts[name] += 1
            return real(*given, **named)

        monkeypatch.setattr(f"{module}.{name}", counting)

    for name in counts:
        count(name)
    return counts


@pytest.mark.parametrize("form", ["path", "text", "bytes"])
def test_the_same_file_is_decoded_and_resized_once(
    form: str, counted: dict[str, int], picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    picture(200, 150).save(path)
    source = {"path": path, "text": str(path), "bytes": path.read_bytes()}[form]
    processor = Glm4vImageProcessor(SETTINGS, cache=ProcessingCache())
    first, second = processor([source]), processor([source])
    assert counted == {"open_image": 1, "resize": 1}
    assert torch.equal(first["pixel_values"], second["pixel_values"])
    assert torch.equal(first["image_grid_thw"], second["image_grid_thw"])


def test_equal_pixels_are_resized_once_and_changed_ones_again(
    counted: dict[str, int], picture: Callable[..., Image.Image]
) -> None:
    processor = Glm4vImageProcessor(SETTINGS, cache=ProcessingCache())
    image = picture(200, 150)
    processor([image])
    processor([image.copy()])
    assert counted["resize"] == 1
    image.putpixel((0, 0), (1, 2, 3))
    processor([image])
    assert counted["resize"] == 2


def test_other_settings_do_not_find_each_others_pixels(
    picture: Callable[..., Image.Image],
) -> None:
    cache, image = ProcessingCache(), picture(800, 600)
    small = Glm4vImageProcessor(PatchSettings(112 * 112, 100_352), cache=cache)
    large = Glm4vImageProcessor(SETTINGS, cache=cache)
    assert small([image])["image_grid_thw"].tolist() != large([image])["image_grid_thw"].tolist()


def test_cached_images_are_the_uncached_ones(picture: Callable[..., Image.Image]) -> None:
    images = [picture(200, 150), picture(90, 90, seed=1)]
    cached = Glm4vImageProcessor(SETTINGS, cache=ProcessingCache())
    cached([images[1]])
    got, wanted = cached(images), Glm4vImageProcessor(SETTINGS)(images)
    assert torch.equal(got["pixel_values"], wanted["pixel_values"])


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every decoder of videos that is opened."""
    opened: list[Any] = []

    real = cv2.VideoCapture

    def counted(*given: Any) -> cv2.VideoCapture:
        opened.append(given)
        return real(*given)

    monkeypatch.setattr(cv2, "VideoCapture", counted)
    return opened


VIDEO_SETTINGS = PatchSettings(112 * 112, 47_040_000)


def whole_clip(path: Path) -> Path:
    return path


def opened_clip(path: Path) -> Clip:
    return open_clip(path)


def chosen_frames(path: Path) -> ClipFrames:
    clip = open_clip(path)
    return ClipFrames(clip, clip.sample("glm4v")[:3])


@pytest.mark.parametrize("form", [whole_clip, opened_clip, chosen_frames])
def test_the_same_clip_is_neither_decoded_nor_resized_again(
    form: Callable[[Path], Any], decoders: list[Any], tmp_path: Path
) -> None:
    video = form(write_clip(tmp_path / "a.mp4"))
    processor = Glm4vVideoProcessor(VIDEO_SETTINGS, cache=ProcessingCache())
    first = processor([video])
    decoders.clear()
    second = processor([video])
    assert decoders == []
    assert first["timestamps"] == second["timestamps"]
    assert torch.equal(first["pixel_values_videos"], second["pixel_values_videos"])
    assert torch.equal(first["video_grid_thw"], second["video_grid_thw"])
    uncached = Glm4vVideoProcessor(VIDEO_SETTINGS)([video])
    assert torch.equal(first["pixel_values_videos"], uncached["pixel_values_videos"])
    assert first["timestamps"] == uncached["timestamps"]


def test_frames_of_a_clip_are_kept_within_the_bound(tmp_path: Path) -> None:
    cache = ProcessingCache(max_bytes=1000)
    Glm4vVideoProcessor(VIDEO_SETTINGS, cache=cache)([write_clip(tmp_path / "a.mp4")])
    assert cache.nbytes == 0
    cache = ProcessingCache()
    made = Glm4vVideoProcessor(VIDEO_SETTINGS, cache=cache)([tmp_path / "a.mp4"])
    assert cache.nbytes == made["pixel_values_videos"].numel()  # one byte for each value


def test_other_frames_rates_and_contents_of_a_clip_are_not_mixed_up(tmp_path: Path) -> None:
    cache = ProcessingCache()
    clip = open_clip(write_clip(tmp_path / "a.mp4"))
    frames = clip.sample("glm4v")
    processors = [
        Glm4vVideoProcessor(VIDEO_SETTINGS, cache=cache),
        Glm4vVideoProcessor(VIDEO_SETTINGS, cache=cache, fps=4.0),
        Glm4vVideoProcessor(VIDEO_SETTINGS, cache=cache, is_glm46v=True),
        Glm4vVideoProcessor(PatchSettings(112 * 112, 30_000), cache=cache),
    ]
    shapes = [tuple(p([clip])["video_grid_thw"][0].tolist()) for p in processors]
    assert len(set(shapes)) == len(shapes)
    two, other = (
        processors[0]([ClipFrames(clip, chosen)])["pixel_values_videos"]
        for chosen in (frames[:2], frames[2:4])
    )
    assert not torch.equal(two, other)
    write_clip(tmp_path / "a.mp4", frames=24)
    assert processors[0]([tmp_path / "a.mp4"])["video_grid_thw"][0, 0] != shapes[0][0]


def test_a_clip_of_the_last_turn_is_not_decoded_for_the_next(
    decoders: list[Any], tmp_path: Path
) -> None:
    cache = ProcessingCache()
    path = write_clip(tmp_path / "a.mp4")
    attachment = open_attachment(path, cache=cache)
    attachment.content()
    decoders.clear()
    attachment.content()
    assert decoders == []
