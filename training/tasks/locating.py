"""Questions whose answer is a box, or several."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from training.screens.screen import Element
from training.tasks.names import plural
from training.tasks.phrases import (
    Phrase,
    field_phrase,
    icon_phrase,
    intent_phrase,
    quoted,
    text_phrase,
)
from training.tasks.places import middle
from training.tasks.references import Group, groups, reference_phrase
from training.tasks.scene import Scene, capitalized, fold, shown_text
from training.tasks.thoughts import think_of, think_of_count
from training.tasks.turn import Turn, answer_with_boxes
from training.tasks.wording import (
    ALL,
    ASK_INTENT,
    GLM_COMMAND,
    GLM_LOCATE,
    GLM_PINPOINT,
    LOCATE,
    LOCATE_ALSO,
    TYPE_INTO,
)

MOST_AT_ONCE = 5  # boxes of one answer
_WITH_ARTICLE = re.compile(r"\b(?:the|a) \{\}")
_INTENT_SHARE = 0.2


def ask_where(rng: random.Random, phrase: str, *, is_short: bool = False) -> str:
    """Ask where what a phrase means is, in one of the many forms that people and GLM use."""
    chance = 0.0 if is_short else rng.random()
    if chance < 0.5:
        form = rng.choice(LOCATE)
    elif chance < 0.77:
        form = rng.choice(LOCATE_ALSO)
    else:
        form = GLM_LOCATE if chance < 0.87 else GLM_PINPOINT if chance < 0.97 else GLM_COMMAND
    question = fill(form, phrase)
    return question if is_short else _as_typed(rng, question)


def fill(form: str, phrase: str) -> str:
    """Put a phrase into a form, without a second article."""
    return form.format(phrase.removeprefix("the ") if _WITH_ARTICLE.search(form) else phrase)


def _as_typed(rng: random.Random, question: str) -> str:
    """Leave out what people leave out when they type: the capital, the last full stop."""
    chance = rng.random()
    if chance < 0.1:
        return question[:1].lower() + question[1:]
    return question.rstrip(".?") if chance < 0.15 else question


def located(scene: Scene, task: str, phrase: str, element: Element) -> Turn:
    """Ask where one element is."""
    question = ask_where(scene.rng, phrase, is_short=scene.is_short)
    return locating_turn(scene, task, question, element)


def locating_turn(scene: Scene, task: str, question: str, element: Element) -> Turn:
    """Answer a question with an element's box, with or without a thought."""
    thought = think_of(scene.screen, element) if scene.thinks() else None
    answer = answer_with_boxes(scene.screen, [element])
    return Turn(task, question, answer, thought, element)


def _locate(task: str, find: Callable[[Scene], Phrase | None]) -> Callable[[Scene], Turn | None]:
    def ask(scene: Scene) -> Turn | None:
        found = find(scene)
        return located(scene, task, *found) if found else None

    return ask


ask_text = _locate("text", text_phrase)
ask_reference = _locate("reference", reference_phrase)
_ask_icon_by_name = _locate("icon", icon_phrase)


def ask_icon(scene: Scene) -> Turn | None:
    """Ask for an icon by its name, sometimes by what a person wants from it."""
    asks_intent = not scene.is_short and scene.rng.random() < _INTENT_SHARE
    if asks_intent and (found := intent_phrase(scene)):
        intent, element = found
        question = capitalized(scene.rng.choice(ASK_INTENT).format(intent))
        return locating_turn(scene, "icon", question, element)
    return _ask_icon_by_name(scene)


def ask_field(scene: Scene) -> Turn | None:
    """Ask for a field by its label or content."""
    found = field_phrase(scene)
    if found is None:
        return None
    phrase, element = found
    is_by_label = element.label and scene.meant_by_kind(element.label, "field") is element
    if is_by_label and not scene.is_short and scene.rng.random() < 0.35:
        question = scene.rng.choice(TYPE_INTO).format(quoted(scene, element.label))
        return locating_turn(scene, "field", question, element)
    return located(scene, "field", phrase, element)


def ask_several(scene: Scene) -> Turn | None:
    """Ask for all elements of a role, of a role and a colour, or of a role and a text."""
    found = [g for g in groups(scene) if 2 <= len(g.members) <= MOST_AT_ONCE and not g.hidden_in]
    found += _same_text(scene)
    if not found:
        return None
    group = scene.rng.choice(found)
    colors = [e.color for e in group.members]
    color = scene.rng.choice(colors)
    if color and 2 <= colors.count(color) < len(colors):
        same = tuple(e for e in group.members if e.color == color)
        group = replace(group, noun=f"{color} {group.noun}", members=same)
    members = in_reading_order(group.members)
    phrase = scene.rng.choice(ALL).format(plural(group.noun))
    question = ask_where(scene.rng, phrase)
    thought = think_of_count(len(members), group.noun) if scene.thinks() else None
    return Turn("several", question, answer_with_boxes(scene.screen, members), thought)


def _same_text(scene: Scene) -> list[Group]:
    """Return buttons, links and icons that share their name with others of their kind."""
    found = []
    for kind in ("button", "link", "icon"):
        by_name: dict[str, list[Element]] = {}
        for element in scene.aliases.get(kind, []):
            name = element.name if kind == "icon" else fold(shown_text(element))
            by_name.setdefault(name, []).append(element)
        for name, members in by_name.items():
            hidden = [e for e in scene.hosts if e.icon == name] if kind == "icon" else []
            if name and 2 <= len(members) <= MOST_AT_ONCE and not hidden:
                found.append(Group(f"{members[0].name} {kind}", tuple(members)))
    return found


def in_reading_order(elements: tuple[Element, ...] | list[Element]) -> list[Element]:
    """Sort elements by lines of about a line's height, then from left to right."""
    return sorted(elements, key=lambda e: (round(middle(e.box, 1) / 12), e.box[0]))
