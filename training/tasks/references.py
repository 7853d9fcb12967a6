"""Elements -> words that mean them by place, order, colour, state or neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training.screens.screen import Box, Element, Screen
from training.tasks.names import ALIASES
from training.tasks.phrases import ATTEMPTS, Phrase, quoted, share_columns, share_line
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
THIRDS = (0.34, 0.66)  # of the screen, between its regions
MARGIN = 0.04  # of the screen, around these: an element there is in neither region, or in both
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
        own = sign * _middle(element.box, axis)
        others = [sign * _middle(e.box, axis) for e in group.members if e is not element]
        others += [sign * box[axis + 2 * is_far] for box in group.hidden_in]
        if all(other - own > CLEARLY for other in others):
            return scene.rng.choice(forms).format(group.noun)
    return None


def _ordinal(scene: Scene, group: Group, element: Element) -> str | None:
    """Count in a row or a column, where there is no doubt about the order."""
    if len(group.members) < 2 or group.hidden_in:
        return None
    for axis in (1, 0):
        ordered = sorted(group.members, key=lambda e: _middle(e.box, axis))
        pairs = list(zip(ordered, ordered[1:], strict=False))
        is_line = all(_stands_before(a, b, axis) for a, b in pairs)
        if is_line and all(_overlap(a, b, 1 - axis) for a, b in pairs):
            index = ordered.index(element)
            if index == len(ordered) - 1 and scene.rng.random() < 0.5:
                return f"the {LAST} {group.noun}"
            return f"the {ORDINALS[index]} {group.noun}" if index < len(ORDINALS) else None
    return None


def _region(scene: Scene, group: Group, element: Element) -> str | None:
    """Name the ninth of the screen that holds this element and no other of its kind."""
    places = _middle_shares(element.box, scene.screen)
    row, column = (
        _third(share, names) for share, names in zip(places, (ROWS, COLUMNS), strict=True)
    )
    if row is None or column is None:
        return None
    for other in group.members:
        if other is not element and _may_be_in(other.box, scene.screen, row, column):
            return None
    for box in group.hidden_in:
        if box != element.box and _may_reach(box, scene.screen, row, column):
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
    """Name the text on the same line; nothing else of the group may be there."""
    members = [e for e in group.members if e is not element and _near_line(e.box, element.box)]
    if members or any(_near_line(box, element.box) for box in group.hidden_in):
        return None
    landmarks = [e for e in _landmarks(scene, group, element) if share_line(e, element)]
    if not landmarks:
        return None
    return BESIDE.format(group.noun, quoted(scene, called(scene.rng.choice(landmarks))))


def _below(scene: Scene, group: Group, element: Element) -> str | None:
    """Name the text right above or below; no other of the group may be as near to it."""
    if group.hidden_in:
        return None
    forms = ((BELOW, 1), (ABOVE, -1))
    for form, sign in scene.rng.sample(forms, 2):
        for mark in _landmarks(scene, group, element):
            if 0 <= _distance(mark, element, sign) + 4 <= NEXT_TO and share_columns(mark, element):
                rivals = [
                    e
                    for e in group.members
                    if e not in (element, mark)
                    and -4 <= _distance(mark, e, sign) < _distance(mark, element, sign) + CLEARLY
                ]
                if not rivals:
                    return form.format(group.noun, quoted(scene, called(mark)))
    return None


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


# -- geometry -------------------------------------------------------------------------------------


def region_of(element: Element, screen: Screen) -> str:
    """Return the ninth of the screen that holds an element's middle: ``"top left"``, ..."""
    row, column = (
        names[sum(share > third for third in THIRDS)]
        for share, names in zip(_middle_shares(element.box, screen), (ROWS, COLUMNS), strict=True)
    )
    return region_name(row, column)


def region_name(row: str, column: str) -> str:
    """Name a ninth of the screen."""
    return "center" if (row, column) == ("middle", "center") else f"{row} {column}"


def _middle(box: Box, axis: int) -> float:
    return (box[axis] + box[axis + 2]) / 2


def _middle_shares(box: Box, screen: Screen) -> tuple[float, float]:
    """Return how far down and how far right a box's middle is, 0 to 1."""
    return _middle(box, 1) / screen.height, _middle(box, 0) / screen.width


def _third(share: float, names: tuple[str, ...]) -> str | None:
    """Return the third that a share lies in without doubt."""
    if any(abs(share - third) < MARGIN for third in THIRDS):
        return None
    return names[sum(share > third for third in THIRDS)]


def _span(index: int) -> tuple[float, float]:
    """Return where the third of this index begins and ends, as generously as one may see it."""
    edges = (-1.0, *THIRDS, 2.0)
    return edges[index] - MARGIN, edges[index + 1] + MARGIN


def _may_be_in(box: Box, screen: Screen, row: str, column: str) -> bool:
    down, right = _middle_shares(box, screen)
    top, bottom = _span(ROWS.index(row))
    left, far = _span(COLUMNS.index(column))
    return top <= down <= bottom and left <= right <= far


def _may_reach(box: Box, screen: Screen, row: str, column: str) -> bool:
    top, bottom = (edge * screen.height for edge in _span(ROWS.index(row)))
    left, far = (edge * screen.width for edge in _span(COLUMNS.index(column)))
    return box[1] < bottom and box[3] > top and box[0] < far and box[2] > left


def _stands_before(a: Element, b: Element, axis: int) -> bool:
    return b.box[axis] >= a.box[axis + 2] - 3


def _overlap(a: Element, b: Element, axis: int) -> bool:
    return min(a.box[axis + 2], b.box[axis + 2]) > max(a.box[axis], b.box[axis])


def _near_line(a: Box, b: Box) -> bool:
    """Tell whether a person could see two boxes on one line."""
    return a[1] < b[3] + 3 and b[1] < a[3] + 3


def _landmarks(scene: Scene, group: Group, element: Element) -> list[Element]:
    """Return elements with a text of their own, outside of the element."""
    return [
        e
        for e in scene.named
        if e is not element
        and len(scene.texts[fold(called(e))]) == 1
        and fold(called(e)) not in scene.icons
        and not _overlaps(e.box, element.box)
    ]


def _overlaps(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _distance(mark: Element, element: Element, sign: int) -> float:
    """Return the gap from a landmark down (sign 1) or up (-1) to an element, in pixels."""
    above, below = (mark, element) if sign > 0 else (element, mark)
    return below.box[1] - above.box[3]
