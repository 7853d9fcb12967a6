"""Elements -> words that mean them and nothing else on their screen, by text, icon or label."""

from __future__ import annotations

from training.screens.screen import Element
from training.tasks.names import ALIASES, FIELDS, INTENTS, SYNONYMS
from training.tasks.places import share_columns, share_line
from training.tasks.scene import Scene, called, fold, texts_of
from training.tasks.wording import (
    BELOW_LABEL,
    BESIDE_LABEL,
    FOR_LABEL,
    ICON_ALONE,
    ICON_BUTTON,
    ICON_NAMES,
    LABELLED,
    QUOTES,
    WITH_ALIAS,
    WITH_VALUE,
)

ATTEMPTS = 4
BARE_SHARE = 0.45  # of names, said without the kind of element

Phrase = tuple[str, Element]


def quoted(scene: Scene, name: str) -> str:
    """Write a name as people type it: mostly as it is, sometimes quoted or in another case."""
    rng = scene.rng
    chance = rng.random()
    if chance < 0.15:
        name = name.lower()
    elif chance < 0.18:
        name = name.upper()
    if rng.random() < 0.7:
        name = name.rstrip("….:") or name
    return rng.choice(QUOTES).format(name)


def by_text(scene: Scene, element: Element) -> str | None:
    """Name an element by its text and perhaps its kind."""
    rng = scene.rng
    for _ in range(ATTEMPTS):
        name = called(element)
        if rng.random() < BARE_SHARE:
            if scene.meant_by(name) is element:
                return quoted(scene, name)
            continue
        alias = rng.choice(ALIASES[element.role])
        if scene.meant_by_kind(name, alias) is not element:
            continue
        return with_kind(scene, name, element, alias)
    return None


def with_kind(scene: Scene, name: str, element: Element, alias: str) -> str:
    """Say a name together with what kind of element it is, one such as ``element``."""
    name = quoted(scene, name)
    if scene.rng.random() < 0.78:
        return scene.rng.choice(WITH_ALIAS).format(name, alias)
    is_labelled = element.label or element.role in ("switch", "slider", "progress bar")
    return scene.rng.choice(FOR_LABEL if is_labelled else LABELLED).format(alias, name)


def by_icon(scene: Scene, element: Element) -> str | None:
    """Name an icon by one of the words for its concept."""
    rng = scene.rng
    for _ in range(ATTEMPTS):
        word = rng.choice(SYNONYMS.get(element.name, (element.name,)))
        if scene.meant_by_icon(word) is not element:
            continue
        chance = rng.random()
        if chance < 0.7 or fold(word) in scene.texts:
            return rng.choice(ICON_NAMES).format(word)
        return (ICON_BUTTON if chance < 0.85 else ICON_ALONE).format(word)
    return None


def intent_of(scene: Scene, element: Element) -> str | None:
    """Say what a person wants who presses an icon, unless a text offers the same."""
    words = SYNONYMS.get(element.name, ())
    if element.name not in INTENTS or any(scene.icons[word] != [element] for word in words):
        return None
    is_offered = any(word in text.split() for word in words for text in scene.texts)
    return None if is_offered else INTENTS[element.name]


def intent_phrase(scene: Scene) -> Phrase | None:
    """Pick an icon and say what a person wants who presses it."""
    for element in scene.shuffled(scene.bare_icons):
        if intent := intent_of(scene, element):
            return intent, element
    return None


def by_label(scene: Scene, element: Element) -> str | None:
    """Name a field by its label or its content, as what is next to them or shows them."""
    rng = scene.rng
    alias = rng.choice(ALIASES[element.role])
    if element.value and rng.random() < (0.25 if element.label else 1):
        if scene.meant_by_kind(element.value, alias) is not element:
            return None
        return rng.choice(WITH_VALUE).format(alias, quoted(scene, element.value))
    if not element.label or scene.meant_by_kind(element.label, alias) is not element:
        return None
    form = rng.choice(FOR_LABEL)
    label = label_of(scene, element)
    if label is not None and rng.random() < 0.6:
        form = BELOW_LABEL if label.box[3] <= element.box[1] + 3 else BESIDE_LABEL
    return form.format(alias, quoted(scene, element.label))


def label_of(scene: Scene, element: Element) -> Element | None:
    """Return the only text that labels a field, if it stands above or beside it."""
    bearers = [e for e in scene.texts.get(fold(element.label), []) if e is not element]
    if len(bearers) != 1 or bearers[0].role not in ("text", "heading"):
        return None
    label = bearers[0]
    is_above = label.box[3] <= element.box[1] + 3 and share_columns(label, element)
    return label if is_above or share_line(label, element) else None


def text_phrase(scene: Scene) -> Phrase | None:
    """Pick an element and name it by its text."""
    for element in _some(scene, scene.named):
        if phrase := by_text(scene, element):
            return phrase, element
    return None


def icon_phrase(scene: Scene) -> Phrase | None:
    """Pick an icon and name it."""
    for element in _some(scene, scene.bare_icons):
        if phrase := by_icon(scene, element):
            return phrase, element
    return None


def field_phrase(scene: Scene) -> Phrase | None:
    """Pick a field and name it by its label or content."""
    fields = [e for e in scene.screen.elements if e.role in FIELDS and len(texts_of(e)) > 0]
    for element in _some(scene, fields):
        if phrase := by_label(scene, element):
            return phrase, element
    return None


def _some(scene: Scene, elements: list[Element]) -> list[Element]:
    return scene.rng.sample(elements, min(ATTEMPTS, len(elements)))
