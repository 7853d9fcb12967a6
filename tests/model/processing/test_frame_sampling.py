"""Which frames are taken, and the seconds written beside them, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.processing import VideoMetadata
from model.processing.frame_sampling import (
    frames_to_read,
    pair_timestamps,
    sample_glm4v,
    sample_glm46v,
)

RULES = {"glm4v": sample_glm4v, "glm46v": sample_glm46v}
STAMPS = {"glm4v": lambda s: str(int(s)), "glm46v": lambda s: f"{s:.1f} seconds"}


@pytest.mark.parametrize("rule", RULES)
def test_every_golden_video_is_sampled_alike(golden: dict[str, Any], rule: str) -> None:
    rows = golden["video_sampling"]
    assert len(rows) == 14
    for row in rows:
        indices = RULES[rule](VideoMetadata(row["N"], row["fps"], row["duration"]))
        stamps = [STAMPS[rule](s) for s in pair_timestamps(indices, row["fps"])]
        wanted = row[rule]
        assert len(indices) == wanted["n"]
        assert sum(indices) == wanted["sum"]
        assert indices[: len(wanted["first"])] == wanted["first"]
        assert indices[len(indices) - len(wanted["last"]) :] == wanted["last"]
        assert stamps[: len(wanted["text_first"])] == wanted["text_first"]
        assert stamps[len(stamps) - len(wanted["text_last"]) :] == wanted["text_last"]


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=150, deadline=None)
@given(
    total=st.integers(1, 20000),
    fps=st.floats(0.5, 120),
    duration=st.none() | st.floats(0.01, 4000),
)
def test_any_clip_is_sampled_as_transformers_does(
    rule: str,
    reference_video_class: Callable[[str], type],
    total: int,
    fps: float,
    duration: float | None,
) -> None:
    from transformers.video_utils import VideoMetadata as ReferenceMetadata

    reference = reference_video_class(rule)()
    wanted = reference.sample_frames(ReferenceMetadata(total, fps=fps, duration=duration))
    assert RULES[rule](VideoMetadata(total, fps, duration)) == wanted.tolist()


@pytest.mark.parametrize("rule", RULES)
def test_a_clip_of_one_frame_still_has_a_pair(rule: str) -> None:
    assert frames_to_read(VideoMetadata(1, 30.0), RULES[rule], 2, 300) == [0, 0]


def test_without_a_frame_rate_every_frame_is_taken_and_timed_at_24_per_second() -> None:
    indices = frames_to_read(VideoMetadata(5), sample_glm4v, 2, 300)
    assert indices == [0, 1, 2, 3, 4, 4]
    assert pair_timestamps(indices, None) == [0, 2 / 24, 4 / 24]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"total_num_frames": 0}, "at least one frame"),
        ({"total_num_frames": 9, "fps": 0.0}, "fps .* positive"),
        ({"total_num_frames": 9, "duration": float("inf")}, "duration .* finite"),
    ],
)
def test_impossible_metadata_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoMetadata(**values)
