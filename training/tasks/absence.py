"""Questions about what is not on the screen; the answer says so, and has no box.

What is missing looks like what could be there: names come from other screens of the same kind, or
differ from a name on this screen in one word; icons are missing among others that are there.
"""

from __future__ import annotations

from dataclasses import replace

from training.screens.screen import Element
from training.tasks.locating import ask_where
from training.tasks.names import ALIASES, COMMON_NAMES, INTENTS, SYNONYMS
from training.tasks.phrases import BARE_SHARE, quoted, with_kind
from training.tasks.scene import Scene, called, capitalized, is_legible
from training.tasks.thoughts import think_of_absence
from training.tasks.turn import CANNOT, NOT_THERE, Turn
from training.tasks.wording import ACT, ASK_INTENT, ICON_ALONE, ICON_BUTTON, ICON_NAMES, PRESS

ATTEMPTS = 8
LONGEST_NAME = 30  # characters
# Kinds that are always known where they are. Chevrons are drawn in rows and fields without being
# elements, and letters or pictures may stand for people.
_TELLING_ROLES = (
    "slider",
    "progress bar",
    "switch",
    "toggle",
    "checkbox",
    "radio button",
    "dropdown",
    "text field",
)
_COLORS = ("red", "green", "blue", "orange", "purple", "pink", "teal", "yellow")
_UNSURE_ICONS = ("down", "right", "back", "forward", "check", "user", "image")
_COMMON_KINDS = ("button", "link", "tab", "list item")


def ask_absent(scene: Scene) -> Turn | None:
    """Ask where something is that is not there, or give the agent a task that nothing serves."""
    phrase = absent_phrase(scene)
    if phrase is None:
        return None
    if not scene.is_short and scene.rng.random() < 0.15:
        task = scene.rng.choice(PRESS).format(phrase)
        question, answer = scene.rng.choice(ACT).format(task), CANNOT
    else:
        question, answer = ask_where(scene.rng, phrase, is_short=scene.is_short), NOT_THERE
    thought = think_of_absence(phrase) if scene.thinks() else None
    return Turn("absent", question, answer, thought)


def absent_phrase(scene: Scene) -> str | None:
    """Name something that is not on the screen."""
    chance = scene.rng.random()
    if chance < 0.32:
        return absent_icon(scene)
    if chance < 0.45:
        return _absent_kind(scene) or absent_text(scene)
    return absent_text(scene)


def ask_absent_intent(scene: Scene) -> Turn | None:
    """Ask for what an icon would be for that is not there."""
    missing = [c for c in INTENTS if c not in _UNSURE_ICONS and scene.is_icon_absent(c)]
    if not missing:
        return None
    intent = INTENTS[scene.rng.choice(missing)]
    question = capitalized(scene.rng.choice(ASK_INTENT).format(intent))
    thought = think_of_absence(f"button to {intent}") if scene.thinks() else None
    return Turn("absent", question, NOT_THERE, thought)


def absent_icon(scene: Scene) -> str | None:
    """Name an icon that is not there; nothing else may be called so either."""
    for _ in range(ATTEMPTS):
        concept = scene.rng.choice(tuple(SYNONYMS))
        if concept not in _UNSURE_ICONS and scene.is_icon_absent(concept):
            word = scene.rng.choice(SYNONYMS[concept])
            return scene.rng.choice((*ICON_NAMES * 2, ICON_BUTTON, ICON_ALONE)).format(word)
    return None


def absent_text(scene: Scene) -> str | None:
    """Name something by a text that stands nowhere on the screen, as its like would be named."""
    rng = scene.rng
    for _ in range(ATTEMPTS):
        element = _foreign(scene)
        if element is not None and rng.random() < 0.4:
            element = _similar(scene, called(element))
        if element is None:
            continue
        name = called(element)
        if is_legible(name) and len(name) <= LONGEST_NAME and scene.is_absent(name):
            if rng.random() < BARE_SHARE:
                return quoted(scene, name)
            return with_kind(scene, name, element, rng.choice(ALIASES[element.role]))
    return None


def _foreign(scene: Scene) -> Element | None:
    """Pick an element of another screen, or one with a common name if there are no others."""
    if not scene.others:
        role = scene.rng.choice(_COMMON_KINDS)
        return Element(role, (0, 0, 0, 0), scene.rng.choice(COMMON_NAMES))
    elements = scene.rng.choice(scene.others).elements
    element = scene.rng.choice(elements) if elements else None
    return None if element is None or element.role == "icon" else element


def _similar(scene: Scene, other: str) -> Element | None:
    """Change one word in the name of an element of this screen, for one of another name."""
    element = scene.rng.choice(scene.named) if scene.named else None
    words = called(element).split() if element else []
    if element is None or len(words) < 2 or not other.split():
        return None
    index = scene.rng.randrange(len(words))
    word = scene.rng.choice(other.split())
    words[index] = word.capitalize() if words[index][:1].isupper() else word.lower()
    name = " ".join(words)
    return replace(element, name=name, label=name if element.label else "")


def _absent_kind(scene: Scene) -> str | None:
    """Name a kind of element, a colour or a state that nothing here has."""
    rng = scene.rng
    kinds = [k for k in _TELLING_ROLES if k not in scene.aliases]
    found = [f"the {rng.choice(kinds)}"] if kinds else []
    buttons = scene.aliases.get("button", [])
    colors = [e.color for e in buttons]
    if buttons and all(colors) and not any(e.icon for e in buttons):
        missing = [c for c in _COLORS if c not in {e.color for e in scene.screen.elements}]
        found += [f"the {rng.choice(missing)} button"] if missing else []
    for role, states in (("checkbox", ("checked", "unchecked")), ("switch", ("on", "off"))):
        present = {e.state for e in scene.aliases.get(role, [])}
        if len(present) == 1 and (state := present.pop()) in states:
            other = states[1 - states.index(state)]
            alias = rng.choice(ALIASES[role][:1])
            form = "the {1} that is {0}" if role == "switch" else "the {0} {1}"
            found.append(form.format(other, alias))
    return rng.choice(found) if found else None
