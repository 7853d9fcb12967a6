"""Questions whose answer is in words: what is written somewhere, what kind of thing it is."""

from __future__ import annotations

from training.screens.screen import Element
from training.tasks.names import FIELDS
from training.tasks.phrases import by_text
from training.tasks.places import middle
from training.tasks.references import reference_phrase
from training.tasks.scene import Scene, fold, is_legible, shown_text
from training.tasks.thoughts import think_while_reading
from training.tasks.turn import Turn, write_box
from training.tasks.wording import (
    ICON_ANSWER,
    ICON_OF_BOX,
    IS_STATE,
    NO,
    READ_BOX,
    READ_REFERENCE,
    READ_VALUE,
    ROLE_OF_BOX,
    YES,
)

_OPPOSITE = {"unchecked": "checked", "off": "on"}


def ask_reading(scene: Scene) -> Turn | None:
    """Ask what is written in a box, or on something that is named by its place."""
    if not scene.is_short and scene.rng.random() < 0.3:
        return _read_reference(scene)
    elements = scene.shuffled(scene.screen.elements)
    element = next((e for e in elements if is_readable(scene, e)), None)
    if element is None:
        return None
    question = scene.rng.choice(READ_BOX).format(write_box(element.box, scene.screen))
    return reading_turn(scene, question, element)


def is_readable(scene: Scene, element: Element) -> bool:
    """Tell whether an element has a text, and no other text stands inside its box."""
    text = shown_text(element)
    if not is_legible(text):
        return False
    if scene.screen.characters:
        return scene.count_characters(element) == len(text.replace(" ", ""))
    return not any(
        other is not element and _is_inside(other, element) and shown_text(other) not in ("", text)
        for other in scene.screen.elements
    )


def reading_turn(scene: Scene, question: str, element: Element) -> Turn:
    """Answer with what is written in an element."""
    thought = think_while_reading(scene.screen, element) if scene.thinks(0.5) else None
    return Turn("reading", question, shown_text(element), thought, element)


def _read_reference(scene: Scene) -> Turn | None:
    """Read what is named by its place, or the content of a field that is named by its label."""
    fields = [e for e in scene.screen.elements if e.role in FIELDS and e.label and e.value]
    if fields and scene.rng.random() < 0.4:
        element = scene.rng.choice(fields)
        phrase = by_text(scene, element)
        if phrase is not None:
            return reading_turn(scene, scene.rng.choice(READ_VALUE).format(phrase), element)
    found = reference_phrase(scene)
    if found is None or not is_readable(scene, found[1]):
        return None
    phrase, element = found
    is_told = fold(shown_text(element)) in fold(phrase)
    if is_told:
        return None
    return reading_turn(scene, scene.rng.choice(READ_REFERENCE).format(phrase), element)


def ask_role(scene: Scene) -> Turn | None:
    """Ask what kind of element is in a box."""
    element = _pick(scene, [e for e in scene.screen.elements if _is_only_box(scene, e)])
    if element is None:
        return None
    question = scene.rng.choice(ROLE_OF_BOX).format(write_box(element.box, scene.screen))
    thought = think_while_reading(scene.screen, element) if scene.thinks(0.3) else None
    return Turn("role", question, element.role, thought, element)


def ask_icon_name(scene: Scene) -> Turn | None:
    """Ask which icon is in a box."""
    element = _pick(scene, scene.bare_icons)
    if element is None:
        return None
    question = scene.rng.choice(ICON_OF_BOX).format(write_box(element.box, scene.screen))
    thought = think_while_reading(scene.screen, element) if scene.thinks(0.3) else None
    return Turn("icon name", question, ICON_ANSWER.format(element.name), thought, element)


def ask_state(scene: Scene) -> Turn | None:
    """Ask whether something is checked, on or selected."""
    stateful = [e for e in scene.named if e.state]
    # tabs that are not selected have no state of their own
    if any(e.role == "tab" and e.state for e in stateful):
        stateful += [e for e in scene.named if e.role == "tab" and not e.state]
    element = _pick(scene, stateful)
    phrase = None if element is None else by_text(scene, element)
    if element is None or phrase is None:
        return None
    wanted = _OPPOSITE.get(element.state, element.state) or "selected"
    question = scene.rng.choice(IS_STATE[wanted]).format(phrase)
    thought = think_while_reading(scene.screen, element) if scene.thinks(0.5) else None
    return Turn("state", question, YES if element.state == wanted else NO, thought, element)


def _pick(scene: Scene, elements: list[Element]) -> Element | None:
    return scene.rng.choice(elements) if elements else None


def _is_only_box(scene: Scene, element: Element) -> bool:
    """Tell whether no element of another role has nearly the same box."""
    return not any(
        other.role != element.role
        and all(abs(a - b) < 4 for a, b in zip(other.box, element.box, strict=True))
        for other in scene.screen.elements
    )


def _is_inside(inner: Element, outer: Element) -> bool:
    x, y = middle(inner.box, 0), middle(inner.box, 1)
    return outer.box[0] <= x <= outer.box[2] and outer.box[1] <= y <= outer.box[3]
