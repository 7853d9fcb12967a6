"""The cache of processed attachments: bounds, order, threads, and what it saves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
import torch
from PIL import Image

from model.processing import Glm4vImageProcessor, ProcessingCache
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
