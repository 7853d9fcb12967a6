from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageColor

from grounding import Action, Box, Point, Result, draw
from grounding import fonts as fonts_module
from grounding.draw import COLOURS, Stroke
from grounding.fonts import font_for, has_glyph, installed
from grounding.plates import PlateLayout, overlap

GREY = (128, 128, 128)


def blank(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def changed(image: Image.Image) -> tuple[int, int, int, int] | None:
    return ImageChops.difference(image, blank(*image.size)).getbbox()


def luminance(colour: str) -> float:
    parts = [value / 255 for value in ImageColor.getrgb(colour)[:3]]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("colour", COLOURS)
def test_white_text_is_readable_on_every_colour(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_the_original_image_is_left_alone() -> None:
    image = blank(100, 80)
    drawn = draw(image, Result(boxes=[Box(10, 10, 50, 50)]))
    assert changed(image) is None
    assert drawn.size == image.size
    assert changed(drawn) is not None


@pytest.mark.parametrize("size", [(224, 168), (407, 663), (3840, 2160)])
def test_the_edge_of_a_box_is_where_the_box_is(size: tuple[int, int]) -> None:
    width, height = size
    box = Box(width * 0.3, height * 0.3, width * 0.8, height * 0.8)
    drawn = draw(blank(*size), Result(boxes=[box]))
    colour = ImageColor.getrgb(COLOURS[0])
    middle = (round(width * 0.55), round(height * 0.55))
    columns = [x for x in range(width) if drawn.getpixel((x, middle[1])) == colour]
    rows = [y for y in range(height) if drawn.getpixel((middle[0], y)) == colour]
    assert abs(columns[0] - box.x0) <= 1 and abs(columns[-1] + 1 - box.x1) <= 1
    assert abs(rows[-1] + 1 - box.y1) <= 1
    assert drawn.getpixel(middle) == GREY


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (8, 8), (407, 663)])
def test_marks_on_any_size_do_not_fail(size: tuple[int, int]) -> None:
    width, height = size
    result = Result(
        boxes=[Box(0, 0, width, height, "whole"), Box(width / 2, 0, width, height)],
        points=[Point(width, height), Point(0, 0, "corner")],
        actions=[Action("left_drag", {}, (0, 0), (width, height)), Action("wait", {})],
    )
    assert draw(blank(*size), result).size == size


def test_strokes_and_text_grow_with_the_image() -> None:
    small, large = Stroke.for_image(224, 168), Stroke.for_image(3840, 2160)
    assert (small.text, small.line) == (11, 2)
    assert large.text >= 40 and large.line >= 7


def test_marks_of_other_images_are_not_drawn() -> None:
    result = Result(boxes=[Box(1, 1, 50, 50, image_index=1)], points=[Point(5, 5, None, 1)])
    assert changed(draw(blank(100, 80), result)) is None
    assert changed(draw(blank(100, 80), result, image_index=1)) is not None


def test_two_hundred_boxes_on_a_4k_screen_take_less_than_a_second() -> None:
    boxes = [
        Box(x * 190.0, y * 210.0, x * 190.0 + 120, y * 210.0 + 60, f"Element {x} {y}")
        for x in range(20)
        for y in range(10)
    ]
    image = blank(3840, 2160)
    draw(image, Result(boxes=boxes[:1]))  # fonts are found once per process
    start = time.process_time()
    draw(image, Result(boxes=boxes))
    assert time.process_time() - start < 1.0


@settings(max_examples=30)
@given(
    targets=st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(1, 90), st.integers(1, 60)),
        max_size=40,
    ),
    width=st.integers(5, 120),
)
def test_plates_stay_inside_and_never_overlap(
    targets: list[tuple[int, int, int, int]], width: int
) -> None:
    rects = [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in targets]
    layout = PlateLayout(320, 240, rects)
    plates = [plate for rect in rects if (plate := layout.place(rect, width, 14))]
    for index, plate in enumerate(plates):
        assert 0 <= plate[0] and plate[2] <= 320 and 0 <= plate[1] and plate[3] <= 240
        assert not any(overlap(plate, other) for other in plates[:index])


def test_a_plate_prefers_a_place_that_covers_no_other_box() -> None:
    target, above = (100.0, 100.0, 150.0, 120.0), (90.0, 80.0, 160.0, 99.0)
    plate = PlateLayout(320, 240, [target, above]).place(target, 40, 14)
    assert plate == (100.0, 120.0, 140.0, 134.0)


def test_a_plate_that_fits_nowhere_is_left_out() -> None:
    assert PlateLayout(30, 10, []).place((0, 0, 5, 5), 40, 14) is None


@pytest.mark.parametrize("label", ["保存", "Überschrift", "保存 Save", "한국어", "かな"])
def test_cjk_and_accented_labels_find_a_font_with_every_glyph(label: str) -> None:
    font = font_for(label, 20)
    assert font is not None
    missing = bytes(font.getmask("\U0010ffff"))
    assert all(bytes(font.getmask(c)) != missing for c in label if not c.isspace())


def test_without_system_fonts_cjk_falls_back_to_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts_module, "installed", lambda: ())
    assert font_for("保存", 20) is None
    box = (40, 40, 90, 60)
    labelled = draw(blank(200, 150), Result(boxes=[Box(*box, "保存")]))
    numbered = draw(blank(200, 150), Result(boxes=[Box(*box)]))
    assert labelled.tobytes() == numbered.tobytes()


def test_a_glyph_a_font_lacks_is_noticed() -> None:
    assert has_glyph(None, "A")
    assert not has_glyph(None, "保")


def test_installed_fonts_are_files() -> None:
    assert all(path.is_file() for path in installed())


def test_a_long_label_is_cut_and_stays_inside() -> None:
    box = (60.0, 60.0, 100.0, 80.0)
    left, top, right, bottom = changed(
        draw(blank(224, 168), Result(boxes=[Box(*box, "word " * 4000)]))
    ) or (0, 0, 0, 0)
    assert right - left < 0.6 * 224 and 0 < left and bottom <= 168 and top > 0
