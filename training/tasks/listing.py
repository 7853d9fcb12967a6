"""Questions about the whole screen: lists of its elements with their boxes, and captions."""

from __future__ import annotations

from training.screens.screen import Element
from training.tasks.locating import in_reading_order
from training.tasks.names import ALIASES, plural
from training.tasks.scene import Scene, called, shown_text
from training.tasks.thoughts import think_of_count
from training.tasks.turn import Turn, answer_with_labels
from training.tasks.wording import (
    CAPTION,
    CAPTION_TITLE,
    DESCRIBE,
    FIRST_ONES,
    LIST_ROLE,
    LIST_TEXTS,
    THINK_KIND,
)

MOST = 8  # elements of a list
_NOT_LISTED = ("cell", "column header", "text")
# kinds of screens that people have another word for
KINDS = {"mixed": "app", "icons": "icon", "links": "link"}
_COUNTED = ("button", "icon", "text field")


def ask_listing(scene: Scene) -> Turn | None:
    """Ask for all texts, or all elements of a role, with their boxes."""
    rng = scene.rng
    roles = sorted({e.role for e in scene.screen.elements} - set(_NOT_LISTED))
    if rng.random() < 0.45 or not roles:
        noun, question = "text", rng.choice(LIST_TEXTS)
        found = [e for e in scene.screen.elements if shown_text(e)]
        names = shown_text
    else:
        role = rng.choice(roles)
        noun, question = role, rng.choice(LIST_ROLE).format(plural(role))
        found = [e for e in scene.screen.elements if e.role == role]
        names = _label
    if not found or (noun == "icon" and scene.hosts):
        return None
    found = in_reading_order(found)
    if len(found) > MOST:
        found, question = found[:MOST], FIRST_ONES.format(question.rstrip("."), MOST)
    answer = answer_with_labels(scene.screen, found, [names(e) for e in found])
    thought = think_of_count(len(found), noun) if scene.thinks(0.5) else None
    return Turn("listing", question, answer, thought)


def ask_caption(scene: Scene) -> Turn:
    """Ask for a description: how it looks, what it is for, how many elements it has."""
    screen = scene.screen
    counts = []
    for role in _COUNTED:
        count = sum(e.role == role for e in screen.elements)
        counts.append(f"{count} {role if count == 1 else plural(role)}")
    # a title that does not fit is drawn shortened
    is_legible = any(e.name == screen.title for e in screen.elements if e.role != "icon")
    title = CAPTION_TITLE.format(screen.title) if screen.title and is_legible else ""
    look = "dark" if screen.is_dark else "light"
    kind = KINDS.get(screen.kind, screen.kind)
    answer = CAPTION.format(look, kind, title, *counts)
    thought = THINK_KIND.format(kind) if scene.thinks(0.5) else None
    return Turn("caption", scene.rng.choice(DESCRIBE), answer, thought)


def _label(element: Element) -> str:
    """Name an element in a list: as it is called, else by its role."""
    return called(element) or ALIASES[element.role][0]
