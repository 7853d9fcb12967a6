"""What a question asks for is the only thing on its screen that its words can mean."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from hand_made_screens import make_screen, random_screen
from meaning import all_texts, icon_words, meant_by_name, meant_by_reference, plain_words

from training.screens.screen import Element
from training.tasks.absence import absent_icon, absent_phrase, absent_text
from training.tasks.names import ALIASES
from training.tasks.phrases import field_phrase, icon_phrase, intent_of, text_phrase
from training.tasks.references import reference_phrase
from training.tasks.scene import Scene

SEEDS = range(80)


def _scenes() -> Iterator[Scene]:
    others = [random_screen(1000)]
    for seed in SEEDS:
        yield Scene(random_screen(seed), random.Random(seed), others=others)


def test_a_text_means_one_element() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(10):
            if found := text_phrase(scene):
                count += 1
                assert meant_by_name(found[0], scene.screen) is found[1], found[0]
    assert count > 400


def test_an_icon_means_one_icon() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(5):
            if found := icon_phrase(scene):
                count += 1
                assert found[1].role == "icon"
                assert meant_by_name(found[0], scene.screen) is found[1], found[0]
    assert count > 80


def test_a_field_means_one_field() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(5):
            if found := field_phrase(scene):
                count += 1
                assert found[1].role in ("text field", "dropdown")
                assert meant_by_name(found[0], scene.screen) is found[1], found[0]
    assert count > 80


def test_a_field_below_a_label_is_below_it() -> None:
    label = Element("text", (10, 40, 60, 54), "Email")
    below = Element("text field", (10, 58, 200, 80), "Email", label="Email")
    beside = Element("text field", (80, 38, 200, 56), "Email", label="Email")
    for field, word in ((below, "below"), (beside, "next to")):
        scene = Scene(make_screen(label, field), random.Random(0))
        words = {phrase[0] for _ in range(60) if (phrase := field_phrase(scene))}
        assert any(f" {word} " in phrase for phrase in words)
        assert not any({"below": " next to ", "next to": " below "}[word] in p for p in words)


def test_what_an_icon_is_for_is_asked_only_if_no_text_offers_it() -> None:
    icon, button = (
        Element("icon", (0, 0, 20, 20), "trash"),
        Element("button", (0, 40, 90, 60), "OK"),
    )
    assert intent_of(Scene(make_screen(icon, button), random.Random(0)), icon)
    rival = Element("button", (0, 70, 90, 90), "Delete file")
    assert intent_of(Scene(make_screen(icon, button, rival), random.Random(0)), icon) is None


# -- references -----------------------------------------------------------------------------------


def test_a_reference_means_one_element() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(10):
            if found := reference_phrase(scene):
                count += 1
                assert meant_by_reference(found[0], scene.screen) is found[1], found[0]
    assert count > 500


@pytest.mark.parametrize(
    "words",
    ["leftmost", "far right", "topmost", "at the bottom", "second", "last", "in the bottom left",
     "red", "checked", "that is on", "selected", "next to", "below", "above"],
)  # fmt: skip
def test_references_of_every_kind_are_made(words: str) -> None:
    phrases = (found[0] for s in _scenes() for _ in range(10) if (found := reference_phrase(s)))
    assert any(words in phrase for phrase in phrases)


def test_two_elements_near_the_edge_of_a_region_are_not_told_apart_by_it() -> None:
    above, below = (Element("button", (10, y, 60, y + 20), "") for y in (96, 110))
    scene = Scene(make_screen(above, below), random.Random(0))
    phrases = {found[0] for _ in range(100) if (found := reference_phrase(scene))}
    assert not any("left" in phrase and "most" not in phrase for phrase in phrases)


def test_an_icon_is_not_first_while_rows_hold_icons_of_their_own() -> None:
    row = Element("list item", (0, 100, 252, 130), "Wi-Fi", icon="wifi")
    icon = Element("icon", (220, 105, 240, 125), "more")
    scene = Scene(make_screen(row, icon), random.Random(0))
    phrases = {found[0] for _ in range(200) if (found := reference_phrase(scene))}
    assert not any("icon" in phrase for phrase in phrases)


# -- what is not there ----------------------------------------------------------------------------


def test_what_is_asked_for_in_vain_stands_nowhere_on_the_screen() -> None:
    count = 0
    for scene in _scenes():
        shown = {text for e in scene.screen.elements for text in all_texts(e)}
        for _ in range(5):
            phrase = absent_text(scene)
            if phrase is None:
                continue
            count += 1
            plain = plain_words(phrase)
            assert not any(re.search(rf"\b{re.escape(text)}\b", plain) for text in shown), phrase
            name = _without_kind(plain)
            assert not any(f" {name} " in f" {text} " for text in shown), phrase
            assert not any(plain in icon_words(e) for e in scene.screen.elements)
    assert count > 150


def _without_kind(plain: str) -> str:
    """The name in a phrase such as "save button" or "button named save"."""
    kinds = "|".join(sorted({a for names in ALIASES.values() for a in names}, key=len)[::-1])
    named = re.sub(rf"^({kinds}) (for|labelled|named|that says|with the text) ", "", plain)
    return named if named != plain else re.sub(rf" ({kinds})$", "", plain)


def test_an_icon_that_is_asked_for_in_vain_is_not_there_under_any_name() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(3):
            phrase = absent_icon(scene)
            if phrase is None:
                continue
            count += 1
            word = re.sub(" (icon|button)$", "", plain_words(phrase))
            for element in scene.screen.elements:
                assert word not in icon_words(element)
                assert not any(f" {word} " in f" {text} " for text in all_texts(element))
    assert count > 150


def test_no_phrase_for_what_is_not_there_means_anything() -> None:
    for scene in _scenes():
        for _ in range(5):
            phrase = absent_phrase(scene)
            assert phrase is None or meant_by_name(phrase, scene.screen) is None, phrase


def test_a_name_that_differs_in_one_word_is_not_there() -> None:
    scene = Scene(
        make_screen(Element("button", (0, 0, 90, 30), "Save draft")),
        random.Random(0),
        others=[make_screen(Element("button", (0, 0, 90, 30), "Delete report"))],
    )
    phrases = {plain_words(phrase) for _ in range(200) if (phrase := absent_text(scene))}
    assert any("save report" in phrase for phrase in phrases)
    assert any("delete draft" in phrase for phrase in phrases)
    assert not any("save draft" in phrase for phrase in phrases)


def test_icons_are_asked_for_in_vain_while_others_are_there() -> None:
    scene = Scene(make_screen(Element("icon", (0, 0, 20, 20), "heart")), random.Random(0))
    words = {plain_words(phrase) for _ in range(300) if (phrase := absent_icon(scene))}
    assert "star icon" in words
    # a thumb is called "like" too
    assert not any("thumbs" in word or "like" in word or "heart" in word for word in words)
