"""What patches and image tokens show, against a slow and plain count of pixels."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hand_made_screens import make_screen, random_screen

from training.screens.icons import CONCEPTS
from training.screens.screen import PATCH, ROLES, Character, Element, Screen
from training.targets import CHARACTERS, COLUMNS, LETTER_PAIRS, letter_pairs, targets
from training.tasks.names import ALIASES, SYNONYMS

SIZE = (84, 56)  # 3 x 2 image tokens


def _patch_rows(screen: Screen) -> list[tuple[int, int]]:
    """(row, column) of each patch in the processor's order."""
    rows, columns = screen.height // PATCH, screen.width // PATCH
    return [
        (row + dy, column + dx)
        for row in range(0, rows, 2)
        for column in range(0, columns, 2)
        for dy in (0, 1)
        for dx in (0, 1)
    ]


def _some_characters(seed: int, size: tuple[int, int]) -> tuple[Character, ...]:
    rng = random.Random(seed)
    drawn = []
    for _ in range(40):
        x, height = rng.uniform(-4, size[0]), rng.uniform(6, 40)
        width = rng.uniform(0.5, height)
        letter = rng.choice([*CHARACTERS, "ß", "→"])
        drawn.append(Character(letter, x, x + width, rng.uniform(-5, size[1] + 5), height))
    return tuple(drawn)


def _columns_by_hand(screen: Screen) -> np.ndarray:
    """The character of each column of each patch, one after the other as they are drawn."""
    grid = np.zeros((screen.height // PATCH, screen.width // 2), int)
    for character in screen.characters:
        top = character.center_y - 0.45 * character.size
        bottom = character.center_y + 0.45 * character.size
        first = round(character.x0 / 2)
        last = max(round(character.x1 / 2), first + 1)
        for row in range(len(grid)):
            shared = min(bottom, row * PATCH + PATCH) - max(top, row * PATCH)
            for column in range(max(0, first), min(grid.shape[1], last)):
                if shared >= 0.4 * (bottom - top):
                    found = CHARACTERS.find(character.text)
                    grid[row, column] = found + 1 if found >= 0 else len(CHARACTERS) + 1
    return np.array([grid[r, c * COLUMNS : (c + 1) * COLUMNS] for r, c in _patch_rows(screen)])


@pytest.mark.parametrize("seed", range(5))
def test_columns_of_patches_hold_the_characters_drawn_there(seed: int) -> None:
    size = (112, 84)
    screen = make_screen(size=size, characters=_some_characters(seed, size))
    np.testing.assert_array_equal(targets(screen).characters, _columns_by_hand(screen))


def _owner_by_hand(screen: Screen, x: float, y: float) -> Element | None:
    """The element of the image token with its middle at (x, y)."""
    by_size = sorted(screen.elements, key=lambda e: (e.box[2] - e.box[0]) * (e.box[3] - e.box[1]))
    for element in by_size:
        x0, y0, x1, y1 = element.box
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        if abs(middle[0] - x) <= 14 and abs(middle[1] - y) <= 14:
            return element
    for element in by_size:
        x0, y0, x1, y1 = element.box
        if x0 <= x <= x1 and y0 <= y <= y1:
            return element
    return None


@pytest.mark.parametrize("seed", range(8))
def test_image_tokens_show_the_smallest_element_there(seed: int) -> None:
    screen = random_screen(seed)
    shown = targets(screen)
    columns = screen.width // 28
    for index in range(len(shown.role)):
        x, y = (index % columns + 0.5) * 28, (index // columns + 0.5) * 28
        owner = _owner_by_hand(screen, x, y)
        if owner is None:
            assert shown.role[index] == shown.icon[index] == 0
            assert not shown.box[index].any()
            assert not shown.letters[index].any()
            continue
        assert ROLES[shown.role[index] - 1] == owner.role
        sides = (screen.width, screen.height) * 2
        thousandths = [value / side * 1000 for value, side in zip(owner.box, sides, strict=True)]
        np.testing.assert_allclose(shown.box[index], np.clip(thousandths, 0, 999), rtol=1e-5)
        away = [
            math.asinh((value - middle) / 28)
            for value, middle in zip(owner.box, (x, y, x, y), strict=True)
        ]
        np.testing.assert_allclose(shown.offset[index], away, rtol=1e-4, atol=1e-5)
        concept = owner.name if owner.role == "icon" else owner.icon
        assert shown.icon[index] == (CONCEPTS.index(concept) + 1 if concept else 0)
        wanted = [] if owner.role == "icon" else sorted(set(letter_pairs(owner.name)))
        wanted = wanted if owner.name else []
        assert np.flatnonzero(shown.letters[index]).tolist() == wanted


def test_a_screen_without_elements_shows_nothing() -> None:
    shown = targets(make_screen(size=SIZE))
    assert shown.characters.shape == (24, COLUMNS)
    assert shown.letters.shape == (6, LETTER_PAIRS)
    assert not any(
        array.any()
        for array in (shown.characters, shown.role, shown.icon, shown.box, shown.letters)
    )


def test_a_small_element_is_shown_by_the_token_that_holds_its_middle() -> None:
    small, large = Element("icon", (2, 2, 8, 8), "search"), Element("alert", (0, 0, 84, 56), "x")
    shown = targets(make_screen(small, large, size=SIZE))
    assert ROLES[shown.role[0] - 1] == "icon"
    assert [ROLES[role - 1] for role in shown.role[1:]] == ["alert"] * 5


def test_letter_pairs_do_not_know_case_and_know_the_ends() -> None:
    assert letter_pairs("Save") == letter_pairs("SAVE")
    assert set(letter_pairs("ab")) != set(letter_pairs("ba"))
    assert len(letter_pairs("abc")) == 4


def test_every_role_and_every_icon_has_names() -> None:
    assert set(ALIASES) == set(ROLES)
    assert set(SYNONYMS) == set(CONCEPTS)
