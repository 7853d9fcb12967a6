"""Web pages: the same seed gives the same page, and boxes are where things are seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest

from training.materials import Materials
from training.screens import ROLES, Screen
from training.web.browser import Browser, open_browser
from training.web.colors import name_color
from training.web.instructions import describe
from training.web.kits import kit_names, load_kit
from training.web.pages import KINDS, Page, write_page

pytestmark = pytest.mark.browser
SIZE = (336, 252)
STYLE = "body{margin:0;background:#fff;font:16px sans-serif} .box{position:absolute}"


class InThread:
    """A browser in a thread of its own.

    Playwright's loop runs in the thread of the tests once another browser test began there.
    """

    def __init__(self, thread: Executor, browser: Browser) -> None:
        self._thread = thread
        self._browser = browser

    def show(self, page: Page) -> Screen:
        return self._thread.submit(self._browser.show, page).result()

    def lose_its_tab(self) -> None:
        self._thread.submit(self._browser._tab.close).result()


@pytest.fixture(scope="module")
def browser() -> Iterator[InThread]:
    with ThreadPoolExecutor(1) as thread:
        opened = open_browser()
        yield InThread(thread, thread.submit(opened.__enter__).result())
        thread.submit(opened.__exit__, None, None, None).result()


def show(browser: InThread, body: str) -> Screen:
    html = f"<!doctype html><style>{STYLE}</style><body>{body}</body>"
    return browser.show(Page(html, "sign_in", SIZE))


def marked(name: str, place: str, *, role: str = "button", fit: str = "border") -> str:
    mark = f'{{"role":"{role}","name":"{name}","fit":"{fit}","label":"","value":"","state":""'
    return f"<div class=box style='{place}' data-mark='{mark},\"icon\":\"\"}}'>{name}</div>"


def test_a_box_is_that_of_the_element(browser: InThread) -> None:
    place = "left:40px;top:30px;width:100px;height:50px;background:#00f"
    [element] = show(browser, marked("Save", place)).elements
    assert element.box == (40, 30, 140, 80)
    assert (element.role, element.name, element.color) == ("button", "Save", "blue")


def test_a_tab_that_no_longer_answers_is_replaced(browser: InThread) -> None:
    body = marked("Save", "left:40px;top:30px;width:100px;height:50px;background:#00f")
    before = show(browser, body)
    browser.lose_its_tab()
    after = show(browser, body)
    assert after.elements == before.elements
    assert np.array_equal(after.image, before.image)


def test_the_box_of_a_text_is_where_its_pixels_are(browser: InThread) -> None:
    place = "left:40px;top:30px;width:200px;font-size:20px"
    screen = show(browser, marked("HEXE", place, role="text", fit="text"))
    x0, y0, x1, y1 = screen.elements[0].box
    rows, columns = np.nonzero(screen.image.min(axis=-1) < 128)
    assert x1 < 140  # of the text, not of the 200 pixels around it
    assert x0 <= columns.min() <= x0 + 3
    assert x1 - 3 <= columns.max() <= x1
    assert y0 <= rows.min()
    assert rows.max() <= y1


def test_characters_are_where_their_pixels_are(browser: InThread) -> None:
    place = "left:40px;top:30px;font-size:20px;letter-spacing:6px"
    screen = show(browser, marked("I L", place, role="text", fit="text"))
    first, last = screen.characters
    assert (first.text, last.text) == ("I", "L")
    assert first.size == 20
    is_dark = screen.image.min(axis=-1) < 128
    for character in (first, last):
        part = is_dark[:, round(character.x0) : round(character.x1)]
        rows, _ = np.nonzero(part)
        assert abs(rows.mean() - character.center_y) < 5
    assert not is_dark[:, round(first.x1) : round(last.x0)].any()


def test_what_stands_in_a_field_has_characters_too(browser: InThread) -> None:
    body = (
        "<input type=text value=Ada style='position:absolute;left:50px;top:60px;padding:4px 9px'>"
    )
    screen = show(browser, body)
    assert "".join(character.text for character in screen.characters) == "Ada"
    columns = np.nonzero((screen.image.max(axis=-1) < 100)[66:80].any(axis=0))[0]
    inside = columns[(columns > 56) & (columns < 110)]
    assert abs(screen.characters[0].x0 - inside.min()) < 3
    assert abs(screen.characters[-1].x1 - inside.max()) < 3


@pytest.mark.parametrize(
    "hidden",
    [
        marked("Save", "left:500px;top:30px;width:80px;height:40px"),
        marked("Save", "left:300px;top:30px;width:100px;height:40px"),
        marked("Save", "left:40px;top:30px;width:80px;height:40px;visibility:hidden"),
        marked("Save", "left:40px;top:30px;width:80px;height:40px;color:#fff"),
        marked("Save", "left:40px;top:30px;width:80px;height:40px")
        + "<div class=box style='left:0;top:0;width:200px;height:200px;background:#eee'></div>",
        "<div class=box style='width:60px;height:200px;overflow:hidden'>"
        + marked("Save", "left:40px;top:30px;width:80px;height:40px")
        + "</div>",
    ],
    ids=["outside", "cut by the window", "hidden", "white on white", "covered", "cut by a parent"],
)
def test_what_nobody_sees_is_no_element(browser: InThread, hidden: str) -> None:
    seen = marked("Open", "left:10px;top:210px;width:80px;height:30px;background:#ccc")
    assert [element.name for element in show(browser, hidden + seen).elements] == ["Open"]


def test_a_page_depends_on_its_seed_alone(materials: Materials) -> None:
    kit = load_kit("bootstrap", materials)
    pages = [write_page(seed, SIZE, kit, materials=materials).html for seed in (1, 2, 1)]
    assert pages[0] == pages[2]
    assert pages[0] != pages[1]


@pytest.mark.parametrize("name", ["bootstrap", "98"])
def test_pages_of_a_kit_have_things_to_find(
    browser: InThread, materials: Materials, name: str
) -> None:
    check_pages(browser, materials, name, KINDS[-2:], held_out=False)


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True])
def test_every_kind_of_page_in_every_kit_has_things_to_find(
    browser: InThread, materials: Materials, held_out: bool
) -> None:
    for name in kit_names(held_out=held_out):
        check_pages(browser, materials, name, KINDS, held_out=held_out)


def check_pages(
    browser: InThread, materials: Materials, name: str, kinds: tuple[str, ...], *, held_out: bool
) -> None:
    kit = load_kit(name, materials)
    for kind in kinds:
        page = write_page(5, SIZE, kit, materials=materials, kind=kind, held_out=held_out)
        screen = browser.show(page)
        assert (screen.width, screen.height) == SIZE
        assert len(screen.elements) >= 3, (name, kind)
        assert {element.role for element in screen.elements} <= {*ROLES}
        for element in screen.elements:
            x0, y0, x1, y1 = element.box
            assert 0 <= x0 < x1 <= SIZE[0]
            assert 0 <= y0 < y1 <= SIZE[1]
        targets = [*describe(screen, "page.png", name, 0)]
        asked = Counter(target.instruction.casefold() for target in targets)
        assert max(asked.values()) == 1, asked.most_common(1)


def test_kits_of_training_are_not_those_of_evaluation() -> None:
    assert not {*kit_names(held_out=False)} & {*kit_names(held_out=True)}
    assert kit_names(held_out=True)


def test_a_kit_that_there_is_not_is_named(materials: Materials) -> None:
    with pytest.raises(ValueError, match="no kit 'tailwind'; there are bootstrap"):
        load_kit("tailwind", materials)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((13, 110, 253), "blue"),
        ((220, 53, 69), "red"),
        ((255, 193, 7), "yellow"),
        ((25, 135, 84), "green"),
        ((111, 66, 193), "purple"),
        ((128, 128, 128), ""),
        ((255, 255, 255), ""),
        (None, ""),
    ],
)
def test_colours_are_called_as_people_do(rgb: tuple[int, int, int] | None, name: str) -> None:
    assert name_color(rgb) == name
