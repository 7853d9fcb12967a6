"""Sizes at which pictures are seen, against the reference's numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.processing import smart_resize

IMAGE_BUDGET = {"min_pixels": 12544, "max_pixels": 9633792}
VIDEO_BUDGET = {"min_pixels": 12544, "max_pixels": 47040000}


def test_every_golden_image_size_is_reproduced(golden: dict[str, Any]) -> None:
    rows = golden["image_smart_resize_min12544_max9633792"]
    assert len(rows) == 21
    for row in rows:
        size = smart_resize(2, row["h"], row["w"], **IMAGE_BUDGET)
        assert list(size) == row["resized"], row


def test_every_golden_video_size_is_reproduced(golden: dict[str, Any]) -> None:
    rows = golden["video_smart_resize_min12544_max47040000"]
    assert len(rows) == 10
    for row in rows:
        if "error" in row:
            with pytest.raises(ValueError, match="at least 2 needed"):
                smart_resize(row["T"], row["h"], row["w"], **VIDEO_BUDGET)
        else:
            assert (
                list(smart_resize(row["T"], row["h"], row["w"], **VIDEO_BUDGET)) == row["resized"]
            )


@settings(max_examples=300, deadline=None)
@given(
    frames=st.integers(2, 640), height=st.integers(1, 9000), width=st.integers(1, 9000),
    max_pixels=st.sampled_from([602112, 9633792, 47040000]),
)  # fmt: skip
def test_any_size_agrees_with_transformers(
    frames: int, height: int, width: int, max_pixels: int
) -> None:
    from transformers.models.glm4v.image_processing_pil_glm4v import smart_resize as reference

    try:
        wanted = reference(frames, height, width, min_pixels=12544, max_pixels=max_pixels)
    except ValueError:
        with pytest.raises(ValueError, match="more than 200 times"):
            smart_resize(frames, height, width, min_pixels=12544, max_pixels=max_pixels)
    else:
        got = smart_resize(frames, height, width, min_pixels=12544, max_pixels=max_pixels)
        assert got == wanted
        assert got[0] % 28 == got[1] % 28 == 0


def test_a_thin_picture_is_refused_with_its_size_and_a_remedy() -> None:
    with pytest.raises(ValueError, match="more than 200 times the other; crop it"):
        smart_resize(2, 1, 5000, **IMAGE_BUDGET)
