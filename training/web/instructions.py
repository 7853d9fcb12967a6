"""Elements of a screen -> instructions that say which one is meant, as a person would."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from training.folders import Target
from training.screens import Element, Screen
from training.tasks.names import INTERACTIVE
from training.tasks.scene import called

_ROLE_SHARE = 0.25  # of instructions that name what it is, where the text would do


def describe(screen: Screen, picture: str, source: str, seed: int) -> Iterator[Target]:
    """Yield what can be asked for on a screen: each named element that its name tells apart."""
    rng = random.Random(seed)
    for element in _telling(screen):
        kind = "icon" if element.role == "icon" else "text"
        yield Target(picture, _phrase(element, rng), element.box, kind, source, element.role)


def _telling(screen: Screen) -> Iterator[Element]:
    """Yield the elements whose name is theirs alone; what can be used goes before what is read."""
    named = [element for element in screen.elements if called(element)]
    usable = Counter(_key(element) for element in named if _is_usable(element))
    all_uses = Counter(map(_key, named))
    inside = {element.icon for element in screen.elements if element.icon}
    for element in named:
        if element.role == "icon" and element.name in inside:
            continue
        uses = usable if _is_usable(element) else all_uses
        if uses[_key(element)] == 1:
            yield element


def _is_usable(element: Element) -> bool:
    return element.role in INTERACTIVE


def _key(element: Element) -> tuple[bool, str]:
    return (element.role == "icon", called(element).casefold())


def _phrase(element: Element, rng: random.Random) -> str:
    name = called(element)
    if element.role == "icon":
        return f"{name} icon"
    if element.role in ("text field", "dropdown", "slider"):
        kind = "field" if element.role == "text field" else element.role
        return f"{name} {kind}"
    if element.role in ("text", "cell", "heading", "alert") or rng.random() > _ROLE_SHARE:
        return name
    return f"the {name} {element.role}"
