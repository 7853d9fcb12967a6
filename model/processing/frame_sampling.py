"""Which frames of a video the model sees, and when each pair of them was shown.

GLM-4.5V and GLM-4.1V sample evenly at a fixed rate; GLM-4.6V lowers its rate as clips get longer.
The class that the checkpoint names as its processor decides, not its model type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# When nobody knows the frame rate, the reference's processor assumes this one.
DEFAULT_FPS = 24.0

# GLM-4.6V: (longest duration in seconds, frame pairs per second), then the caps on both.
GLM46V_RATES = ((30, 3.0), (300, 1.0), (math.inf, 0.5))
GLM46V_MAX_DURATION_S = 2400
GLM46V_MAX_FRAMES = 640


@dataclass(frozen=True, slots=True)
class VideoMetadata:
    """What is known about a video apart from its pixels."""

    total_num_frames: int
    fps: float | None = None
    duration: float | None = None  # seconds; derived from the frame count when absent
    frames_indices: tuple[int, ...] | None = None  # set when the frames are already a selection

    def __post_init__(self) -> None:
        if self.total_num_frames < 1:
            raise ValueError(f"a video needs at least one frame, got {self.total_num_frames}")
        for name in ("fps", "duration"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} of a video must be positive and finite, got {value}")

    @property
    def seconds(self) -> float:
        """Duration as given, else by the reference's rule; needs ``fps``."""
        assert self.fps is not None
        return self.duration or round((self.total_num_frames - 1) / self.fps) + 1


# metadata, frames per second asked for, longest evenly sampled duration in seconds -> indices
FrameSampler = Callable[[VideoMetadata, float, float], list[int]]


def sample_glm4v(metadata: VideoMetadata, fps: float = 2, max_duration: float = 300) -> list[int]:
    """Choose frames by the rule of GLM-4.5V and GLM-4.1V: ``fps`` per second, then thinner.

    Args:
        metadata: ``fps`` must be known.
        fps: frames per second to take, class default of the reference.
        max_duration: seconds; longer videos get as many frames as one of this length.

    Returns:
        An even number of ascending frame indices; only the last may occur twice.
    """
    assert metadata.fps is not None
    last = metadata.total_num_frames - 1
    duration = metadata.seconds
    if duration <= max_duration:
        count = max(math.floor(duration * fps), 1)
        indices = [min(last, math.ceil(i * metadata.fps / fps)) for i in range(count)]
    else:
        count = int(max_duration * fps)
        if count > last:
            indices = list(range(last + 1))
        else:
            instants = np.linspace(0, duration, count).tolist()
            indices = [min(last, math.ceil(t * metadata.fps)) for t in instants]
    return _distinct_and_even(indices)


def sample_glm46v(metadata: VideoMetadata, fps: float = 2, max_duration: float = 300) -> list[int]:
    """Choose frames by the rule of GLM-4.6V; ``fps`` and ``max_duration`` play no part in it.

    Returns:
        An even number of ascending frame indices; empty for clips of a few frames, as in the
        reference (``frames_to_read`` then takes the first frame).
    """
    assert metadata.fps is not None
    total, duration = metadata.total_num_frames, metadata.seconds
    counted = min(duration, GLM46V_MAX_DURATION_S)
    rate = next(r for longest, r in GLM46V_RATES if counted <= longest)
    wanted = min(int(counted * rate * 2), GLM46V_MAX_FRAMES)
    if total < wanted:
        indices = np.linspace(0, total - 1, wanted, dtype=int).tolist()
    else:
        indices = _walk(total, 1 / metadata.fps, 1 / (2 * rate), int(duration))
    if len(indices) < wanted:
        indices = np.linspace(indices[0], indices[-1], wanted, dtype=int).tolist()
    elif len(indices) > wanted:
        indices = np.linspace(0, total - 1, wanted, dtype=int).tolist()
    return _distinct_and_even(indices)


def frames_to_read(
    metadata: VideoMetadata, sampler: FrameSampler, fps: float, longest: float
) -> list[int]:
    """Choose frames for any clip: all of it when the frame rate is unknown, never none."""
    if metadata.fps is None:
        indices = list(range(metadata.total_num_frames))
    else:
        indices = sampler(metadata, fps, longest)
    indices = indices or [0]
    return indices + indices[-1:] if len(indices) % 2 else indices


def pair_timestamps(indices: list[int], fps: float | None) -> list[float]:
    """Return the time of the first frame of each pair, in seconds."""
    return [index / (fps or DEFAULT_FPS) for index in indices[::2]]


def _walk(total: int, frame_s: float, step_s: float, end_s: int) -> list[int]:
    """Take a frame whenever its time has reached a cursor that then moves on by ``step_s``."""
    indices = []
    cursor = 0.0
    for index in range(total):
        if index * frame_s >= cursor:
            cursor += step_s
            indices.append(index)
            if cursor >= end_s:
                break
    return indices


def _distinct_and_even(indices: list[int]) -> list[int]:
    """Drop repetitions, then repeat the last index if the count is odd: frames come in pairs."""
    distinct = list(dict.fromkeys(indices))
    return distinct + distinct[-1:] if len(distinct) % 2 else distinct
