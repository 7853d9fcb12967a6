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

from model.processing import Glm4vVideoProcessor, MediaError, VideoMetadata
from model.processing.video_file import EndsEarlyError, VideoFile


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
    with VideoFile(clip) as file:
        frames = np.stack(list(file.frames(list(range(40)))))
        about = file.metadata
    assert about == VideoMetadata(40, 10.0, 4.0)
    from_file, from_frames = ours([clip]), ours([frames], [about])
    assert torch.equal(from_file["pixel_values_videos"], from_frames["pixel_values_videos"])
    assert from_file["timestamps"] == from_frames["timestamps"]


def test_decoded_frames_are_rgb_and_the_ones_asked_for(clip: Path) -> None:
    with VideoFile(clip) as file:
        frames = list(file.frames([0, 10, 10, 39]))
    assert [round(float(f[:, 40:].mean()) / 6) for f in frames] == [0, 10, 10, 39]
    red, green, blue = frames[1][32, 4]
    assert red > 200
    assert max(green, blue) < 60


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


def test_a_file_shorter_than_announced_is_sampled_from_what_is_there(
    pair: tuple, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = pair[0]([clip])
    read = VideoFile._read_metadata

    def boast(self: VideoFile, total: int | None) -> VideoMetadata:
        about = read(self, total)
        return about if total else VideoMetadata(90, about.fps, 9.0)

    monkeypatch.setattr(VideoFile, "_read_metadata", boast)
    got = pair[0]([clip])
    assert torch.equal(got["pixel_values_videos"], honest["pixel_values_videos"])
    with VideoFile(clip) as file, pytest.raises(EndsEarlyError, match="ends after 40 of 90 frames"):
        list(file.frames([80]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "empty.mp4 is empty"),
        ("list.mp4", b"#EXTM3U\nfile:///etc/passwd\n", "list.mp4 is text, not a video"),
        ("noise.mp4", b"\0\1\2\xff" * 99, "noise.mp4 cannot be decoded .*; convert it to an H.264"),
    ],
)
def test_a_file_that_is_no_video_is_refused(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=message):
        VideoFile(tmp_path / name)


def test_an_address_is_refused_not_fetched() -> None:
    with pytest.raises(MediaError, match="download the video and attach it"):
        VideoFile("http://127.0.0.1:9/clip.mp4")


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
