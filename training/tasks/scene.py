"""What a task knows when it asks: the screen, its elements by what they are called, and chance."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.screens.screen import Element, Screen
from training.tasks.names import (
    ALIASES,
    FIELDS,
    INTERACTIVE,
    POSSIBLE_ICONS,
    SYNONYMS,
    TEXT_WORDS,
    WITHOUT_TEXT,
)

THINKING_SHARE = 0.4


def fold(text: str) -> str:
    """Return what two texts that a person would call the same have in common."""
    return " ".join(text.casefold().split()).rstrip("….:").strip()


def texts_of(element: Element) -> tuple[str, ...]:
    """Return the texts, as drawn, by which a person can call an element that is no icon."""
    if element.role == "icon":
        return ()
    return tuple(dict.fromkeys(t for t in (element.label, element.name, element.value) if t))


def called(element: Element) -> str:
    """Return the name that a person would use first: of fields the label."""
    return element.label or element.name


def shown_text(element: Element) -> str:
    """Return what is written inside an element: nothing in icons, in fields their content."""
    if element.role in WITHOUT_TEXT:
        return ""
    return element.value if element.role in FIELDS else element.name


def is_legible(text: str) -> bool:
    """Tell whether a text can be read aloud: not only dots, arrows or the like."""
    return any(character.isalnum() for character in text)


def capitalized(text: str) -> str:
    """Return a sentence with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def contains(text: str, part: str) -> bool:
    """Tell whether the words of a folded ``part`` stand in a folded text, without gaps."""
    return f" {part} " in f" {text} "


class Scene:
    """A screen that questions are asked about, and who could be meant by what words.

    Args:
        others: screens of the same kind; what they name and this one does not, is asked for in
            vain.
        is_short: short questions only, and no thoughts: the beginning of training.
    """

    def __init__(
        self,
        screen: Screen,
        rng: random.Random,
        *,
        others: Sequence[Screen] = (),
        is_short: bool = False,
        thinking_share: float = THINKING_SHARE,
    ) -> None:
        self.screen = screen
        self.rng = rng
        self.others = [other for other in others if other is not screen]
        self.is_short = is_short
        self._thinking_share = 0.0 if is_short else thinking_share

    def thinks(self, share: float = 1.0) -> bool:
        """Decide whether a turn has a thought; ``share`` of what is usual."""
        return self.rng.random() < self._thinking_share * share

    @cached_property
    def texts(self) -> dict[str, list[Element]]:
        """Elements that are no icons, by each of their folded texts."""
        found: dict[str, list[Element]] = {}
        for element in self.screen.elements:
            for text in {fold(text) for text in texts_of(element) if is_legible(text)} - {""}:
                found.setdefault(text, []).append(element)
        return found

    @cached_property
    def icons(self) -> dict[str, list[Element]]:
        """Elements that are an icon, or hold one or may do so, by all that it may be called."""
        found: dict[str, list[Element]] = {}
        for element in self.screen.elements:
            concepts = [element.name if element.role == "icon" else element.icon]
            concepts += POSSIBLE_ICONS.get(element.role, ())
            for concept in filter(None, dict.fromkeys(concepts)):
                for word in SYNONYMS.get(concept, (concept,)):
                    found.setdefault(word, []).append(element)
        return found

    @cached_property
    def aliases(self) -> dict[str, list[Element]]:
        """Elements by everything that their role is called."""
        found: dict[str, list[Element]] = {}
        for element in self.screen.elements:
            for alias in ALIASES[element.role]:
                found.setdefault(alias, []).append(element)
        return found

    def count_characters(self, element: Element) -> int:
        """Count the drawn characters, spaces apart, whose middle lies in an element's box."""
        x, y = self._character_places
        x0, y0, x1, y1 = element.box
        return int(((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).sum())

    @cached_property
    def _character_places(self) -> NDArray[np.float64]:
        """(2, characters): the middle of each, pixels."""
        places = [((c.x0 + c.x1) / 2, c.center_y) for c in self.screen.characters]
        return np.array(places, np.float64).reshape(-1, 2).T

    @cached_property
    def hosts(self) -> list[Element]:
        """Elements that hold an icon somewhere inside."""
        return [element for element in self.screen.elements if element.icon]

    @cached_property
    def bare_icons(self) -> list[Element]:
        """Elements that are icons, not those that hold one."""
        return [element for element in self.screen.elements if element.role == "icon"]

    @cached_property
    def named(self) -> list[Element]:
        """Elements that are no icons and have a text to be called by."""
        elements = self.screen.elements
        return [e for e in elements if e.role != "icon" and is_legible(called(e))]

    def meant_by(self, name: str) -> Element | None:
        """Return the only element that a name alone can mean, if there is one.

        Of a label and what it labels the one that can be used is meant, and so is the only usable
        one of any elements with the same name.
        """
        name = fold(name)
        bearers = self.texts.get(name, [])
        if any(holder not in bearers for holder in self.icons.get(name, [])):
            return None
        if len(bearers) == 1:
            return bearers[0]
        usable = [e for e in bearers if e.role in INTERACTIVE]
        by_content = [e for e in bearers if name not in (fold(e.name), fold(e.label))]
        return usable[0] if len(usable) == 1 and not by_content else None

    def meant_by_kind(self, name: str, alias: str) -> Element | None:
        """Return the only element that a name and a kind can mean, if there is one."""
        name = fold(name)
        bearers = self.texts.get(name, [])
        found = [e for e in bearers if alias in ALIASES[e.role]]
        if len(found) != 1 or (alias in TEXT_WORDS and len(bearers) > 1):
            return None
        # a row with a search icon is a search row, and an icon to press is a button
        for other in self.icons.get(name, []):
            kinds = ("button",) if other.role == "icon" else ALIASES[other.role]
            if other is not found[0] and alias in kinds:
                return None
        return found[0]

    def meant_by_icon(self, word: str) -> Element | None:
        """Return the only icon that a word can mean, if there is one."""
        holders = self.icons.get(word, [])
        return holders[0] if len(holders) == 1 and holders[0].role == "icon" else None

    def is_absent(self, name: str) -> bool:
        """Tell whether a name means nothing here, not even as a part of a text or the reverse."""
        name = fold(name)
        if not name or name in self.icons:
            return False
        return not any(contains(name, text) or contains(text, name) for text in self._all_texts)

    def is_icon_absent(self, concept: str) -> bool:
        """Tell whether neither an icon nor a text here is called what a concept is called."""
        return all(
            word not in self.icons and not any(contains(text, word) for text in self._all_texts)
            for word in SYNONYMS[concept]
        )

    @cached_property
    def _all_texts(self) -> list[str]:
        """Every folded text, the title included."""
        return [text for text in {*self.texts, fold(self.screen.title)} if text]

    def shuffled(self, elements: Sequence[Element]) -> Iterator[Element]:
        """Yield elements in random order, each drawn when it is needed."""
        left = list(elements)
        while left:
            index = self.rng.randrange(len(left))
            left[index], left[-1] = left[-1], left[index]
            yield left.pop()
