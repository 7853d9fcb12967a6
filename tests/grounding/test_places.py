from __future__ import annotations

import pytest

from grounding import Place, last_named, parse

SIZES = [(1000, 1000)] * 3
BOX = "[[1,2,30,40]]"
PAGES = [Place("page", 3), Place("page", 4), Place("page", 5)]
FRAMES = [Place("frame", 1, 0.0), Place("frame", 2, 6.0), Place("frame", 3, 12.0)]
MIXED = [Place("page", 1), Place("image"), Place("page", 2)]


@pytest.mark.parametrize(
    ("text", "places", "index"),
    [
        (f"Image 2: {BOX}", None, 1),
        (f"In image 2. It is at {BOX}", None, 1),
        (f"{BOX} (image 3)", None, 2),
        (f"第2张图：{BOX}", None, 1),
        (f"图 3：{BOX}", None, 2),
        (f"On page 4: {BOX}", PAGES, 1),
        (f"{BOX} on page 5", PAGES, 2),
        (f"第4页：{BOX}", PAGES, 1),
        (f"Image 2: {BOX}", PAGES, 1),
        (f"At 0:12 it is at {BOX}", FRAMES, 2),
        (f"At 00:00:06 it is at {BOX}", FRAMES, 1),
        (f"After 5.6 seconds: {BOX}", FRAMES, 1),
        (f"{BOX} at 11.9 s", FRAMES, 2),
        (f"Frame 2: {BOX}", FRAMES, 1),
        (f"Page 2: {BOX}", MIXED, 2),
        (f"Image 1: {BOX}", MIXED, 1),
        (f"It is 0:12. Page 4: {BOX}", PAGES, 1),
    ],
)
def test_a_box_lands_on_the_place_that_the_text_names(
    text: str, places: list[Place] | None, index: int
) -> None:
    (box,) = parse(text, SIZES, places=places).boxes
    assert box.image_index == index


def test_without_a_name_the_default_image_is_meant() -> None:
    (box,) = parse(f"It is at {BOX}", SIZES, default_image=2).boxes
    assert box.image_index == 2


def test_a_name_in_the_text_beats_the_default_image() -> None:
    (box,) = parse(f"Image 1: {BOX}", SIZES, default_image=2).boxes
    assert box.image_index == 0


@pytest.mark.parametrize(
    ("places", "meant"),
    [(None, "image 1"), (PAGES, "page 3"), (FRAMES, "frame 1"), (MIXED, "page 1")],
)
def test_without_a_name_and_a_default_the_first_image_is_meant_with_a_note(
    places: list[Place] | None, meant: str
) -> None:
    result = parse(f"It is at {BOX}", SIZES, places=places)
    assert result.boxes[0].image_index == 0
    assert result.notes == [f"the reply does not say which image it means; taken as {meant}"]


def test_a_page_that_was_not_sent_drops_the_box_with_a_note() -> None:
    result = parse(f"Page 9: {BOX}", SIZES, places=PAGES)
    assert result.boxes == []
    assert "page 9 was not sent" in result.notes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"places": PAGES[:2]}, "2 places for 3 images"),
        ({"default_image": 3}, "default_image 3 is none of the 3 images"),
    ],
)
def test_places_that_do_not_fit_the_images_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse("", SIZES, **options)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        (f"<think>At {BOX}?</think>So: {BOX}.", [BOX[1:-1]]),
        ("<answer>[[1,2,30,40],[5,6,70,80]]</answer>", ["[1,2,30,40]", "[5,6,70,80]"]),
        ("left_click(start_box='[1,2]', element_info='a')",
         ["left_click(start_box='[1,2]', element_info='a')"]),
    ],
)  # fmt: skip
def test_a_span_is_where_the_coordinates_stand_in_the_text(text: str, spans: list[str]) -> None:
    result = parse(text, SIZES)
    found = [*result.boxes, *result.actions]
    assert [text[slice(*item.span)] for item in found] == spans


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Compare image 1 with image 2: where is it?", 1),
        ("Where is it?", None),
        ("Where is it in image 9?", None),
        ("第 3 页上有什么？", 2),
    ],
)
def test_the_place_that_a_question_names_last(text: str, found: int | None) -> None:
    places = [Place("image"), Place("image"), Place("page", 3)]
    assert last_named(text, places) == found
    assert last_named(text, places[:1]) is None
