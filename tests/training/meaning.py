"""What words mean on a screen, read by brute force, apart from how the tasks choose them."""

from __future__ import annotations

import re
from collections.abc import Callable

from training.screens.screen import Element, Screen
from training.tasks.names import ALIASES, INTERACTIVE, SYNONYMS
from training.tasks.places import region_of
from training.tasks.scene import fold

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
Choose = Callable[[list[Element], re.Match[str], Screen], list[Element]]


def plain_words(phrase: str) -> str:
    """A phrase without quotes, case, article, and the stops between its words."""
    text = re.sub(r"^['\"“]|(?<= )['\"“]|['\"”](?= |$)|…", "", phrase.lower())
    return _without_stops(text.removeprefix("the "))


def _without_stops(text: str) -> str:
    return fold(re.sub(r"[.:]+(?= |$)", "", text))


def all_texts(element: Element) -> set[str]:
    """What is written on an element or beside it, in words as `plain_words` gives them."""
    texts = () if element.role == "icon" else (element.name, element.label, element.value)
    return {_without_stops(text) for text in texts} - {""}


def icon_words(element: Element) -> set[str]:
    """What the icon is called that an element is or holds."""
    concept = element.name if element.role == "icon" else element.icon
    return set(SYNONYMS.get(concept, ()))


def _fits(plain: str, element: Element) -> bool:
    """Whether a person could call an element so, by its text or its icon and its kind."""
    kinds = [*ALIASES[element.role], *(["button"] if element.role == "icon" else [])]
    forms = ("{n} {k}", "{k} for {n}", "{k} labelled {n}", "{k} named {n}", "{k} that says {n}",
             "{k} with the text {n}", "{k} below {n}", "{k} next to {n}")  # fmt: skip
    for name in all_texts(element) | icon_words(element):
        if plain == name or plain in (f"{name} icon" for name in icon_words(element)):
            return True
        if any(plain == form.format(n=name, k=kind) for form in forms for kind in kinds):
            return True
    return False


def meant_by_name(phrase: str, screen: Screen) -> Element | None:
    """What a phrase means: the only thing it fits, or the only one of them that can be used."""
    plain = plain_words(phrase)
    fitting = [e for e in screen.elements if _fits(plain, e)]
    if len(fitting) > 1:
        fitting = [e for e in fitting if e.role in INTERACTIVE]
    return fitting[0] if len(fitting) == 1 else None


def _middle(element: Element, axis: int) -> float:
    return (element.box[axis] + element.box[axis + 2]) / 2


def _candidates(noun: str, screen: Screen) -> list[Element]:
    """All elements of a kind, of a colour and a kind, or of a name and a kind."""
    found = []
    for element in screen.elements:
        for alias in ALIASES[element.role]:
            name = _without_stops(element.label or element.name)
            heads = {"", element.color, name, f"{element.color} {name}"}
            if plain_words(noun) in {f"{head} {alias}".strip() for head in heads}:
                found.append(element)
                break
    return found


def meant_by_reference(phrase: str, screen: Screen) -> Element | None:
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
    ordered = sorted(members, key=lambda e: _middle(e, 1))
    pairs = zip(ordered, ordered[1:], strict=False)
    if not all(above.box[3] - 3 <= below.box[1] for above, below in pairs):
        ordered = sorted(members, key=lambda e: _middle(e, 0))
    index = len(ordered) - 1 if match["number"] == "last" else ORDINALS.index(match["number"])
    return ordered[index : index + 1]


def _in_region(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    return [e for e in members if region_of(e, screen) == match["region"]]


def _with_state(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    state = match["state"].removeprefix("turned ")
    state = "unchecked" if state == "not checked" else state
    return [e for e in members if e.state == state]


def _by_neighbour(members: list[Element], match: re.Match[str], screen: Screen) -> list[Element]:
    marks = [e for e in screen.elements if plain_words(match["mark"]) in all_texts(e)]
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
    (r"the leftmost (?P<noun>.+)", _outermost(0, 1)),
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
