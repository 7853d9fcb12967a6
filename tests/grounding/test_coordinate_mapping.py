from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounding import CONVENTIONS, parse, point_to_pixels, to_pixels

SIZES = [(1, 1), (1, 5000), (5000, 1), (407, 663), (224, 168), (3840, 2160), (1080, 1920)]
MODEL_SIZE = (504, 336)
SPAN = {"glm": 1000, "norm1000": 1000, "norm999": 999, "norm1": 1.0, "percent": 100.0}


def spans(convention: str, size: tuple[int, int]) -> tuple[float, float]:
    if convention in SPAN:
        return (SPAN[convention], SPAN[convention])
    return size if convention == "pixel" else MODEL_SIZE


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
@given(fractions=st.tuples(*[st.floats(0, 1)] * 4))
def test_every_convention_finds_a_place_within_a_pixel(
    convention: str, size: tuple[int, int], fractions: tuple[float, ...]
) -> None:
    width, height = size
    span_x, span_y = spans(convention, size)
    xa, ya, xb, yb = fractions
    norm_box = (xa * span_x, ya * span_y, xb * span_x, yb * span_y)
    box = to_pixels(norm_box, width, height, convention=convention, model_size=MODEL_SIZE)
    want = (min(xa, xb) * width, min(ya, yb) * height, max(xa, xb) * width, max(ya, yb) * height)
    assert max(abs(a - b) for a, b in zip(box.xyxy, want, strict=True)) <= 1e-6 * max(size)


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_a_box_rounded_to_thousandths_comes_back_within_half_a_thousandth(
    size: tuple[int, int], data: st.DataObject
) -> None:
    width, height = size
    x0 = data.draw(st.floats(0, width))
    y0 = data.draw(st.floats(0, height))
    norm = (round(x0 / width * 1000), round(y0 / height * 1000), 1000, 1000)
    box = to_pixels(norm, width, height)
    assert abs(box.x0 - x0) <= width / 2000 + 1e-6
    assert abs(box.y0 - y0) <= height / 2000 + 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_range_is_the_whole_image(size: tuple[int, int]) -> None:
    assert to_pixels((0, 0, 1000, 1000), *size).xyxy == (0, 0, *size)
    assert to_pixels((0, 0, 999, 999), *size, convention="norm999").xyxy == (0, 0, *size)
    assert point_to_pixels((1000, 1000), *size).xy == size


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
@pytest.mark.parametrize("size", [(407, 663), (3840, 2160)])
def test_a_parsed_reply_uses_the_same_mapping(convention: str, size: tuple[int, int]) -> None:
    span_x, span_y = spans(convention, size)
    norm = (0.25 * span_x, 0.25 * span_y, 0.5 * span_x, 0.75 * span_y)
    text = f"<|begin_of_box|>[[{norm[0]}, {norm[1]}, {norm[2]}, {norm[3]}]]<|end_of_box|>"
    (box,) = parse(text, [size], convention=convention, model_size=MODEL_SIZE).boxes
    assert box == to_pixels(norm, *size, convention=convention, model_size=MODEL_SIZE)


def test_each_image_uses_its_own_size_and_model_size() -> None:
    text = "Image 1: [[0,0,252,336]] Image 2: [[0,0,100,100]]"
    sizes = [(1008, 672), (500, 400)]
    boxes = parse(text, sizes, convention="resized", model_size=[(504, 336), (100, 200)]).boxes
    assert [box.xyxy for box in boxes] == [(0, 0, 504, 672), (0, 0, 500, 200)]
