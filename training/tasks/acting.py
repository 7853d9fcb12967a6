"""One step of GLM-4.5V's agent for computers: a click on what the task needs."""

from __future__ import annotations

from training.screens.screen import Element
from training.tasks.names import FIELDS, INTERACTIVE
from training.tasks.phrases import icon_phrase, intent_phrase, quoted, text_phrase
from training.tasks.references import reference_phrase
from training.tasks.scene import Scene, called, capitalized
from training.tasks.thoughts import think_of
from training.tasks.turn import Turn, answer_with_click
from training.tasks.wording import ACT, FOCUS, PRESS, TOGGLE

_THINKING = 0.6  # share of the usual thoughts


def ask_action(scene: Scene) -> Turn | None:
    """Give the agent a task that one click carries out."""
    found = _pick_task(scene)
    if found is None:
        return None
    task, element = found
    question = scene.rng.choice(ACT).format(task)
    answer = answer_with_click(scene.screen, element, called(element) or element.role)
    thought = think_of(scene.screen, element) if scene.thinks(_THINKING) else None
    return Turn("agent", question, answer, thought, element)


def _pick_task(scene: Scene) -> tuple[str, Element] | None:
    """Pick what to do: what an icon is for, or pressing what has a name or a place."""
    rng = scene.rng
    chance = rng.random()
    if chance < 0.25 and (wanted := intent_phrase(scene)):
        return capitalized(wanted[0]), wanted[1]
    if chance < 0.75:
        usable = [e for e in scene.named if e.role in INTERACTIVE]
        for element in scene.shuffled(usable):
            name = called(element)
            if scene.meant_by(name) is element:
                return rng.choice(_verbs(element)).format(quoted(scene, name)), element
    for find in (reference_phrase, icon_phrase, text_phrase):
        found = find(scene)
        if found is not None and found[1].role in INTERACTIVE:
            return rng.choice(_verbs(found[1])).format(found[0]), found[1]
    return None


def _verbs(element: Element) -> tuple[str, ...]:
    if element.role in FIELDS:
        return FOCUS
    return TOGGLE if element.role in ("checkbox", "switch") else PRESS
