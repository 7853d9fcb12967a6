"""A video that a person attached: what is in it, which frames the model sees, and their pixels."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from model.processing.file_type import identify
from model.processing.frame_sampling import (
    GLM4V_MAX_DURATION_S,
    Rule,
    VideoMetadata,
    frames_to_read,
)
from model.processing.image import MAX_IMAGE_PIXELS
from model.processing.limits import MIB, Limits
from model.processing.media import MediaError, shown_name
from model.processing.resize import MAX_ASPECT_RATIO
from model.processing.video_file import (
    REMEDY,
    Timeline,
    VideoDecoder,
    check_video,
    read_timeline,
)
from model.processing.webp import WebpReader, read_webp_timeline

# A jump must save more frames than these to be worth emptying the decoder.
MIN_FRAMES_SAVED = 8


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One frame that the model sees; ``time_s`` is in seconds from the start of the clip."""

    index: int
    time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A video on disk. Nothing is held open and no pixels are kept.

    Attributes:
        width, height: in pixels, after the rotation flag is applied.
        timeline: when each frame is shown.
        max_frames: the operator's limit on the frames of one clip; None for no limit.
        is_webp: it is an animated image that FFmpeg cannot decode.
    """

    path: Path
    name: str
    width: int
    height: int
    timeline: Timeline
    max_frames: int | None = None
    is_webp: bool = False

    @property
    def frame_count(self) -> int:
        """Frames that can be decoded, whatever the header says."""
        return self.timeline.count

    @property
    def fps(self) -> float:
        """Frames per second, on average; 24 where nobody knows."""
        return self.timeline.fps

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return self.frame_count / self.fps

    def sample(
        self,
        rule: Rule,
        fps: float | None = None,
        max_frames: int | None = None,
        *,
        max_duration: float = GLM4V_MAX_DURATION_S,
    ) -> list[SampledFrame]:
        """Choose the frames that the model sees, as the reference does for its checkpoints.

        Where the frame rate varies, the rules are applied to the times at which frames are shown.

        Args:
            rule: "glm4v" for GLM-4.5V and GLM-4.1V, "glm46v" for GLM-4.6V.
            fps: frames per second to take, in the place of the rule's own.
            max_frames: the most frames to take, in the place of the rule's own cap.
            max_duration: as ``sample_glm4v`` takes it; only checkpoints change it.

        Returns:
            An even number of frames, ascending: consecutive ones make a pair, which the model
            knows by the time of its first. Only the last may occur twice.
        """
        times = self.timeline.times
        about = VideoMetadata(
            self.frame_count,
            self.fps,
            self.duration_s,
            times=None if times is None or self.timeline.is_constant else times.tolist(),
        )
        if max_frames is not None and self.max_frames is not None:
            max_frames = min(max_frames, self.max_frames)
        chosen = frames_to_read(
            about, rule, fps=fps, max_frames=max_frames, max_duration=max_duration
        )
        if self.max_frames is not None and len(chosen) > self.max_frames:
            chosen = frames_to_read(about, rule, fps=fps, max_frames=self.max_frames)
        return [SampledFrame(i, self.timeline.time_of(i)) for i in chosen]

    def read(self, frames: Sequence[SampledFrame]) -> Generator[Image.Image, None, None]:
        """Yield the pictures of ascending frames, RGB and upright, one at a time.

        Frames between them are decoded, because the next ones build on them, but not converted.
        Where a keyframe lies between and the container's times prove it, decoding starts there.
        Closing the iterator closes the file.

        Raises:
            MediaError: the file is gone, damaged, or ends before the last frame.
        """
        with closing(self.read_pixels(frames)) as pictures:
            yield from map(Image.fromarray, pictures)

    def read_pixels(self, frames: Sequence[SampledFrame]) -> Generator[np.ndarray, None, None]:
        """As ``read``, but yield (rows, columns, 3) uint8 arrays, which saves 14 ms at 1080p."""
        indices = [frame.index for frame in frames]
        last = self.frame_count - 1
        if indices != sorted(indices) or any(not 0 <= index <= last for index in indices):
            raise ValueError(f"frames must ascend and lie between 0 and {last}, got {indices}")
        reader = _open_reader(self)
        try:
            for index in indices:
                yield reader.read(index)
        finally:
            reader.close()


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrames:
    """A clip with the frames of it that the model is to see."""

    clip: Clip
    frames: Sequence[SampledFrame]


class _Reader:
    """Goes through an open clip once, from front to back."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._path = check_video(clip.path, clip.name)
        self._can_jump = True
        self._picture: np.ndarray | None = None
        self._position = -1
        self._decoder = VideoDecoder(self._path, clip.name)

    def close(self) -> None:
        self._decoder.close()

    def read(self, index: int) -> np.ndarray:
        """Return the frame ``index``, which lies at or after the one returned last."""
        jumps = self._can_jump and (
            self._clip.timeline.landing(index) - self._position > MIN_FRAMES_SAVED
        )
        if jumps:
            self._picture = None
            self._position = -1
            self._decoder.seek(index)
        reached = self._decode_until(index)
        if jumps and self._position != index:  # the container's index is wrong
            self._can_jump = False
            self.close()
            self._decoder = VideoDecoder(self._path, self._clip.name)
            self._position = -1
            reached = self._decode_until(index)
        if not reached:
            raise MediaError(
                f"{self._clip.name} ends after {self._position + 1} of {self._clip.frame_count} "
                f"frames; {REMEDY}"
            )
        if self._picture is None:
            self._picture = self._decoder.picture()
        return self._picture

    def _decode_until(self, index: int) -> bool:
        """Decode up to ``index``, or the next frame if that one is damaged; False at the end."""
        while self._position < index:
            self._picture = None
            time_s = self._decoder.grab()
            if time_s is None:
                return False
            self._position = self._clip.timeline.index_at(time_s, self._position + 1)
        return True


def _open_reader(clip: Clip) -> _Reader | WebpReader:
    if not clip.is_webp:
        return _Reader(clip)
    # its size was checked when it was opened
    return WebpReader(check_video(clip.path, clip.name), clip.name, clip.width * clip.height)


def open_clip(source: str | Path, *, name: str | None = None, limits: Limits | None = None) -> Clip:
    """Look into a video: MP4, MOV, WebM, MKV, AVI, an animated GIF, PNG or WebP.

    Counts the frames and their times from the file's packets, so headers may be wrong or missing.

    Args:
        source: path of a local file.
        name: what to call it in messages; by default the file name.
        limits: the operator's bounds; by default only a frame's pixels are limited.

    Raises:
        MediaError: missing, empty, not a video, without a frame that can be decoded, too large or
            too long; the message names the file and the remedy.
    """
    path = check_video(source, name)
    shown = name or shown_name(path)
    size = path.stat().st_size
    if limits is not None and size > limits.max_bytes:
        raise MediaError(
            f"{shown} has {size / MIB:,.0f} MiB, more than the {limits.max_bytes / MIB:,.0f} MiB "
            "allowed; cut it or save it at a lower quality"
        )
    max_pixels = MAX_IMAGE_PIXELS if limits is None else limits.max_pixels
    is_webp = identify(path).what == "a WebP image"
    if is_webp:
        width, height, timeline = read_webp_timeline(path, shown, max_pixels)
    else:
        with VideoDecoder(path, shown, max_pixels=max_pixels) as decoder:
            width, height = decoder.width, decoder.height
        timeline = read_timeline(path, shown)
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise MediaError(
            f"{shown} is {width}x{height}: one side is more than {MAX_ASPECT_RATIO} times the "
            "other; crop it"
        )
    most = max(limits.max_frames, 2) if limits else None  # frames come in pairs
    clip = Clip(path, shown, width, height, timeline, most, is_webp)
    if limits is not None and clip.duration_s > limits.max_duration_s:
        raise MediaError(
            f"{shown} runs {clip.duration_s:,.1f} s, more than the {limits.max_duration_s:,.1f} s "
            "allowed; cut it"
        )
    return clip
