"""A video file as the decoder sees it: frames one after another, and when each one is shown."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from model.processing.file_type import FileType, identify
from model.processing.frame_sampling import DEFAULT_FPS
from model.processing.image import MAX_IMAGE_PIXELS, moves, read_header
from model.processing.media import MediaError, check_file

REMEDY = "convert it to an H.264 MP4 and attach that"

# Animations that can be played, as ``identify`` calls them.
ANIMATED = ("a GIF image", "a PNG image", "a WebP image")

# What containers write when they do not know: Matroska ticks 1000 times a second, MPEG 90000 times.
ABSURD_FPS = 1000.0

# Nine hours at 30 frames per second. Listing them takes a few seconds.
MAX_FRAMES = 1_000_000

# 8192x4320, the largest that H.264 and H.265 know. A hundred bytes of a GIF can announce more for
# each of its frames, and FFmpeg holds several at once.
MAX_FRAME_PIXELS = 8192 * 4320

# Every thread of FFmpeg's holds several frames: 8 of them take 150 MB at 1920x1080.
MAX_THREADS = 8

# A damaged file must not keep the decoder busy for long.
TIMEOUT_MS = 10_000

# Going on after damage: as many frames in a row may be lost before the rest counts as lost too.
MAX_DAMAGED = 16

# Times come as floats computed from the container's ticks; ticks are 10 microseconds or longer.
SAME_TIME_S = 5e-6

# OpenCV starts decoding at the last keyframe that lies at least this many frames before the target.
SEEK_MARGIN = 16

# Going through more frames than these to see whether a file is complete would take too long.
MAX_END_CHECK = 600

NO_KEYFRAMES = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """When each frame of a video is shown.

    Attributes:
        count: number of frames.
        fps: frames per second, on average; 24 if nobody knows.
        times: (count,) float64, seconds since the first frame, ascending; None if the container
            does not tell.
        keyframes: (K,) int64, ascending indices of frames that need none before them; empty where
            jumping to them is not exact.
        is_constant: each frame is shown at ``index / fps``, give or take half a frame, or
            nothing else is known.
    """

    count: int
    fps: float
    times: np.ndarray | None
    keyframes: np.ndarray
    is_constant: bool

    def time_of(self, index: int) -> float:
        """Return when a frame is shown; exact ``index / fps`` for constant rates."""
        if self.is_constant or self.times is None:
            return index / self.fps
        return float(self.times[index])

    def index_at(self, time_s: float, expected: int) -> int:
        """Return the index of a frame that the decoder gave, at least ``expected``."""
        if self.times is None:
            return expected
        return max(expected, int(np.searchsorted(self.times, time_s - SAME_TIME_S)))

    def landing(self, index: int) -> int:
        """Return the frame from which decoding starts when jumping to ``index``; -1 if unknown."""
        before = int(np.searchsorted(self.keyframes, index - SEEK_MARGIN, side="right"))
        return int(self.keyframes[before - 1]) if before else -1


class VideoDecoder:
    """An open video; a context manager that closes it.

    Args:
        packets: list the packets of the container without decoding them.

    Raises:
        MediaError: FFmpeg does not know the format, or the frames are too large or have no pixels.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        packets: bool = False,
        max_pixels: int = MAX_FRAME_PIXELS,
    ) -> None:
        self.name = name
        threads = min(os.cpu_count() or 1, MAX_THREADS)
        settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS]
        settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
        settings += [cv2.CAP_PROP_FORMAT, -1] if packets else [cv2.CAP_PROP_N_THREADS, threads]
        # FFmpeg only: OpenCV's image-sequence reader would open photo1.png and then photo2.png
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, settings)
        if not self._capture.isOpened():
            raise MediaError(f"{name} holds no video that can be decoded; {REMEDY}")
        # the rotation flag is applied, to the size too
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if self.width < 1 or self.height < 1:
            self._capture.release()
            raise MediaError(f"{name} has no pixels ({self.width}x{self.height}); {REMEDY}")
        max_pixels = min(max_pixels, MAX_FRAME_PIXELS)
        if self.width * self.height > max_pixels:
            self._capture.release()
            raise MediaError(
                f"{name} is {self.width}x{self.height}, {self.width * self.height:,} pixels per "
                f"frame, more than the {max_pixels:,} allowed; scale it down first"
            )

    @property
    def announced_fps(self) -> float | None:
        """Frames per second by the container's header, unless that is no frame rate."""
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        return fps if math.isfinite(fps) and 0 < fps < ABSURD_FPS else None

    @property
    def codec(self) -> str:
        """Four characters that name the compression, for messages."""
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        return code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ")

    @property
    def is_keyframe(self) -> bool:
        """Whether the packet grabbed last can be decoded without those before it."""
        return bool(self._capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME))

    def grab(self) -> float | None:
        """Decode the next frame; return its time in seconds, or None at the end."""
        for _ in range(MAX_DAMAGED):
            if self._capture.grab():
                return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return None

    def picture(self) -> np.ndarray:
        """Return the frame grabbed last: (rows, columns, 3) uint8 RGB."""
        decoded, bgr = self._capture.retrieve()
        if not decoded:
            raise MediaError(f"{self.name} has a damaged frame; {REMEDY}")
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    def seek(self, index: int) -> None:
        """Make ``index`` the next frame, if the container's rate and index tables are right."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)

    def close(self) -> None:
        """Free the decoder."""
        self._capture.release()

    def __enter__(self) -> VideoDecoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def is_animation(path: Path, found: FileType) -> bool:
    """Return whether an image is an animation that can be played; of a damaged one, False."""
    if found.what not in ANIMATED:
        return False
    try:
        with path.open("rb") as file, read_header(file, path.name, MAX_IMAGE_PIXELS) as header:
            return moves(header)
    except MediaError:
        return False


def check_video(source: str | Path, name: str | None) -> Path:
    """Return the path of a file whose first bytes are those of a video, or of an animation.

    FFmpeg must not see anything else: it follows playlists, which are texts that name other files.

    Raises:
        MediaError: missing, empty or of another kind.
    """
    path = check_file(source, kind="video", name=name)
    try:
        found = identify(path)
    except PermissionError as error:
        raise MediaError(f"{name or path.name} may not be read; check its permissions") from error
    if found.kind != "video" and not is_animation(path, found):
        remedy = found.remedy or "attach an MP4, MOV, WebM, MKV or AVI video"
        raise MediaError(f"{name or path.name} is {found.what}, not a video; {remedy}")
    return path


def _list_packets(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the times (N,) float64 ascending and the indices (K,) int64 of the keyframes."""
    found: list[float] = []
    is_key: list[bool] = []
    with VideoDecoder(path, name, packets=True) as packets:
        for time_s in _remaining(packets):
            found.append(time_s)
            is_key.append(packets.is_keyframe)
            if len(found) > MAX_FRAMES:
                raise MediaError(f"{name} has more than {MAX_FRAMES:,} frames; cut it first")
    times = np.array(found)
    order = np.argsort(times, kind="stable")  # packets come in the order of decoding
    return times[order], np.flatnonzero(np.array(is_key, dtype=bool)[order])


def _remaining(decoder: VideoDecoder) -> Iterator[float]:
    """Yield the time of each frame up to the end."""
    while (time_s := decoder.grab()) is not None:
        yield time_s


def _ascends(times: np.ndarray) -> bool:
    return bool((np.diff(times) > SAME_TIME_S).all())


def _by_rate(count: int, fps: float | None) -> Timeline:
    """Trust the header's frame rate where there are no times."""
    return Timeline(count, fps or DEFAULT_FPS, None, NO_KEYFRAMES, True)


def _by_times(times: np.ndarray, keyframes: np.ndarray, fps: float | None) -> Timeline:
    """Decide whether the header's frame rate describes the times, which begin with 0."""
    count = len(times)
    if count < 2:
        return _by_rate(count, fps)
    if fps is not None and np.abs(times * fps - np.arange(count)).max() <= 0.5:
        return Timeline(count, fps, times, keyframes, True)
    # jumps go by frame numbers at a constant rate
    return Timeline(count, float((count - 1) / times[-1]), times, NO_KEYFRAMES, False)


def read_timeline(path: Path, name: str) -> Timeline:
    """Find out how many frames there are and when they are shown, decoding as little as possible.

    Headers often give a wrong count or rate. The packets of a file tell when each frame is shown
    and are listed without decoding. The first and the last frames are decoded to see whether the
    decoder agrees; only where it does not is every frame decoded.

    Raises:
        MediaError: no frame can be decoded, or there are more than a million.
    """
    times, keyframes = _list_packets(path, name)
    count = len(times)
    with VideoDecoder(path, name) as decoder:
        fps = decoder.announced_fps
        first = decoder.grab()
        if first is None:
            codec = f" ({decoder.codec})" if decoder.codec else ""
            raise MediaError(f"{name} holds no frame that can be decoded{codec}; {REMEDY}")
        if count < 2 or abs(first - times[0]) > SAME_TIME_S or not _ascends(times):
            # AVI with bidirectional frames tells the order of decoding, not of showing
            return _by_rate(max(count, 1), fps)
        times = times - times[0]
        timeline = _by_times(times, keyframes, fps)
        if count - timeline.landing(count - 1) > MAX_END_CHECK:
            return timeline
        decoder.seek(count - 1)
        end = max(_remaining(decoder), default=-1.0) - first
    kept = int(np.searchsorted(times, end + SAME_TIME_S, side="right"))
    if kept and abs(times[kept - 1] - end) <= SAME_TIME_S:
        return _by_times(times[:kept], keyframes[keyframes < kept], fps)
    # cut without re-encoding, by an edit list that hides frames at the front
    with VideoDecoder(path, name) as decoder:
        times = np.array(list(_remaining(decoder)))
    if not _ascends(times):
        return _by_rate(len(times), fps)
    return _by_times(times - times[0], NO_KEYFRAMES, fps)
