"""Animated WebP as a video: FFmpeg's decoder takes stills only, Pillow's both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from model.processing.image import DECODE_ERRORS, finish_image, read_header
from model.processing.media import MediaError
from model.processing.video_file import NO_KEYFRAMES, REMEDY, Timeline

# Every frame is decoded up to the last that is wanted: 2,000 at 1920x1080 take half a minute.
MAX_ANIMATION_PIXELS = 2000 * 1920 * 1080
# Browsers show frames of 10 ms and less for 100 ms.
SHORTEST_MS = 10
INSTEAD_MS = 100


class WebpReader:
    """Goes through the frames of an open animation, from front to back; RGB, alpha over white.

    Raises:
        MediaError: it is damaged, or too large.
    """

    def __init__(self, path: Path, name: str, max_pixels: int) -> None:
        self._name = name
        self._max_pixels = max_pixels
        self._file = path.open("rb")
        try:
            self._image = read_header(self._file, name, max_pixels)
        except MediaError:
            self._file.close()
            raise

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._image.size

    @property
    def frame_count(self) -> int:
        """Frames by the header."""
        return int(getattr(self._image, "n_frames", 1))

    def close(self) -> None:
        """Close the file."""
        self._image.close()
        self._file.close()

    def read(self, index: int) -> np.ndarray:
        """Return the frame ``index``: (rows, columns, 3) uint8."""
        try:
            self._image.seek(index)
            frame: Image.Image = self._image.copy()
        except DECODE_ERRORS as error:
            raise MediaError(f"{self._name} has a damaged frame; {REMEDY}") from error
        return np.asarray(finish_image(frame, self._name, self._max_pixels))


def read_webp_timeline(path: Path, name: str, max_pixels: int) -> tuple[int, int, Timeline]:
    """Return width, height, and when each frame is shown; decodes none of them.

    Raises:
        MediaError: damaged, or with too many pixels in all.
    """
    reader = WebpReader(path, name, max_pixels)
    (width, height), count = reader.size, reader.frame_count
    reader.close()
    if width * height > max_pixels:
        raise MediaError(
            f"{name} is {width}x{height}, {width * height:,} pixels per frame, more than the "
            f"{max_pixels:,} allowed; scale it down first"
        )
    if count * width * height > MAX_ANIMATION_PIXELS:
        raise MediaError(
            f"{name} has {count:,} frames of {width}x{height}, which would take too long to "
            f"decode; {REMEDY}"
        )
    durations = np.array(_durations_ms(path, count))
    if len(durations) < count:
        raise MediaError(f"{name} ends after {len(durations)} of {count} frames; {REMEDY}")
    times = np.concatenate([[0], durations[:-1].cumsum()]) / 1000
    fps = 1000 / float(durations.mean())
    is_constant = bool((durations == durations[0]).all())
    return width, height, Timeline(count, fps, times, NO_KEYFRAMES, is_constant)


def _durations_ms(path: Path, count: int) -> list[int]:
    """Return how long each frame is shown, from the chunks of the file.

    An ANMF chunk begins with place and size, 12 bytes, and the duration, 3 bytes (RFC 9649, 2.7.1).
    """
    durations: list[int] = []
    with path.open("rb") as file:
        file.seek(12)
        while len(durations) < count and len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            after = file.tell() + size + size % 2
            if head[:4] == b"ANMF":
                shown_ms = int.from_bytes(file.read(15)[12:], "little")
                durations.append(shown_ms if shown_ms > SHORTEST_MS else INSTEAD_MS)
            file.seek(after)
    return durations
