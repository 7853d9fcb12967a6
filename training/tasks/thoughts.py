"""What the model thinks before an answer: what it is about, and where; short, as it is small."""

from __future__ import annotations

from training.screens.screen import Element, Screen
from training.tasks.names import COLORED, plural
from training.tasks.places import region_of
from training.tasks.scene import called
from training.tasks.turn import norm_center
from training.tasks.wording import THINK_ABSENT, THINK_COUNT, THINK_PLACE


def think_of(screen: Screen, element: Element) -> str:
    """Name the middle, the role, the name and the region of what was asked for."""
    kind = element.role
    if element.color and kind in COLORED:
        kind = f"{element.color} {kind}"
    words = f"{element.name} icon" if element.role == "icon" else f"{kind} '{called(element)}'"
    return _place(screen, element, words)


def think_while_reading(screen: Screen, element: Element) -> str:
    """Name the middle, the role and the region of what is to be read."""
    return _place(screen, element, element.role)


def think_of_absence(phrase: str) -> str:
    """Say that what was asked for is not there."""
    return THINK_ABSENT.format(phrase.removeprefix("the "))


def think_of_count(count: int, noun: str) -> str:
    """Say how many there are."""
    return THINK_COUNT.format(count, noun if count == 1 else plural(noun))


def _place(screen: Screen, element: Element, words: str) -> str:
    x, y = norm_center(element.box, screen)
    return THINK_PLACE.format(x, y, words, region_of(element, screen))
