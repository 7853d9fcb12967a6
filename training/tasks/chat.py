"""Conversations about one screen: two questions, sometimes three, that lean on each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from training.tasks.absence import absent_phrase, ask_absent
from training.tasks.listing import ask_caption
from training.tasks.locating import (
    ask_icon,
    ask_reference,
    ask_text,
    fill,
    located,
    locating_turn,
)
from training.tasks.phrases import Phrase, icon_phrase, text_phrase
from training.tasks.reading import ask_icon_name, ask_reading, is_readable, reading_turn
from training.tasks.references import reference_phrase
from training.tasks.scene import Scene, shown_text
from training.tasks.thoughts import think_of_absence, think_while_reading
from training.tasks.turn import NOT_THERE, Turn
from training.tasks.wording import FOLLOW_UP, WHAT_DOES_IT_SAY, WHAT_IS_IT, WHERE_IS_IT

_FIRST: tuple[tuple[Callable[[Scene], Turn | None], int], ...] = (
    (ask_text, 6),
    (ask_icon, 3),
    (ask_reference, 3),
    (ask_reading, 4),
    (ask_icon_name, 2),
    (ask_absent, 2),
    (ask_caption, 2),
)
_THIRD_SHARE = 0.2
_WEIGHTS = [weight for _, weight in _FIRST]


def ask_in_chat(scene: Scene) -> Turn | None:
    """Ask again about a screen that was asked about: the last question is the turn's own."""
    ask = scene.rng.choices([ask for ask, _ in _FIRST], _WEIGHTS)[0]
    first = ask(scene)
    if first is None:
        return None
    second = _about_it(scene, first) if scene.rng.random() < 0.4 else None
    second = second or _about_another(scene, first)
    if second is None:
        return None
    asked = [first, second]
    if scene.rng.random() < _THIRD_SHARE and (third := _about_another(scene, second)):
        asked.append(third)
    before = tuple((turn.question, turn.answer) for turn in asked[:-1])
    return replace(asked[-1], task="chat", before=before)


def _about_it(scene: Scene, first: Turn) -> Turn | None:
    """Ask something else about the element of the first question."""
    element, rng = first.element, scene.rng
    if element is None:
        return None
    if first.task in ("reading", "icon name"):
        return locating_turn(scene, "chat", rng.choice(WHERE_IS_IT), element)
    if is_readable(scene, element) and shown_text(element) not in first.question:
        return reading_turn(scene, rng.choice(WHAT_DOES_IT_SAY), element)
    if element.role in first.question:
        return None
    thought = think_while_reading(scene.screen, element) if scene.thinks() else None
    return Turn("chat", rng.choice(WHAT_IS_IT), element.role, thought, element)


def _about_another(scene: Scene, first: Turn) -> Turn | None:
    """Ask for another element, mostly in few words, or for one that is not there."""
    rng = scene.rng
    is_short = first.task not in ("reading", "icon name", "caption") and rng.random() < 0.75
    if rng.random() < 0.15:
        phrase = absent_phrase(scene)
        if phrase is None:
            return None
        question = fill(rng.choice(FOLLOW_UP), phrase)
        thought = think_of_absence(phrase) if scene.thinks() else None
        return Turn("chat", question, NOT_THERE, thought)
    finders: tuple[Callable[[Scene], Phrase | None], ...] = (
        text_phrase,
        icon_phrase,
        reference_phrase,
    )
    found = rng.choices(finders, (5, 2, 2))[0](scene)
    if found is None or found[1] is first.element:
        return None
    phrase, element = found
    if not is_short:
        return located(scene, "chat", phrase, element)
    return locating_turn(scene, "chat", fill(rng.choice(FOLLOW_UP), phrase), element)
