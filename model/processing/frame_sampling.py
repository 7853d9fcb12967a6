"""Which frames of a video the model sees, and when each pair of them was shown.

GLM-4.5V and GLM-4.1V sample evenly at a fixed rate; GLM-4.6V lowers its rate as clips get longer.
The class that the checkpoint names as its processor decides, not its model type.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Rule = Literal["glm4v", "glm46v"]

# When nobody knows the frame rate, the reference's processor assumes this one.
DEFAULT_FPS = 24.0

# GLM-4.5V: frames per second, and the longest duration in seconds that is sampled at that rate;
# class defaults of the reference, which a checkpoint may change.
GLM4V_FPS = 2.0
GLM4V_MAX_DURATION_S = 300.0

# The highest rate that may be chosen: few cameras are as fast. Every instant of a clip of up to
# ``max_duration`` is looked at, which takes 0.15 s on one core at this rate.
MAX_FPS = 1000.0

# GLM-4.6V: (longest duration in seconds, frames per second), then the caps on both.
GLM46V_RATES = ((30, 6.0), (300, 2.0), (math.inf, 1.0))
GLM46V_MAX_DURATION_S = 2400
GLM46V_MAX_FRAMES = 640


@dataclass(frozen=True, slots=True)
class VideoMetadata:
    """What is known about a video apart from its pixels."""

    total_num_frames: int
    fps: float | None = None
    duration: float | None = None  # seconds; derived from the frame count when absent
    frames_indices: tuple[int, ...] | None = None  # set when the frames are already a selection
    # seconds at which each frame is shown, ascending; set when the frame rate varies
    times: Sequence[float] | None = None
    # seconds of each frame of a selection, exactly; by default index / fps
    timestamps: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.total_num_frames < 1:
            raise ValueError(f"a video needs at least one frame, got {self.total_num_frames}")
        for name in ("fps", "duration"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} of a video must be positive and finite, got {value}")
        if self.times is not None and len(self.times) != self.total_num_frames:
            raise ValueError(f"{self.total_num_frames} frames but {len(self.times)} times")
        if self.timestamps is not None and len(self.timestamps) != len(self.frames_indices or ()):
            raise ValueError(
                f"{len(self.frames_indices or ())} frames_indices but {len(self.timestamps)} "
                "timestamps; give one per frame of the selection"
            )

    @property
    def seconds(self) -> float:
        """Duration as given, else by the reference's rule; needs ``fps``."""
        assert self.fps is not None
        return self.duration or round((self.total_num_frames - 1) / self.fps) + 1


def sample_glm4v(
    metadata: VideoMetadata,
    fps: float | None = None,
    max_frames: int | None = None,
    max_duration: float = GLM4V_MAX_DURATION_S,
) -> list[int]:
    """Choose frames by the rule of GLM-4.5V and GLM-4.1V: ``fps`` per second, then thinner.

    Args:
        metadata: ``fps`` must be known.
        fps: frames per second to take; 2 by default.
        max_frames: take no more than these; by default what ``max_duration`` seconds get.
        max_duration: seconds; longer videos get as many frames as one of this length.

    Returns:
        An even number of ascending frame indices; only the last may occur twice.
    """
    assert metadata.fps is not None
    fps = fps or GLM4V_FPS
    last = metadata.total_num_frames - 1
    duration = metadata.seconds
    count = max(math.floor(duration * fps), 1)
    cap = max_frames or int(max_duration * fps)
    if count <= max_frames if max_frames else duration <= max_duration:
        if metadata.times is not None:
            indices = _shown_from(metadata.times, [i / fps for i in range(count)])
        else:
            indices = [min(last, math.ceil(i * metadata.fps / fps)) for i in range(count)]
    elif cap > last:
        indices = list(range(last + 1))
    else:
        instants = np.linspace(0, duration, cap).tolist()
        if metadata.times is not None:
            indices = _shown_from(metadata.times, instants)
        else:
            indices = [min(last, math.ceil(t * metadata.fps)) for t in instants]
    return _distinct_and_even(indices)


def sample_glm46v(
    metadata: VideoMetadata, fps: float | None = None, max_frames: int | None = None
) -> list[int]:
    """Choose frames by the rule of GLM-4.6V: fewer per second the longer the video is.

    Args:
        metadata: ``fps`` must be known.
        fps: frames per second to take, whatever the duration.
        max_frames: take no more than these, however long the video; 640 by default.

    Returns:
        An even number of ascending frame indices; empty for clips of a few frames, as in the
        reference (``frames_to_read`` then takes the first frame).
    """
    assert metadata.fps is not None
    total, duration = metadata.total_num_frames, metadata.seconds
    counted = duration if max_frames else min(duration, GLM46V_MAX_DURATION_S)
    rate = fps or next(r for longest, r in GLM46V_RATES if counted <= longest)
    wanted = min(int(counted * rate), max_frames or GLM46V_MAX_FRAMES)
    if total < wanted:
        indices = np.linspace(0, total - 1, wanted, dtype=int).tolist()
    else:
        indices = _walk(metadata, 1 / rate, int(duration))
    if len(indices) < wanted:
        indices = np.linspace(indices[0], indices[-1], wanted, dtype=int).tolist()
    elif len(indices) > wanted:
        indices = np.linspace(0, total - 1, wanted, dtype=int).tolist()
    return _distinct_and_even(indices)


def frames_to_read(
    metadata: VideoMetadata,
    rule: Rule,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    max_duration: float = GLM4V_MAX_DURATION_S,
) -> list[int]:
    """Choose frames for any clip: all of it when the frame rate is unknown, never none.

    Args:
        rule: whose rule; see ``sample_glm4v`` and ``sample_glm46v`` for the rest.
        fps: frames per second to take, at most 1,000.
        max_frames: an odd number counts as one less, because frames come in pairs.

    Returns:
        An even number of ascending frame indices; only the last may occur twice.

    Raises:
        ValueError: an unknown rule, a rate or cap that takes nothing, or a rate above 1,000.
    """
    if rule not in ("glm4v", "glm46v"):
        raise ValueError(f"unknown sampling rule {rule!r}; expected 'glm4v' or 'glm46v'")
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise ValueError(f"fps must be positive and at most {MAX_FPS:,.0f}, got {fps}")
    if max_frames is not None and max_frames < 2:
        raise ValueError(f"max_frames must be at least 2, one pair of frames; got {max_frames}")
    cap = max_frames - max_frames % 2 if max_frames else None
    if metadata.fps is None:
        indices = list(range(metadata.total_num_frames))
    elif rule == "glm4v":
        indices = sample_glm4v(metadata, fps, cap, max_duration)
    else:
        indices = sample_glm46v(metadata, fps, cap)
    return _distinct_and_even(indices or [0])


def pair_timestamps(indices: list[int], fps: float | None) -> list[float]:
    """Return the time of the first frame of each pair, in seconds."""
    return [index / (fps or DEFAULT_FPS) for index in indices[::2]]


def _shown_from(times: Sequence[float], instants: list[float]) -> list[int]:
    """Return for each instant the first frame that is shown at it or later, else the last."""
    return [min(len(times) - 1, bisect_left(times, instant)) for instant in instants]


def _walk(metadata: VideoMetadata, step_s: float, end_s: int) -> list[int]:
    """Take a frame whenever its time has reached a cursor that then moves on by ``step_s``."""
    assert metadata.fps is not None
    frame_s = 1 / metadata.fps
    indices = []
    cursor = 0.0
    for index in range(metadata.total_num_frames):
        time = metadata.times[index] if metadata.times is not None else index * frame_s
        if time >= cursor:
            cursor += step_s
            indices.append(index)
            if cursor >= end_s:
                break
    return indices


def _distinct_and_even(indices: list[int]) -> list[int]:
    """Drop repetitions, then repeat the last index if the count is odd: frames come in pairs."""
    distinct = list(dict.fromkeys(indices))
    return distinct + distinct[-1:] if len(distinct) % 2 else distinct
