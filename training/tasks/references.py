"""Elements -> words that mean them by place, order, colour, state or neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training.screens.screen import Box, Element
from training.tasks.names import ALIASES
from training.tasks.phrases import ATTEMPTS, Phrase, quoted
from training.tasks.places import (
    gap_between,
    may_be_in,
    may_reach,
    middle,
    middle_shares,
    near_line,
    overlap,
    overlaps,
    region_name,
    share_columns,
    share_line,
    stands_before,
    third_of,
)
from training.tasks.scene import Scene, called, fold
from training.tasks.wording import (
    ABOVE,
    BELOW,
    BESIDE,
    COLUMNS,
    LAST,
    LEFTMOST,
    LOWEST,
    ORDINALS,
    REGIONS,
    RIGHTMOST,
    ROWS,
    STATES,
    TOPMOST,
)

CLEARLY = 12  # pixels by which the outermost element is further out than the next
NEXT_TO = 60  # pixels to the next element below or above, at most
# roles that are no landmarks of a program
_NOT_BY_PLACE = ("text", "cell", "column header")
_SIDES = ((0, False, LEFTMOST), (0, True, RIGHTMOST), (1, False, TOPMOST), (1, True, LOWEST))


@dataclass(frozen=True, slots=True)
class Group:
    """All elements that some words could mean.

    Attributes:
        noun: the words, e.g. ``"button"`` or ``"'Edit' button"``.
        members: at least one.
        hidden_in: boxes that hold another such thing somewhere inside, such as a row its icon.
    """

    noun: str
    members: tuple[Element, ...]
    hidden_in: tuple[Box, ...] = ()


def reference_phrase(scene: Scene) -> Phrase | None:
    """Pick an element and name it by what tells it apart from others of its kind."""
    for _ in range(ATTEMPTS):
        group = _pick_group(scene)
        if group is None:
            continue
        element = scene.rng.choice(group.members)
        kinds = scene.rng.sample(_KINDS, len(_KINDS))
        for kind in kinds:
            if phrase := kind(scene, group, element):
                return phrase, element
    return None


def groups(scene: Scene) -> Iterator[Group]:
    """Yield what can be meant by the name of a role."""
    for alias, members in scene.aliases.items():
        if members[0].role not in _NOT_BY_PLACE:
            yield group_of(scene, alias)


def group_of(scene: Scene, alias: str) -> Group:
    """Return what an alias of a role can mean."""
    hosts = tuple(e.box for e in scene.hosts) if alias == "icon" else ()
    return Group(alias, tuple(scene.aliases[alias]), hosts)


def _pick_group(scene: Scene) -> Group | None:
    """Pick elements of a role, or of a role and a colour, or of a role and a name."""
    rng = scene.rng
    of_role = [e for e in scene.screen.elements if e.role not in _NOT_BY_PLACE]
    if not of_role:
        return None
    if rng.random() < 0.3:  # roles that are rare on the screen come as often as others
        roles = sorted({e.role for e in of_role})
        role = rng.choice(roles)
        of_role = [e for e in of_role if e.role == role]
    element = rng.choice(of_role)
    group = group_of(scene, rng.choice(ALIASES[element.role]))
    chance = rng.random()
    if chance < 0.1 and element.color and not group.hidden_in:
        colored = tuple(e for e in group.members if e.color == element.color)
        return Group(f"{element.color} {group.noun}", colored)
    if element.role != "icon" and called(element) and chance < 0.4:
        name = fold(called(element))
        same = tuple(e for e in group.members if fold(called(e)) == name)
        if len(same) > 1:
            return Group(f"{quoted(scene, called(element))} {group.noun}", same)
    return group


# -- what tells an element apart; each returns the words, or None where it does not ---------------


def _alone(scene: Scene, group: Group, element: Element) -> str | None:
    is_alone = len(group.members) == 1 and not group.hidden_in
    return f"the {group.noun}" if is_alone else None


def _outermost(scene: Scene, group: Group, element: Element) -> str | None:
    if len(group.members) == 1 and not group.hidden_in:
        return None
    for axis, is_far, forms in scene.rng.sample(_SIDES, len(_SIDES)):
        sign = -1 if is_far else 1
        own = sign * middle(element.box, axis)
        others = [sign * middle(e.box, axis) for e in group.members if e is not element]
        others += [sign * box[axis + 2 * is_far] for box in group.hidden_in]
        if all(other - own > CLEARLY for other in others):
            return scene.rng.choice(forms).format(group.noun)
    return None


def _ordinal(scene: Scene, group: Group, element: Element) -> str | None:
    """Count in a row or a column, where there is no doubt about the order."""
    if len(group.members) < 2 or group.hidden_in:
        return None
    for axis in (1, 0):
        ordered = sorted(group.members, key=lambda e: middle(e.box, axis))
        pairs = list(zip(ordered, ordered[1:], strict=False))
        is_line = all(stands_before(a, b, axis) for a, b in pairs)
        if is_line and all(overlap(a, b, 1 - axis) for a, b in pairs):
            index = ordered.index(element)
            if index == len(ordered) - 1 and scene.rng.random() < 0.5:
                return f"the {LAST} {group.noun}"
            return f"the {ORDINALS[index]} {group.noun}" if index < len(ORDINALS) else None
    return None


def _region(scene: Scene, group: Group, element: Element) -> str | None:
    """Name the ninth of the screen that holds this element and no other of its kind."""
    places = middle_shares(element.box, scene.screen)
    row, column = (
        third_of(share, names) for share, names in zip(places, (ROWS, COLUMNS), strict=True)
    )
    if row is None or column is None:
        return None
    for other in group.members:
        if other is not element and may_be_in(other.box, scene.screen, row, column):
            return None
    for box in group.hidden_in:
        if box != element.box and may_reach(box, scene.screen, row, column):
            return None
    return scene.rng.choice(REGIONS).format(group.noun, region_name(row, column))


def _color(scene: Scene, group: Group, element: Element) -> str | None:
    if not element.color or group.hidden_in or group.noun.startswith(element.color):
        return None
    same = [e for e in group.members if e.color == element.color]
    return f"the {element.color} {group.noun}" if len(same) == 1 else None


def _state(scene: Scene, group: Group, element: Element) -> str | None:
    if element.state not in STATES:
        return None
    same = [e for e in group.members if e.state == element.state]
    return scene.rng.choice(STATES[element.state]).format(group.noun) if len(same) == 1 else None


def _beside(scene: Scene, group: Group, element: Element) -> str | None:
    """Name a text on the same line; nothing else of the group may be on the line of either."""
    rivals = [e.box for e in group.members if e is not element] + list(group.hidden_in)
    if any(near_line(box, element.box) for box in rivals):
        return None
    landmarks = [
        mark
        for mark in _landmarks(scene, group, element)
        if share_line(mark, element)
        and not any(near_line(box, mark.box) for box in rivals if box != mark.box)
    ]
    if not landmarks:
        return None
    return BESIDE.format(group.noun, quoted(scene, called(scene.rng.choice(landmarks))))


def _below(scene: Scene, group: Group, element: Element) -> str | None:
    """Name the text right above or below; no other of the group may be as near to it."""
    if group.hidden_in:
        return None
    for form, sign in scene.rng.sample(((BELOW, 1), (ABOVE, -1)), 2):
        for mark in _landmarks(scene, group, element):
            distance = gap_between(mark, element, sign)
            if not (-4 <= distance <= NEXT_TO and share_columns(mark, element)):
                continue
            others = (e for e in group.members if e is not element and e is not mark)
            if not any(_rivals(mark, other, sign, distance) for other in others):
                return form.format(group.noun, quoted(scene, called(mark)))
    return None


def _rivals(mark: Element, other: Element, sign: int, distance: float) -> bool:
    """Tell whether another element may be what is below (sign 1) or above (-1) a landmark."""
    is_beyond = sign * (middle(other.box, 1) - middle(mark.box, 1)) > 0
    is_near = gap_between(mark, other, sign) < distance + CLEARLY
    return (is_beyond and is_near) or overlaps(other.box, mark.box)


_KINDS: tuple[Callable[[Scene, Group, Element], str | None], ...] = (
    _alone,
    _outermost,
    _ordinal,
    _region,
    _color,
    _state,
    _beside,
    _below,
)


def _landmarks(scene: Scene, group: Group, element: Element) -> list[Element]:
    """Return elements with a text of their own, outside of the element."""
    return [
        e
        for e in scene.named
        if e is not element
        and len(scene.texts[fold(called(e))]) == 1
        and fold(called(e)) not in scene.icons
        and not overlaps(e.box, element.box)
    ]
