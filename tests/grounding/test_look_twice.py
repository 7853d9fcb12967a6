"""The part of a picture that is looked at again, and the way back to the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grounding import Action, Box, Point, Result
from grounding.look_twice import MAX_BOX_SHARE, Crop, choose_crop

SCREEN = (1280, 800)
SEEN = (672, 420)


def test_a_part_of_a_picture_that_was_seen_in_full_is_smaller_all_the_same() -> None:
    crop = choose_crop((10, 10, 20, 20), (448, 336), (448, 336))
    assert crop is not None and crop.size == (268, 201)


def test_a_small_picture_is_not_looked_at_again() -> None:
    assert choose_crop((10, 10, 20, 20), (180, 120), (196, 112)) is None


def test_the_part_lies_around_what_was_found() -> None:
    crop = choose_crop((600, 400, 640, 420), SCREEN, SEEN)
    assert crop is not None
    assert crop.x0 + crop.width / 2 == pytest.approx(620, abs=1)
    assert crop.y0 + crop.height / 2 == pytest.approx(410, abs=1)


def test_at_an_edge_the_part_keeps_its_size_and_stays_inside() -> None:
    middle = choose_crop((640, 400), SCREEN, SEEN)
    corner = choose_crop((1279, 799), SCREEN, SEEN)
    assert middle is not None and corner is not None
    assert corner.size == middle.size
    assert (corner.x0 + corner.width, corner.y0 + corner.height) == SCREEN


def test_a_long_box_gets_a_long_part_of_the_same_area() -> None:
    crop = choose_crop((500, 300, 900, 320), SCREEN, (1280, 800))
    usual = choose_crop((640, 400), SCREEN, (1280, 800))
    assert crop is not None and usual is not None
    assert 400 / crop.width == pytest.approx(MAX_BOX_SHARE, abs=0.01)
    area = usual.width * usual.height
    assert crop.width * crop.height == pytest.approx(area, rel=0.01)


def test_a_box_that_fills_the_picture_is_not_looked_at_again() -> None:
    assert choose_crop((0, 0, 1000, 700), SCREEN, SEEN) is None


@given(
    st.integers(60, 4000),
    st.integers(60, 4000),
    st.floats(0.05, 1.5),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_the_part_is_inside_the_picture_and_what_was_found_inside_the_part(
    width: int, height: int, scale: float, corners: list[float]
) -> None:
    seen = (max(1, int(width * scale)), max(1, int(height * scale)))
    (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
    found = (x0 * width, y0 * height, x1 * width, y1 * height)
    crop = choose_crop(found, (width, height), seen)
    if crop is None:
        return
    assert crop.x0 >= 0 and crop.x0 + crop.width <= width
    assert crop.y0 >= 0 and crop.y0 + crop.height <= height
    # up to rounding
    assert crop.x0 <= found[0] + 1 and crop.x0 + crop.width >= found[2] - 1
    assert crop.y0 <= found[1] + 1 and crop.y0 + crop.height >= found[3] - 1


@given(
    st.tuples(st.integers(1000, 4000), st.integers(1000, 4000)),
    st.floats(0.2, 1.0),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_part_around_something_small_is_not_scaled_down(
    size: tuple[int, int], scale: float, place: tuple[float, float]
) -> None:
    seen = (int(size[0] * scale), int(size[1] * scale))
    crop = choose_crop((place[0] * size[0], place[1] * size[1]), size, seen)
    assert crop is not None
    assert crop.width * crop.height <= seen[0] * seen[1]


def test_what_was_found_in_the_part_is_put_in_its_place_in_the_whole() -> None:
    result = Result(
        boxes=[Box(1, 2, 3, 4, label="Save", score=0.5)],
        points=[Point(5, 6)],
        actions=[
            Action("left_drag", {"a": 1}, target=(7, 8), end=(9, 10)),
            Action("wait", {}),
        ],
        answer="[[1,2,3,4]]",
    )
    whole = Crop(100, 50, 300, 200).restore(result)
    assert whole.boxes == [Box(101, 52, 103, 54, label="Save", score=0.5)]
    assert whole.points == [Point(105, 56)]
    drag, wait = whole.actions
    assert (drag.target, drag.end, drag.args) == ((107, 58), (109, 60), {"a": 1})
    assert wait.target is None
    assert whole.answer == result.answer
    assert result.boxes[0].x0 == 1


def test_the_cut_part_has_the_pixels_of_the_whole() -> None:
    image = Image.new("RGB", (100, 80))
    image.putpixel((40, 30), (255, 0, 0))
    part = Crop(35, 28, 20, 10).cut(image)
    assert part.size == (20, 10)
    assert part.getpixel((5, 2)) == (255, 0, 0)
