"""What a question asks for is the only thing on its screen that its words can mean.

The words are read here by brute force, apart from how the tasks choose them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import pytest
from hand_made_screens import make_screen, random_screen

from training.screens.screen import Element, Screen
from training.tasks.absence import absent_icon, absent_phrase, absent_text
from training.tasks.names import ALIASES, INTERACTIVE, SYNONYMS
from training.tasks.phrases import field_phrase, icon_phrase, intent_of, text_phrase
from training.tasks.references import reference_phrase, region_of
from training.tasks.scene import Scene, fold

SEEDS = range(150)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def _scenes() -> Iterator[Scene]:
    others = [random_screen(1000)]
    for seed in SEEDS:
        yield Scene(random_screen(seed), random.Random(seed), others=others)


def _plain(phrase: str) -> str:
    """A phrase without quotes, case and article."""
    text = re.sub(r"^['\"“]|(?<= )['\"“]|['\"”](?= |$)|…", "", phrase.lower())
    return fold(text.removeprefix("the "))


def _texts(element: Element) -> set[str]:
    texts = () if element.role == "icon" else (element.name, element.label, element.value)
    return {fold(text) for text in texts} - {""}


def _icon_words(element: Element) -> set[str]:
    concept = element.name if element.role == "icon" else element.icon
    return set(SYNONYMS.get(concept, ()))


def _fits(plain: str, element: Element) -> bool:
    """Whether a person could call an element so, by its text or its icon and its kind."""
    kinds = [*ALIASES[element.role], *(["button"] if element.role == "icon" else [])]
    forms = ("{n} {k}", "{k} for {n}", "{k} labelled {n}", "{k} named {n}", "{k} that says {n}",
             "{k} with the text {n}", "{k} below {n}", "{k} next to {n}")  # fmt: skip
    for name in _texts(element) | _icon_words(element):
        if plain == name or plain in (f"{name} icon" for name in _icon_words(element)):
            return True
        if any(plain == form.format(n=name, k=kind) for form in forms for kind in kinds):
            return True
    return False


def _meant(phrase: str, screen: Screen) -> Element | None:
    """What a phrase means: the only thing it fits, or the only one of them that can be used."""
    plain = _plain(phrase)
    fitting = [e for e in screen.elements if _fits(plain, e)]
    if len(fitting) > 1:
        fitting = [e for e in fitting if e.role in INTERACTIVE]
    return fitting[0] if len(fitting) == 1 else None


def test_a_text_means_one_element() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(10):
            if found := text_phrase(scene):
                count += 1
                assert _meant(found[0], scene.screen) is found[1], found[0]
    assert count > 800


def test_an_icon_means_one_icon() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(5):
            if found := icon_phrase(scene):
                count += 1
                assert found[1].role == "icon"
                assert _meant(found[0], scene.screen) is found[1], found[0]
    assert count > 150


def test_a_field_means_one_field() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(5):
            if found := field_phrase(scene):
                count += 1
                assert found[1].role in ("text field", "dropdown")
                assert _meant(found[0], scene.screen) is found[1], found[0]
    assert count > 150


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


Choose = Callable[[list[Element], re.Match[str], Screen], list[Element]]

# -- references -----------------------------------------------------------------------------------


def _middle(element: Element, axis: int) -> float:
    return (element.box[axis] + element.box[axis + 2]) / 2


def _candidates(noun: str, screen: Screen) -> list[Element]:
    """All elements of a kind, of a colour and a kind, or of a name and a kind."""
    found = []
    for element in screen.elements:
        for alias in ALIASES[element.role]:
            name = fold(element.label or element.name)
            heads = {"", element.color, name, f"{element.color} {name}"}
            if _plain(noun) in {f"{head} {alias}".strip() for head in heads}:
                found.append(element)
                break
    return found


def _refer(phrase: str, screen: Screen) -> Element | None:
    """What a reference means, or None if that is not clear."""
    for pattern, choose in _READERS:
        match = re.fullmatch(pattern, phrase)
        if match is None:
            continue
        members = _candidates(match["noun"], screen)
        found = choose(members, match, screen) if members else []
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _outermost(axis: int, sign: int) -> Choose:
    def choose(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
        ordered = sorted(members, key=lambda e: sign * _middle(e, axis))
        gap = abs(_middle(ordered[0], axis) - _middle(ordered[1], axis)) if ordered[1:] else 99
        return ordered[:1] if gap > 10 else []

    return choose


def _by_number(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    rows = max(_middle(e, 1) for e in members) - min(_middle(e, 1) for e in members)
    columns = max(_middle(e, 0) for e in members) - min(_middle(e, 0) for e in members)
    ordered = sorted(members, key=lambda e: _middle(e, 1 if rows > columns else 0))
    index = len(ordered) - 1 if match["number"] == "last" else ORDINALS.index(match["number"])
    return ordered[index : index + 1]


def _in_region(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    return [e for e in members if region_of(e, screen) == match["region"]]


def _with_state(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    state = match["state"].removeprefix("turned ")
    state = "unchecked" if state == "not checked" else state
    return [e for e in members if e.state == state]


def _by_neighbour(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    marks = [e for e in screen.elements if _plain(match["mark"]) in _texts(e)]
    if len(marks) != 1:
        return []
    (mark,) = marks
    members = [e for e in members if e is not mark]
    if match["word"] == "next to":
        return [e for e in members if e.box[1] < mark.box[3] and mark.box[1] < e.box[3]]
    sign = 1 if match["word"] == "below" else -1
    side = [e for e in members if sign * (_middle(e, 1) - _middle(mark, 1)) > 0]
    side = [e for e in side if e.box[0] < mark.box[2] and mark.box[0] < e.box[2]]
    return sorted(side, key=lambda e: sign * _middle(e, 1))[:1]


def _every(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    return members


_REGION = r"(?P<region>(?:top|middle|bottom) (?:left|center|right)|center)"
_STATE = r"(?P<state>(?:turned )?(?:on|off)|checked|not checked|unchecked|selected)"
_READERS = (
    (
        r"the leftmost (?P<noun>.+)|the (?P<noun2>.+) on the far left".split("|")[0],
        _outermost(0, 1),
    ),
    (r"the (?P<noun>.+) on the far left", _outermost(0, 1)),
    (r"the rightmost (?P<noun>.+)", _outermost(0, -1)),
    (r"the (?P<noun>.+) on the far right", _outermost(0, -1)),
    (r"the topmost (?P<noun>.+)", _outermost(1, 1)),
    (r"the (?P<noun>.+) at the top", _outermost(1, 1)),
    (r"the lowest (?P<noun>.+)", _outermost(1, -1)),
    (r"the (?P<noun>.+) at the bottom", _outermost(1, -1)),
    (rf"the (?P<number>{'|'.join(ORDINALS)}|last) (?P<noun>.+)", _by_number),
    (rf"the {_REGION} (?P<noun>.+)", _in_region),
    (rf"the (?P<noun>.+) in the {_REGION}", _in_region),
    (rf"the (?P<noun>.+) that is {_STATE}", _with_state),
    (rf"the {_STATE} (?P<noun>.+)", _with_state),
    (r"the (?P<noun>.+) (?P<word>below|above|next to) (?P<mark>.+)", _by_neighbour),
    (r"the (?P<noun>.+)", _every),
)


def test_a_reference_means_one_element() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(10):
            if found := reference_phrase(scene):
                count += 1
                assert _refer(found[0], scene.screen) is found[1], found[0]
    assert count > 1000


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
        shown = {text for e in scene.screen.elements for text in _texts(e)}
        for _ in range(5):
            phrase = absent_text(scene)
            if phrase is None:
                continue
            count += 1
            plain = _plain(phrase)
            assert not any(re.search(rf"\b{re.escape(text)}\b", plain) for text in shown), phrase
            name = re.sub(r" (button|link|tab|icon|row|field|checkbox|switch|text)$", "", plain)
            assert not any(f" {name} " in f" {text} " for text in shown), phrase
            assert not any(plain in _icon_words(e) for e in scene.screen.elements)
    assert count > 300


def test_an_icon_that_is_asked_for_in_vain_is_not_there_under_any_name() -> None:
    count = 0
    for scene in _scenes():
        for _ in range(3):
            phrase = absent_icon(scene)
            if phrase is None:
                continue
            count += 1
            word = _plain(phrase).removesuffix(" icon")
            for element in scene.screen.elements:
                assert word not in _icon_words(element)
                assert not any(f" {word} " in f" {text} " for text in _texts(element))
    assert count > 300


def test_no_phrase_for_what_is_not_there_means_anything() -> None:
    for scene in _scenes():
        for _ in range(5):
            phrase = absent_phrase(scene)
            assert phrase is None or _meant(phrase, scene.screen) is None, phrase


def test_a_name_that_differs_in_one_word_is_not_there() -> None:
    scene = Scene(
        make_screen(Element("button", (0, 0, 90, 30), "Save draft")),
        random.Random(0),
        others=[make_screen(Element("button", (0, 0, 90, 30), "Delete report"))],
    )
    phrases = {_plain(phrase) for _ in range(200) if (phrase := absent_text(scene))}
    assert any("save report" in phrase for phrase in phrases)
    assert any("delete draft" in phrase for phrase in phrases)
    assert not any("save draft" in phrase for phrase in phrases)


def test_icons_are_asked_for_in_vain_while_others_are_there() -> None:
    scene = Scene(make_screen(Element("icon", (0, 0, 20, 20), "heart")), random.Random(0))
    words = {_plain(phrase) for _ in range(300) if (phrase := absent_icon(scene))}
    assert "star icon" in words
    # a thumb is called "like" too
    assert not any("thumbs" in word or "like" in word or "heart" in word for word in words)
