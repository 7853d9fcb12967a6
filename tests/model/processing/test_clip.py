"""Real video files: what is found in them, which frames come out, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from model.processing import Clip, Limits, MediaError, SampledFrame, open_clip
from model.processing.video_file import VideoDecoder

CLIPS = Path(__file__).parents[2] / "data" / "clips"
CONSTANT = (
    "plain.mp4", "plain.mkv", "plain.webm", "hevc.mp4", "fragmented.mp4", "live.mkv",
    "rotated-90.mov", "bidirectional.avi", "trimmed.mp4", "two-sizes.mkv", "one-frame.mp4",
    "one-frame.webm",
)  # fmt: skip
VARYING = ("varying.mp4", "varying.webm", "varying-trimmed.mp4")
WRITTEN = ("mjpeg.avi", "mpeg4.mp4", "mpeg4.mov", "vp8.webm", "mpeg4.mkv", "animated.gif")
# the slowest of two shared cores, for files of some kilobytes
PATIENCE_S = 20.0


def frame(i: int) -> np.ndarray:
    """(64, 96, 3) uint8 RGB: grey level 5 i, red at the left."""
    pixels = np.full((64, 96, 3), 5 * i, np.uint8)
    pixels[:, :16] = (255, 0, 0)
    return pixels


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that writes 40 frames at 10 per second in the format of a name."""
    folder = tmp_path_factory.mktemp("written")
    codecs = {"mjpeg": "MJPG", "mpeg4": "mp4v", "vp8": "VP80"}

    def write(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if path.suffix == ".gif":
            first, *rest = (Image.fromarray(frame(i)) for i in range(40))
            first.save(path, save_all=True, append_images=rest, duration=100)
            return path
        code = cv2.VideoWriter_fourcc(*codecs[path.stem])
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 10, (96, 64))
        assert writer.isOpened()
        for i in range(40):
            writer.write(frame(i)[..., ::-1])
        writer.release()
        return path

    return write


def decoded(path: Path) -> list[np.ndarray]:
    """Every frame in order, by OpenCV alone."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while capture.grab():
        frames.append(capture.retrieve()[1][..., ::-1])
    return frames


def at(*indices: int) -> list[SampledFrame]:
    return [SampledFrame(i, 0.0) for i in indices]


def pixels(clip: Clip, *indices: int) -> list[np.ndarray]:
    return [np.asarray(picture) for picture in clip.read(at(*indices))]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_clip_is_described_and_its_frames_are_the_ones_asked_for(
    name: str, written: Callable[[str], Path]
) -> None:
    clip = open_clip(written(name))
    assert (clip.name, clip.width, clip.height) == (name, 96, 64)
    assert (clip.frame_count, clip.fps, clip.duration_s) == (40, 10.0, 4.0)
    pictures = list(clip.read(at(0, 10, 10, 39)))
    assert [p.mode for p in pictures] == ["RGB"] * 4
    levels = [np.asarray(p)[8:-8, 48:-8].mean() / 5 for p in pictures]
    assert np.abs(np.array(levels) - [0, 10, 10, 39]).max() < 0.8
    red, green, blue = np.asarray(pictures[1])[32, 4]
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize(
    ("name", "count", "fps", "size"),
    [
        ("plain.mp4", 30, 10.0, (128, 96)),
        ("plain.mkv", 30, 10.0, (128, 96)),
        ("plain.webm", 30, 10.0, (128, 96)),
        ("hevc.mp4", 30, 10.0, (128, 96)),
        ("fragmented.mp4", 20, 10.0, (128, 96)),
        ("live.mkv", 30, 10.0, (128, 96)),  # its header gives a negative number of frames
        ("rotated-90.mov", 10, 10.0, (96, 128)),
        ("rotated-180.mov", 10, 10.0, (128, 96)),
        ("rotated-270.mov", 10, 10.0, (96, 128)),
        ("bidirectional.avi", 30, 10.0, (128, 96)),
        ("trimmed.mp4", 24, 10.0, (128, 96)),  # its header counts the hidden frames too
        ("two-sizes.mkv", 20, 10.0, (128, 96)),
        ("one-frame.mp4", 1, 30.0, (128, 96)),
        ("one-frame.webm", 1, 30.0, (128, 96)),
    ],
)
def test_frames_are_counted_whatever_the_header_says(
    name: str, count: int, fps: float, size: tuple[int, int]
) -> None:
    clip = open_clip(CLIPS / name)
    assert (clip.frame_count, clip.fps, (clip.width, clip.height)) == (count, fps, size)
    assert len(decoded(CLIPS / name)) == count


@pytest.mark.parametrize("name", CONSTANT + VARYING)
def test_any_choice_of_frames_equals_decoding_everything(name: str) -> None:
    clip, every = open_clip(CLIPS / name), decoded(CLIPS / name)
    rng = np.random.default_rng(0)
    for _ in range(12):
        count = min(rng.integers(1, 5), len(every))
        chosen = sorted(rng.choice(len(every), count, replace=False).tolist())
        for index, got in zip(chosen, pixels(clip, *chosen), strict=True):
            assert np.array_equal(got, every[index])


@pytest.fixture
def grabs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the frames that clips decode, jumps of the decoder itself apart."""
    counter = [0]
    grab = VideoDecoder.grab

    def counted(self: VideoDecoder) -> float | None:
        counter[0] += 1
        return grab(self)

    monkeypatch.setattr(VideoDecoder, "grab", counted)
    return counter


@pytest.mark.parametrize("name", ["mjpeg.avi", "mpeg4.mp4", "mpeg4.mkv"])
def test_a_distant_frame_is_jumped_to(
    name: str, written: Callable[[str], Path], grabs: list[int]
) -> None:
    clip, every = open_clip(written(name)), decoded(written(name))
    grabs[0] = 0
    assert np.array_equal(pixels(clip, 38)[0], every[38])
    assert grabs[0] == 1


def test_where_a_jump_misses_frames_are_decoded_from_the_start(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, every = open_clip(written("mpeg4.mp4")), decoded(written("mpeg4.mp4"))
    seek = VideoDecoder.seek
    monkeypatch.setattr(VideoDecoder, "seek", lambda self, index: seek(self, index + 1))
    first, second = pixels(clip, 36, 39)
    assert np.array_equal(first, every[36])
    assert np.array_equal(second, every[39])


def test_only_frames_up_to_the_last_one_are_decoded(grabs: list[int]) -> None:
    clip = open_clip(CLIPS / "varying.mp4")
    grabs[0] = 0
    list(clip.read(at(2, 5)))
    assert grabs[0] == 6


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_the_rotation_flag_turns_size_and_pixels_alike(turn: int) -> None:
    clip = open_clip(CLIPS / f"rotated-{turn}.mov")
    capture = cv2.VideoCapture(str(clip.path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    as_stored = Image.fromarray(capture.read()[1][..., ::-1])
    assert as_stored.size == (128, 96)
    [picture] = clip.read(at(0))
    assert picture.size == (clip.width, clip.height)
    # like Pillow, FFmpeg counts degrees against the clock
    assert np.array_equal(np.asarray(picture), as_stored.rotate(turn, expand=True))


@pytest.mark.parametrize("name", ["varying.mp4", "varying.webm"])
def test_at_a_varying_rate_frames_keep_the_times_at_which_they_are_shown(name: str) -> None:
    clip = open_clip(CLIPS / name)
    shown = [0.0, 0.5, 1.0, 1.5, *(2 + i / 20 for i in range(40))]
    assert clip.frame_count == 44
    assert clip.duration_s == pytest.approx(4, abs=0.05)
    assert [clip.timeline.time_of(i) for i in range(44)] == pytest.approx(shown, abs=0.001)
    frames = clip.sample("glm4v")
    assert [f.index for f in frames] == [0, 1, 2, 3, 4, 14, 24, 34]
    assert [f.time_s for f in frames] == pytest.approx([i / 2 for i in range(8)], abs=0.001)


def test_times_start_where_an_edit_list_starts_the_clip() -> None:
    clip = open_clip(CLIPS / "varying-trimmed.mp4")
    shown = [0.0, 0.5, *(1 + i / 20 for i in range(40))]
    assert [clip.timeline.time_of(i) for i in range(clip.frame_count)] == pytest.approx(shown)


@pytest.mark.parametrize("rule", ["glm4v", "glm46v"])
@pytest.mark.parametrize("name", ["one-frame.mp4", "one-frame.webm"])
def test_one_frame_makes_a_pair(name: str, rule: str) -> None:
    clip = open_clip(CLIPS / name)
    assert clip.sample(rule) == [SampledFrame(0, 0.0)] * 2
    first, second = pixels(clip, 0, 0)
    assert first.shape == (96, 128, 3)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("rule", ["glm4v", "glm46v"])
@pytest.mark.parametrize(
    "name",
    [
        "plain.mp4",
        "plain.mkv",
        "plain.webm",
        "hevc.mp4",
        "fragmented.mp4",
        "mjpeg.avi",
        "mpeg4.mov",
    ],
)
def test_indices_times_and_pixels_are_those_of_transformers(
    name: str,
    rule: str,
    written: Callable[[str], Path],
    reference_video_class: Callable[[str], type],
) -> None:
    from transformers.video_utils import read_video_opencv

    path = written(name) if name in WRITTEN else CLIPS / name
    reference = reference_video_class(rule)()
    wanted, about = read_video_opencv(
        str(path), lambda metadata, **_: reference.sample_frames(metadata)
    )
    clip = open_clip(path)
    frames = clip.sample(rule)
    assert [f.index for f in frames] == list(about.frames_indices)
    assert [f.time_s for f in frames] == about.timestamps
    # the reference reads a repeated last frame once
    got = pixels(clip, *dict.fromkeys(f.index for f in frames))
    assert np.array_equal(np.stack(got), wanted)


def test_a_rate_and_a_cap_may_be_chosen() -> None:
    clip = open_clip(CLIPS / "plain.mp4")
    assert [f.index for f in clip.sample("glm4v", fps=1)] == [0, 10, 20, 20]
    assert [f.index for f in clip.sample("glm46v", fps=1)] == [0, 10, 20, 20]
    assert [f.index for f in clip.sample("glm4v", max_frames=2)] == [0, 29]
    assert len(clip.sample("glm46v", fps=100, max_frames=7)) == 6


def test_the_operators_cap_holds_over_rule_and_choice() -> None:
    clip = open_clip(CLIPS / "plain.mp4", limits=Limits(max_frames=4))
    for options in ({}, {"fps": 10}, {"max_frames": 100}, {"fps": 10, "max_frames": 100}):
        assert len(clip.sample("glm46v", **options)) == 4
        assert len(clip.sample("glm4v", **options)) == 4
    assert len(clip.sample("glm4v", max_frames=2)) == 2
    one = open_clip(CLIPS / "plain.mp4", limits=Limits(max_frames=1))
    assert len(one.sample("glm4v")) == 2  # the least that the model sees is a pair


def test_limits_that_are_not_reached_change_nothing() -> None:
    for rule in ("glm4v", "glm46v"):
        with_limits = open_clip(CLIPS / "plain.mp4", limits=Limits()).sample(rule)
        assert with_limits == open_clip(CLIPS / "plain.mp4").sample(rule)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_bytes=1000), "holiday.mp4 has .* MiB, more than .* allowed; cut it"),
        (Limits(max_pixels=128 * 95), "holiday.mp4 is 128x96, 12,288 pixels .*; scale it down"),
        (Limits(max_duration_s=2.5), "holiday.mp4 runs 3.0 s, more than the 2.5 s allowed; cut"),
    ],
)
def test_a_clip_over_a_limit_is_refused_by_its_name(limits: Limits, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        open_clip(CLIPS / "plain.mp4", name="holiday.mp4", limits=limits)


@pytest.mark.parametrize(
    ("fps", "announced"), [(0, 999), (0, 0), (1000, -5), (90000, 40), (-1, 2**31 - 1)]
)
def test_absurd_rates_and_counts_in_the_header_are_overruled(
    fps: float, announced: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = CLIPS / "plain.mp4"
    get = cv2.VideoCapture.get

    class Capture:
        def __init__(self, *args: Any) -> None:
            self._real = REAL(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def get(self, prop: int) -> float:
            lies = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: announced}
            return lies[prop] if prop in lies else get(self._real, prop)

    REAL = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    clip = open_clip(path)
    assert clip.frame_count == 30
    assert clip.fps == pytest.approx(10)
    assert [f.index for f in clip.sample("glm4v")] == [0, 5, 10, 15, 20, 25]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("plain.mkv", 0.6), ("live.mkv", 0.6), ("plain.webm", 0.5), ("fragmented.mp4", 0.9),
        ("mjpeg.avi", 0.5), ("mjpeg.avi", 0.8),
    ],
)  # fmt: skip
def test_a_clip_that_breaks_off_is_used_up_to_its_last_whole_frame(
    name: str, kept: float, written: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = written(name) if name in WRITTEN else CLIPS / name
    content = whole.read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * kept)])
    clip = open_clip(path)
    assert 1 < clip.frame_count < open_clip(whole).frame_count
    frames = clip.sample("glm46v")
    assert len(list(clip.read(frames))) == len(frames)


@pytest.mark.parametrize(
    "name", ["plain.mp4", "plain.mkv", "plain.webm", "mjpeg.avi", "bidirectional.avi"]
)
def test_cut_and_garbled_files_end_in_frames_or_in_their_message(
    name: str, written: Callable[[str], Path], tmp_path: Path
) -> None:
    content = (written(name) if name in WRITTEN else CLIPS / name).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / name
    for trial in range(24):
        data = bytearray(content[: int(len(content) * rng.uniform(0.02, 1))])
        if trial % 2:
            for position in rng.integers(0, len(data), 40):
                data[position] = rng.integers(256)
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            clip = open_clip(path)
            frames = clip.sample("glm4v")
            assert len(list(clip.read(frames))) == len(frames)
        except MediaError as error:
            assert name in str(error)
            assert ";" in str(error)
        assert time.perf_counter() - start < PATIENCE_S


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "empty.mp4 is empty"),
        ("list.mp4", b"#EXTM3U\nfile:///etc/passwd\n", "list.mp4 is text .*, not a video; attach"),
        ("list.webm", b"#EXTM3U\n#\1\nfile:///etc/passwd\n", "list.webm is not a known format"),
        ("noise.mp4", b"\0\1\2\xff" * 99, "noise.mp4 is not a known format .*; attach an MP4"),
        ("head.mp4", b"\0\0\0\x18ftypisom" + bytes(99), "head.mp4 holds no video .*; convert it"),
        ("head.webm", b"\x1a\x45\xdf\xa3" + b"\xff" * 99, "head.webm holds no video"),
        ("head.avi", b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(99), "head.avi holds no video"),
        ("page.mp4", b"%PDF-1.7\n", "page.mp4 is a PDF document, not a video; export"),
        ("photo.mp4", b"\x89PNG\r\n\x1a\n" + bytes(99), "photo.mp4 is a PNG image, not a video"),
    ],
)
def test_a_file_that_is_no_video_is_refused(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=message):
        open_clip(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("audio-only.mp4", "audio-only.mp4 holds no video .*; convert"),
        ("audio-only.webm", "audio-only.webm holds no video .*; convert"),
        (
            "av1.mp4",
            r"av1.mp4 holds no frame that can be decoded \(AV01\); convert it to an H",
        ),
    ],
)
def test_a_file_without_frames_for_us_is_refused(name: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        open_clip(CLIPS / name)


def test_a_clip_without_any_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.avi"
    cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64)
    ).release()
    with pytest.raises(MediaError, match=r"nothing.avi .*; convert it"):
        open_clip(path)


def test_a_clip_of_no_pixels_is_refused(written: Callable[[str], Path], tmp_path: Path) -> None:
    content = written("mjpeg.avi").read_bytes()
    size = np.array([96, 64], "<i4").tobytes()
    assert content.count(size) >= 2  # in the header of the file and of its stream
    path = tmp_path / "flat.avi"
    head, frames = content[:512], content[512:]
    path.write_bytes(head.replace(size, bytes(8)) + frames.replace(b"\0\x40\0\x60\3", bytes(5)))
    with pytest.raises(MediaError, match=r"flat.avi .*; convert it"):
        open_clip(path)


def test_a_narrow_strip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strip.avi"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (4020, 20)
    )
    writer.write(np.zeros((20, 4020, 3), np.uint8))
    writer.release()
    with pytest.raises(MediaError, match=r"strip.avi is 4020x20: .* 200 times .*; crop it"):
        open_clip(path)


def test_an_address_is_refused_not_fetched() -> None:
    with pytest.raises(MediaError, match="download the video and attach it"):
        open_clip("http://127.0.0.1:9/clip.mp4")


def test_a_file_that_is_gone_is_missed_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes((CLIPS / "plain.mp4").read_bytes())
    clip = open_clip(path)
    path.unlink()
    with pytest.raises(MediaError, match=r"clip.mp4 is no longer here; attach it again"):
        list(clip.read(at(0)))


def test_a_file_that_ends_before_the_frame_says_so() -> None:
    clip = open_clip(CLIPS / "bidirectional.avi")
    longer = replace(clip, timeline=replace(clip.timeline, count=90))
    with pytest.raises(MediaError, match=r"bidirectional.avi ends after 30 of 90 frames; convert"):
        list(longer.read(at(0, 80)))


@pytest.mark.parametrize("indices", [(3, 2), (-1,), (30,)])
def test_frames_that_are_not_in_the_clip_are_refused(indices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frames must ascend and lie between 0 and 29"):
        list(open_clip(CLIPS / "plain.mp4").read(at(*indices)))


def test_closing_the_iterator_closes_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    clip = open_clip(CLIPS / "plain.mp4")
    close = VideoDecoder.close
    monkeypatch.setattr(VideoDecoder, "close", lambda self: (closed.append(True), close(self))[1])
    pictures = clip.read(at(0, 5, 29))
    next(pictures)
    pictures.close()
    assert closed == [True]
