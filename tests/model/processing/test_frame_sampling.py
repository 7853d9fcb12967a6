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
    assert frames_to_read(VideoMetadata(1, 30.0), rule) == [0, 0]


def test_without_a_frame_rate_every_frame_is_taken_and_timed_at_24_per_second() -> None:
    indices = frames_to_read(VideoMetadata(5), "glm4v")
    assert indices == [0, 1, 2, 3, 4, 4]
    assert pair_timestamps(indices, None) == [0, 2 / 24, 4 / 24]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"total_num_frames": 0}, "at least one frame"),
        ({"total_num_frames": 9, "fps": 0.0}, "fps .* positive"),
        ({"total_num_frames": 9, "duration": float("inf")}, "duration .* finite"),
        ({"total_num_frames": 9, "times": (0.0, 1.0)}, "9 frames but 2 times"),
    ],
)
def test_impossible_metadata_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoMetadata(**values)


@settings(max_examples=100, deadline=None)
@given(
    total=st.integers(1, 20000),
    fps=st.floats(0.5, 120),
    duration=st.floats(0.01, 4000),
    wanted=st.sampled_from([0.5, 1, 3, 4.5, 30]),
)
def test_a_chosen_rate_counts_as_in_transformers(
    reference_video_class: Callable[[str], type],
    total: int,
    fps: float,
    duration: float,
    wanted: float,
) -> None:
    from transformers.video_utils import VideoMetadata as ReferenceMetadata

    about = ReferenceMetadata(total, fps=fps, duration=duration)
    reference = reference_video_class("glm4v")().sample_frames(about, fps=wanted)
    assert sample_glm4v(VideoMetadata(total, fps, duration), wanted) == reference.tolist()


def test_a_chosen_rate_replaces_the_rates_of_glm46v() -> None:
    minute = VideoMetadata(1800, 30.0, 60.0)
    assert frames_to_read(minute, "glm46v")[:3] == [0, 15, 30]
    assert frames_to_read(minute, "glm46v", fps=0.5)[:3] == [0, 60, 120]
    assert len(frames_to_read(minute, "glm46v", fps=0.5)) == 30


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cap", [2, 7, 64, 1000])
@pytest.mark.parametrize("seconds", [3, 250, 301, 5000])
def test_a_chosen_cap_is_kept_and_covers_the_whole_clip(rule: str, cap: int, seconds: int) -> None:
    clip = VideoMetadata(seconds * 25, 25.0, float(seconds))
    indices = frames_to_read(clip, rule, max_frames=cap, fps=2)
    assert len(indices) <= cap
    assert len(indices) >= min(cap - 1, seconds * 2 - 1)
    if cap > 2:
        assert indices[-1] >= (seconds - 2) * 25


@pytest.mark.parametrize("rule", RULES)
def test_a_cap_may_exceed_the_rules_own(rule: str) -> None:
    hour = VideoMetadata(3600 * 25, 25.0, 3600.0)
    assert len(frames_to_read(hour, rule, fps=1, max_frames=5000)) == 3600


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=50, deadline=None)
@given(total=st.integers(1, 4000), fps=st.sampled_from([1.0, 8.0, 25.0, 50.0]))
def test_times_at_a_constant_rate_choose_what_the_rate_chooses(
    rule: str, total: int, fps: float
) -> None:
    times = [index / fps for index in range(total)]
    without = frames_to_read(VideoMetadata(total, fps, total / fps), rule)
    assert frames_to_read(VideoMetadata(total, fps, total / fps, times=times), rule) == without


def test_at_a_varying_rate_frames_are_chosen_by_the_time_they_are_shown() -> None:
    # two seconds of stills, then a burst
    times = [0.0, 1.9, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.9]
    about = VideoMetadata(9, 9 / 3.0, 3.0, times=times)
    # instants 0, 0.5 .. 2.5: the first frame shown at each or later
    assert frames_to_read(about, "glm4v") == [0, 1, 2, 7]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("fps", [20.0, 29.97, 1000.0])
def test_a_rate_above_the_clips_own_takes_every_frame(rule: str, fps: float) -> None:
    about = VideoMetadata(44, 10.0, 4.4)
    assert frames_to_read(about, rule, fps=fps) == list(range(44))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0.0}, "fps must be positive"),
        ({"fps": float("nan")}, "fps must be positive"),
        ({"fps": float("inf")}, "at most 1,000"),
        ({"fps": 1e7}, "at most 1,000, got 10000000"),
        ({"max_frames": 1}, "at least 2"),
        ({"rule": "glm5"}, "unknown sampling rule 'glm5'"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frames_to_read(VideoMetadata(9, 3.0), **{"rule": "glm4v", **options})
