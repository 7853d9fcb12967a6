"""Decode the frames of a video file that were asked for, and no others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from model.processing.frame_sampling import VideoMetadata
from model.processing.image import MAX_IMAGE_PIXELS
from model.processing.media import HEAD_BYTES, MediaError, check_file, is_text

REMEDY = "convert it to an H.264 MP4 and attach that"


class EndsEarlyError(MediaError):
    """The container announced more frames than can be decoded; ``frames`` says how many came."""

    def __init__(self, message: str, frames: int) -> None:
        super().__init__(message)
        self.frames = frames


class VideoFile:
    """An open local video; a context manager that closes it.

    Args:
        source: path of the file.
        total_num_frames: overrides the count that the container announces.

    Raises:
        MediaError: the file is missing, empty, not a video, or in a format OpenCV cannot decode.
    """

    def __init__(self, source: str | Path, *, total_num_frames: int | None = None) -> None:
        self._path = check_file(source, kind="video")
        self.name = self._path.name
        with self._path.open("rb") as file:
            # FFmpeg follows playlists, which are text files that name other files
            if is_text(file.read(HEAD_BYTES)):
                raise MediaError(f"{self.name} is text, not a video; attach an MP4, MOV or WebM")
        self._capture = self._open()
        try:
            self.metadata = self._read_metadata(total_num_frames)
        except MediaError:
            self._capture.release()
            raise

    def frames(self, indices: list[int]) -> Iterator[np.ndarray]:
        """Yield (rows, columns, 3) uint8 RGB frames for ascending indices, repetitions included.

        Skipped frames are decoded but not converted to RGB, which is exact in every format;
        seeking is not. May be called once.

        Raises:
            EndsEarlyError: the video ends before the last index.
            MediaError: a frame is damaged.
        """
        position = -1
        frame: np.ndarray | None = None
        for index in indices:
            while position < index:
                if not self._capture.grab():
                    count = position + 1
                    raise EndsEarlyError(
                        f"{self.name} ends after {count} of {self.metadata.total_num_frames} "
                        f"frames; {REMEDY}",
                        count,
                    )
                position += 1
                frame = None
            if frame is None:
                decoded, bgr = self._capture.retrieve()
                if not decoded:
                    raise MediaError(f"{self.name}: frame {index} is damaged; {REMEDY}")
                frame = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            yield frame

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        # FFmpeg only: OpenCV's image-sequence reader would open photo1.png and then photo2.png
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise MediaError(f"{self.name} cannot be decoded as a video; {REMEDY}")
        return capture

    def _read_metadata(self, total: int | None) -> VideoMetadata:
        """Take frame rate and count from the container, counting the frames if it has no count."""
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_IMAGE_PIXELS:
            raise MediaError(f"{self.name} is {width}x{height}; scale it down first")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        total = total or int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if total < 1:  # containers written as a stream, without an index
            total = 0
            while self._capture.grab():
                total += 1
            self._capture.release()
            self._capture = self._open()
        if not total:
            raise MediaError(f"{self.name} has no frames; {REMEDY}")
        known = math.isfinite(fps) and fps > 0
        return VideoMetadata(total, fps if known else None, total / fps if known else None)
