"""Videos from files and from decoded frames, against transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from model.processing import (
    ClipFrames,
    Glm4vVideoProcessor,
    MediaError,
    SampledFrame,
    VideoMetadata,
    open_clip,
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of 96 x 64 at 10 per second; frame i is grey level 6 i, red at its left edge."""
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for i in range(40):
        frame = np.full((64, 96, 3), 6 * i, np.uint8)
        frame[:, :16] = (0, 0, 255)  # BGR
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(params=["glm4v", "glm46v"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def pair(
    flavour: str, bundled: Path, tmp_path: Path, reference_video_class: Callable[[str], type]
) -> tuple[Glm4vVideoProcessor, Any]:
    """Our video processor and transformers' of one flavour, reading the same file."""
    raw = json.loads((bundled / "video_preprocessor_config.json").read_text())
    if flavour == "glm46v":
        raw |= {
            "processor_class": "Glm46VProcessor",
            "video_processor_type": "Glm46VVideoProcessor",
        }
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps(raw))
    ours = Glm4vVideoProcessor.from_pretrained(tmp_path)
    return ours, reference_video_class(flavour).from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("frames", "fps", "size"), [(9, 4.0, (84, 112)), (31, 12.5, (60, 200)), (64, 30.0, (300, 90))]
)
def test_frames_are_sampled_and_cut_as_transformers_does(
    pair: tuple, frames: int, fps: float, size: tuple[int, int]
) -> None:
    ours, reference = pair
    video = np.random.default_rng(0).integers(0, 256, (frames, *size, 3), dtype=np.uint8)
    about = {"total_num_frames": frames, "fps": fps, "duration": frames / fps}
    got = ours([video], [about])
    wanted = reference([video], video_metadata=[about], return_tensors="pt", return_metadata=True)
    assert got["video_grid_thw"].tolist() == wanted["video_grid_thw"].tolist()
    assert got["timestamps"][0] == wanted["video_metadata"][0].timestamps[::2]
    std = torch.tensor(ours.settings.image_std).repeat_interleave(2 * 14 * 14)
    difference = (got["pixel_values_videos"] - wanted["pixel_values_videos"]).abs() * std
    assert difference.max() < 2 / 255 + 1e-5  # as for images: two 8-bit resamplers


@pytest.mark.parametrize("size", [(112, 112), (400, 400)])  # within and beyond the budget
def test_an_odd_selection_is_completed_as_transformers_does(
    pair: tuple, size: tuple[int, int]
) -> None:
    ours, reference = pair
    video = np.random.default_rng(0).integers(0, 256, (5, *size, 3), dtype=np.uint8)
    wanted = reference([video], do_sample_frames=False, return_tensors="pt")
    got = ours([video])
    assert got["video_grid_thw"].tolist() == wanted["video_grid_thw"].tolist()
    assert got["video_grid_thw"][0, 0] == 3
    atol = 2 / 255 / 0.26  # 2 of 255 levels after dividing by the smallest deviation
    torch.testing.assert_close(
        got["pixel_values_videos"], wanted["pixel_values_videos"], rtol=0, atol=atol
    )


def test_a_single_frame_makes_a_pair(pair: tuple) -> None:
    assert pair[0]([np.zeros((1, 112, 112, 3), np.uint8)])["video_grid_thw"].tolist() == [[1, 8, 8]]


def test_a_file_gives_the_same_as_its_decoded_frames(pair: tuple, clip: Path) -> None:
    ours = pair[0]
    opened = open_clip(clip)
    assert (opened.frame_count, opened.fps, opened.duration_s) == (40, 10.0, 4.0)
    every = [SampledFrame(i, i / 10) for i in range(40)]
    frames = np.stack([np.asarray(picture) for picture in opened.read(every)])
    about = VideoMetadata(40, 10.0, 4.0)
    from_file, from_frames = ours([clip]), ours([frames], [about])
    assert torch.equal(from_file["pixel_values_videos"], from_frames["pixel_values_videos"])
    assert from_file["timestamps"] == from_frames["timestamps"]


def test_frames_may_be_a_list_of_pictures(pair: tuple) -> None:
    frames = [np.full((56, 56, 3), level, np.uint8) for level in (0, 50, 100, 150)]
    from_list = pair[0]([[Image.fromarray(f) for f in frames]])
    from_array = pair[0]([np.stack(frames)])
    assert torch.equal(from_list["pixel_values_videos"], from_array["pixel_values_videos"])


def test_a_selection_keeps_the_times_of_its_frames(pair: tuple) -> None:
    frames = np.zeros((3, 56, 56, 3), np.uint8)
    got = pair[0]([frames], [VideoMetadata(900, 30.0, frames_indices=(0, 300, 600))])
    assert got["timestamps"] == [[0.0, 20.0]]
    assert got["video_grid_thw"][0, 0] == 2


def test_several_videos_are_the_single_ones_in_order(pair: tuple, clip: Path) -> None:
    still = np.zeros((2, 56, 84, 3), np.uint8)
    together, first, second = pair[0]([clip, still]), pair[0]([clip]), pair[0]([still])
    for key in ("pixel_values_videos", "video_grid_thw"):
        assert torch.equal(together[key], torch.cat([first[key], second[key]]))
    assert together["timestamps"] == first["timestamps"] + second["timestamps"]


def test_frames_chosen_by_a_person_are_the_ones_sent(pair: tuple, clip: Path) -> None:
    opened = open_clip(clip)
    frames = [SampledFrame(3, 0.3), SampledFrame(20, 2.0), SampledFrame(39, 3.9)]
    got = pair[0]([ClipFrames(opened, frames)])
    assert got["timestamps"] == [[0.3, 3.9]]
    pixels = np.stack([np.asarray(picture) for picture in opened.read(frames)])
    wanted = pair[0]([pixels])["pixel_values_videos"]
    # a ready selection of decoded frames is sized before the last is repeated: same size here
    torch.testing.assert_close(got["pixel_values_videos"], wanted)


def test_choosing_no_frame_is_refused(pair: tuple, clip: Path) -> None:
    with pytest.raises(MediaError, match=r"no frame of clip.avi was chosen"):
        pair[0]([ClipFrames(open_clip(clip), [])])


def test_a_processor_samples_a_clip_by_its_checkpoints_rule(
    pair: tuple, flavour: str, clip: Path
) -> None:
    opened = open_clip(clip)
    assert pair[0].sample(opened) == opened.sample(flavour)
    assert pair[0].sample(opened, fps=1, max_frames=2) == opened.sample(flavour, 1, 2)
    whole, named = pair[0]([clip]), pair[0]([opened])
    assert torch.equal(whole["pixel_values_videos"], named["pixel_values_videos"])


@pytest.mark.parametrize(
    ("video", "about", "message"),
    [
        (np.zeros((2, 56, 56), np.uint8), None, r"shape \(2, 56, 56\)"),
        ([], None, "without frames"),
        (
            [np.zeros((56, 56, 3), np.uint8), np.zeros((28, 56, 3), np.uint8)],
            None,
            "frame 1 .* shape",
        ),
        (
            np.zeros((2, 56, 56, 3), np.uint8),
            {"total_num_frames": 9, "fps": 2.0},
            "total_num_frames is 9",
        ),
        (np.zeros((2, 56, 56, 3), np.uint8), {"frames_indices": [1]}, "2 frames but 1 frames_ind"),
    ],
)
def test_malformed_frames_are_refused(pair: tuple, video: Any, about: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair[0]([video], [about])


def test_without_a_video_file_the_published_budget_holds(bundled: Path, tmp_path: Path) -> None:
    raw = json.loads((bundled / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(raw))
    assert Glm4vVideoProcessor.from_pretrained(tmp_path).settings.max_pixels == 47040000
