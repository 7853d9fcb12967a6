"""Patches of images: their order, their values, and parity with transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from model.processing import Glm4vImageProcessor, MediaError
from model.processing.patches import CHUNK_ROWS, PatchSettings, patchify
from model.processing.resize import resize

# Two independent 8-bit resamplers may round differently: 2 of 255 levels, before normalisation.
TOLERANCE = 2 / 255


def patchify_slowly(frames: Tensor, settings: PatchSettings) -> Tensor:
    """Twin of ``patchify``: normalise first, then one patch at a time in the documented order."""
    mean = torch.tensor(settings.image_mean, dtype=torch.float64)[:, None, None]
    std = torch.tensor(settings.image_std, dtype=torch.float64)[:, None, None]
    pixels = (frames.double() * settings.rescale_factor - mean) / std
    if len(pixels) == 1:
        pixels = pixels.repeat(2, 1, 1, 1)
    p = settings.patch_size
    rows = []
    for pair in pixels.split(2):
        for block_row in range(0, pair.shape[2], 2 * p):
            for block_column in range(0, pair.shape[3], 2 * p):
                for y in (block_row, block_row + p):
                    for x in (block_column, block_column + p):
                        patch = pair[:, :, y : y + p, x : x + p]  # (2, 3, 14, 14)
                        rows.append(patch.transpose(0, 1).flatten())
    return torch.stack(rows).float()


@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize(("height", "width"), [(28, 28), (56, 84), (84, 28)])
def test_patches_match_the_slow_twin(count: int, height: int, width: int) -> None:
    settings = PatchSettings(min_pixels=1, max_pixels=10**6)
    frames = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)
    torch.testing.assert_close(patchify(frames, settings), patchify_slowly(frames, settings))


def test_patches_beyond_one_chunk_match_the_slow_twin() -> None:
    settings = PatchSettings(min_pixels=1, max_pixels=10**7)
    frames = torch.randint(0, 256, (1, 3, 28, 14 * (CHUNK_ROWS // 2 + 6)), dtype=torch.uint8)
    torch.testing.assert_close(patchify(frames, settings), patchify_slowly(frames, settings))


SIZES = [
    (112, 112), (28, 28), (27, 61), (1, 150), (100, 100), (336, 336), (640, 480), (333, 777),
    (1280, 720), (1366, 768), (1700, 2200), (3840, 2160), (200, 5000),
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(real_configs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Our image processor and transformers', both reading GLM-4.5V's own file."""
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    folder = tmp_path_factory.mktemp("glm45v")
    content = (real_configs / "GLM-4.5V.preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").write_text(content)
    return (
        Glm4vImageProcessor.from_pretrained(folder),
        Glm4vImageProcessorPil.from_pretrained(folder),
    )


@pytest.mark.parametrize("size", SIZES)
def test_pixels_and_grid_match_transformers(
    size: tuple[int, int], pair: tuple, picture: Callable[..., Image.Image]
) -> None:
    ours, reference = pair
    image = picture(*size)
    got, wanted = ours([image]), reference([image], return_tensors="pt")
    assert got["image_grid_thw"].tolist() == wanted["image_grid_thw"].tolist()
    std = torch.tensor(ours.settings.image_std).repeat_interleave(2 * 14 * 14)
    difference = (got["pixel_values"] - wanted["pixel_values"]).abs() * std
    assert difference.max() < TOLERANCE + 1e-5


def test_several_images_are_the_single_ones_in_order(
    pair: tuple, picture: Callable[..., Image.Image]
) -> None:
    images = [picture(60, 90), picture(200, 100, seed=1), picture(112, 112, seed=2)]
    together = pair[0](images)
    apart = [pair[0]([image]) for image in images]
    assert torch.equal(together["pixel_values"], torch.cat([a["pixel_values"] for a in apart]))
    assert torch.equal(together["image_grid_thw"], torch.cat([a["image_grid_thw"] for a in apart]))


def test_resampling_a_picture_of_the_right_size_changes_nothing() -> None:
    pixels = torch.randint(0, 256, (3, 56, 84), dtype=torch.uint8)
    assert resize(pixels, 56, 84) is pixels


def test_the_file_overrides_the_class_defaults(bundled: Path, pair: tuple) -> None:
    assert Glm4vImageProcessor.from_pretrained(bundled).settings.max_pixels == 1204224
    assert pair[0].settings.max_pixels == 9633792


def test_tokens_are_counted_without_processing(pair: tuple) -> None:
    assert pair[0].num_tokens(2160, 3840) == 6032
    assert pair[0].resized(2160, 3840) == (1624, 2912)


def test_settings_nested_in_processor_config_are_read(bundled: Path, tmp_path: Path) -> None:
    raw = json.loads((bundled / "preprocessor_config.json").read_text())
    raw["size"]["longest_edge"] = 602_112
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": raw}))
    assert Glm4vImageProcessor.from_pretrained(tmp_path).settings.max_pixels == 602_112


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resample": 2}, "only 3 .bicubic. is implemented"),
        ({"image_mean": [0.5]}, "three values each"),
        ({"size": {"shortest_edge": 9, "longest_edge": 3}}, "shortest_edge <= longest_edge"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchSettings.from_dict(change, max_pixels=10**6)


def test_without_resizing_the_sides_must_fit() -> None:
    processor = Glm4vImageProcessor(PatchSettings(1, 10**6, do_resize=False))
    assert processor([np.zeros((28, 56, 3), np.uint8)])["image_grid_thw"].tolist() == [[1, 2, 4]]
    with pytest.raises(ValueError, match="multiples of 28; got 30x28"):
        processor([np.zeros((28, 30, 3), np.uint8)])


def test_a_bad_image_is_refused_before_the_good_ones_are_processed(
    pair: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.processing.image_processor.patchify", lambda *_: pytest.fail("ran"))
    with pytest.raises(MediaError, match="^image 2 is empty"):
        pair[0]([np.zeros((28, 28, 3), np.uint8), b""])


def test_a_folder_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no preprocessor_config.json; copy it"):
        Glm4vImageProcessor.from_pretrained(tmp_path)
