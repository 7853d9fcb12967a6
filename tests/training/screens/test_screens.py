"""Whole screens: repeatable, within their bounds, readable where they say so."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import pytest

from training.materials import Materials
from training.screens import (
    CONCEPTS,
    ROLES,
    SIZES,
    Character,
    Element,
    Screen,
    render,
    render_page_of_text,
)
from training.screens.phrases import is_held_out
from training.screens.rendering import PAGES

SEEDS = 80
# roles whose name is all that is written inside their box
WRITTEN = ("text", "heading", "link", "badge", "tab", "cell", "column header", "button")


def size_of(seed: int) -> tuple[int, int]:
    group = ("tiny", "small", "middle", "large")[seed % 4]
    return random.Random(seed).choice(SIZES[group])


@pytest.fixture(scope="module")
def screens(materials: Materials) -> list[Screen]:
    return [render(seed, size_of(seed), materials=materials) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def held_out_screens(materials: Materials) -> list[Screen]:
    return [
        render(seed, size_of(seed), materials=materials, held_out=True)
        for seed in range(SEEDS // 2)
    ]


def digest(screen: Screen) -> str:
    known = repr((screen.elements, screen.characters, screen.kind, screen.title, screen.is_dark))
    return hashlib.sha256(screen.image.tobytes() + known.encode()).hexdigest()


def inside(screen: Screen, element: Element) -> str:
    """Return what is written in an element's box, without spaces."""
    x0, y0, x1, y1 = element.box

    def holds(character: Character) -> bool:
        middle = (character.x0 + character.x1) / 2
        return x0 <= middle < x1 and y0 <= character.center_y < y1

    return "".join(character.text for character in screen.characters if holds(character))


def words_on(screens: Iterable[Screen]) -> set[str]:
    names = " ".join(
        f"{element.name} {element.value} {element.label}"
        for screen in screens
        for element in screen.elements
        if element.role != "icon" and not element.name.endswith("…")
    )
    # a word before an ellipsis may be cut
    return set(re.findall(r"[a-z]+(?![a-z…])", names.lower()))


def test_equal_arguments_give_equal_screens(materials: Materials) -> None:
    for seed in range(8):
        first = render(seed, size_of(seed), materials=materials)
        assert digest(first) == digest(render(seed, size_of(seed), materials=materials))


@pytest.mark.slow
def test_another_process_draws_the_same(materials: Materials) -> None:
    program = (
        "from test_screens import digest; from training.materials import Materials;"
        "from training.screens import render;"
        "print(digest(render(5, (252, 168), materials=Materials.load())))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"}
    environment["SIGHTLINE_MATERIALS"] = str(materials.folder)
    said = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == digest(render(5, (252, 168), materials=materials))


def test_seeds_and_held_out_screens_differ(materials: Materials) -> None:
    drawn = [render(seed, (224, 168), materials=materials) for seed in range(6)]
    drawn += [render(seed, (224, 168), materials=materials, held_out=True) for seed in range(6)]
    assert len({digest(screen) for screen in drawn}) == len(drawn)


def test_pictures_have_the_size_asked_for(screens: list[Screen]) -> None:
    for seed, screen in enumerate(screens):
        assert (screen.width, screen.height) == size_of(seed)
        assert screen.image.dtype == np.uint8
        assert screen.image.shape == (screen.height, screen.width, 3)


def test_sizes_that_are_not_whole_tokens_are_refused(materials: Materials) -> None:
    with pytest.raises(ValueError, match="300 x 168"):
        render(0, (300, 168), materials=materials)


def test_boxes_lie_inside_the_screen_and_are_not_empty(screens: list[Screen]) -> None:
    for screen in screens:
        assert screen.elements
        for element in screen.elements:
            x0, y0, x1, y1 = element.box
            assert 0 <= x0 < x1 - 3 and x1 <= screen.width
            assert 0 <= y0 < y1 - 3 and y1 <= screen.height


def test_roles_and_concepts_are_known_ones(screens: list[Screen]) -> None:
    for screen in screens:
        for element in screen.elements:
            assert element.role in ROLES
            assert element.icon in ("", *CONCEPTS)
            if element.role == "icon":
                assert element.name in CONCEPTS


@pytest.mark.slow
def test_every_role_kind_and_icon_appears(screens: list[Screen], materials: Materials) -> None:
    missing = {*ROLES, *PAGES, *CONCEPTS}
    for screen in screens:
        missing -= appearing(screen)
    for seed in range(SEEDS, 6 * SEEDS):
        if not missing:
            break
        missing -= appearing(render(seed, (224, 168), materials=materials))
    assert not missing


def appearing(screen: Screen) -> set[str]:
    icons = {element.name for element in screen.elements if element.role == "icon"}
    return {screen.kind, *icons, *(element.role for element in screen.elements)}


def test_an_element_holds_the_characters_of_its_name(screens: list[Screen]) -> None:
    for seed, screen in enumerate(screens):
        for element in screen.elements:
            if element.role in WRITTEN and element.name:
                name = element.name.replace(" ", "")
                assert inside(screen, element) == name, (seed, element)


def test_fields_hold_their_value(screens: list[Screen]) -> None:
    fields = [
        (screen, element)
        for screen in screens
        for element in screen.elements
        if element.role in ("text field", "dropdown")
    ]
    assert fields
    for screen, element in fields:
        assert inside(screen, element) == element.value.replace(" ", "")
        assert element.name == (element.label or element.value or "search") or not element.name


def test_characters_lie_on_the_screen(screens: list[Screen]) -> None:
    for screen in screens:
        for character in screen.characters:
            assert character.text.strip()
            assert 0 <= (character.x0 + character.x1) / 2 < screen.width
            assert 0 <= character.center_y < screen.height


@pytest.mark.slow
def test_held_out_words_are_on_held_out_screens_only(
    screens: list[Screen], held_out_screens: list[Screen]
) -> None:
    assert not {word for word in words_on(screens) if is_held_out(word)}
    kept = {word for word in words_on(held_out_screens) if is_held_out(word)}
    assert len(kept) > 100


def test_easy_screens_are_light(materials: Materials) -> None:
    drawn = [render(seed, (224, 168), materials=materials, easy=True) for seed in range(20)]
    assert not any(screen.is_dark for screen in drawn)


def test_the_easiest_pages_are_written_on_the_grid_of_patches(materials: Materials) -> None:
    for seed in range(10):
        page = render_page_of_text(seed, (168, 112), materials=materials, difficulty=0)
        assert len(page.characters) > 100
        assert {character.size for character in page.characters} == {12}
        assert {character.center_y % 14 for character in page.characters} == {7.5}


def test_hard_pages_have_many_sizes_and_lines_anywhere(materials: Materials) -> None:
    drawn = [
        render_page_of_text(seed, (168, 112), materials=materials, difficulty=1)
        for seed in range(10)
    ]
    characters = [character for page in drawn for character in page.characters]
    assert len({character.size for character in characters}) > 5
    assert len({character.center_y % 14 for character in characters}) > 20


def test_pages_of_text_hold_their_words(materials: Materials) -> None:
    for seed in range(10):
        page = render_page_of_text(seed, (168, 112), materials=materials, difficulty=0)
        for element in page.elements:
            if element.role == "text":
                assert element.name.replace(" ", "") in inside(page, element)


def test_difficulty_outside_its_range_is_refused(materials: Materials) -> None:
    with pytest.raises(ValueError, match=r"difficulty is 1\.5"):
        render_page_of_text(0, (112, 112), materials=materials, difficulty=1.5)
