"""Numbers on the elements of a page."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageColor

from agent.marks import Mark, draw_marks, list_marks
from grounding.draw import COLOURS

BUTTON = Mark("button", 'Say "hi"\n now', (20, 30, 80, 60))


def test_each_element_is_framed_and_numbered_in_its_top_left_corner() -> None:
    screen = Image.new("RGB", (200, 100), "white")
    marked = draw_marks(screen, [BUTTON])
    assert ImageChops.difference(screen, marked).getbbox() == (20, 30, 80, 60)
    assert marked.getpixel((21, 31)) == ImageColor.getrgb(COLOURS[0])  # plate of the number
    assert marked.getpixel((50, 45)) == (255, 255, 255)
    assert screen.getcolors() == [(200 * 100, (255, 255, 255))]  # a copy was drawn upon


def test_elements_are_listed_by_number_with_links_unnamed() -> None:
    listed = list_marks([Mark("a", "Home", (0, 0, 9, 9)), BUTTON, Mark("input", "", (0, 0, 9, 9))])
    assert listed == '[0]: "Home";\t[1]: <button> "Say \'hi\' now";\t[2]: <input> "";'


def test_a_mark_at_the_edge_stays_on_the_picture() -> None:
    screen = Image.new("RGB", (20, 10), "white")
    assert draw_marks(screen, [Mark("a", "x", (18, 8, 20, 10))] * 120).size == (20, 10)
