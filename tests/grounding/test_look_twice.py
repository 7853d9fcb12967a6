"""The part of a picture that is looked at again, and the way back to the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grounding import Action, Box, Point, Result
from grounding.look_twice import MAX_BOX_SHARE, MAX_SIDE_SHARE, Crop, choose_crop

SCREEN = (1280, 800)
SEEN = (672, 420)


def test_a_picture_that_was_seen_in_full_is_not_looked_at_again() -> None:
    assert choose_crop((10, 10, 20, 20), (448, 336), (448, 336)) is None
    assert choose_crop((10, 10, 20, 20), (100, 50), (112, 56)) is None


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


def test_a_picture_that_was_hardly_scaled_down_is_still_cut_to_a_part() -> None:
    crop = choose_crop((640, 400), SCREEN, (1260, 784))
    assert crop is not None
    assert crop.width == int(MAX_SIDE_SHARE * SCREEN[0])


def test_a_large_box_gets_a_part_with_room_around_it() -> None:
    crop = choose_crop((500, 300, 780, 320), SCREEN, (336, 224))
    assert crop is not None
    assert 280 / crop.width == pytest.approx(MAX_BOX_SHARE, abs=0.01)


def test_a_box_that_fills_the_picture_is_not_looked_at_again() -> None:
    assert choose_crop((0, 0, 1000, 700), SCREEN, SEEN) is None


@given(
    st.integers(60, 4000),
    st.integers(60, 4000),
    st.floats(0.05, 0.99),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_the_part_is_inside_the_picture_and_no_larger_than_what_was_seen(
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
    # what was found lies in it, up to rounding
    assert crop.x0 <= found[0] + 1 and crop.x0 + crop.width >= found[2] - 1
    fits = crop.width * crop.height <= seen[0] * seen[1]
    box_needs_more = max(x1 - x0, y1 - y0) / MAX_BOX_SHARE > scale / 2
    assert fits or box_needs_more


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
