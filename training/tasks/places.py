"""Where elements stand: in which part of the screen, and beside or below what."""

from __future__ import annotations

from training.screens.screen import Box, Element, Screen
from training.tasks.wording import COLUMNS, ROWS

THIRDS = (0.34, 0.66)  # of the screen, between its regions
MARGIN = 0.04  # of the screen, around these: an element there is in neither region, or in both
SAME_LINE = 0.5  # of the smaller height: elements that share as much of it stand side by side


def region_of(element: Element, screen: Screen) -> str:
    """Return the ninth of the screen that holds an element's middle: ``"top left"``, ..."""
    down, right = middle_shares(element.box, screen)
    return region_name(ROWS[_third(down)], COLUMNS[_third(right)])


def region_name(row: str, column: str) -> str:
    """Name a ninth of the screen."""
    return "center" if (row, column) == ("middle", "center") else f"{row} {column}"


def middle(box: Box, axis: int) -> float:
    """Return the middle of a box from left to right (axis 0) or from top to bottom (1)."""
    return (box[axis] + box[axis + 2]) / 2


def middle_shares(box: Box, screen: Screen) -> tuple[float, float]:
    """Return how far down and how far right a box's middle is, 0 to 1."""
    return middle(box, 1) / screen.height, middle(box, 0) / screen.width


def _third(share: float) -> int:
    return sum(share > third for third in THIRDS)


def third_of(share: float, names: tuple[str, ...]) -> str | None:
    """Return the third that a share lies in without doubt."""
    if any(abs(share - third) < MARGIN for third in THIRDS):
        return None
    return names[_third(share)]


def _span(index: int) -> tuple[float, float]:
    """Return where the third of this index begins and ends, as generously as one may see it."""
    edges = (-1.0, *THIRDS, 2.0)
    return edges[index] - MARGIN, edges[index + 1] + MARGIN


def may_be_in(box: Box, screen: Screen, row: str, column: str) -> bool:
    """Tell whether a person may see a box's middle in a ninth of the screen."""
    down, right = middle_shares(box, screen)
    top, bottom = _span(ROWS.index(row))
    left, far = _span(COLUMNS.index(column))
    return top <= down <= bottom and left <= right <= far


def may_reach(box: Box, screen: Screen, row: str, column: str) -> bool:
    """Tell whether any part of a box may be in a ninth of the screen."""
    top, bottom = (edge * screen.height for edge in _span(ROWS.index(row)))
    left, far = (edge * screen.width for edge in _span(COLUMNS.index(column)))
    return box[1] < bottom and box[3] > top and box[0] < far and box[2] > left


def stands_before(a: Element, b: Element, axis: int) -> bool:
    """Tell whether ``a`` ends where ``b`` begins, or before."""
    return b.box[axis] >= a.box[axis + 2] - 3


def overlap(a: Element, b: Element, axis: int) -> bool:
    """Tell whether two elements have a stretch of an axis in common."""
    return min(a.box[axis + 2], b.box[axis + 2]) > max(a.box[axis], b.box[axis])


def near_line(a: Box, b: Box) -> bool:
    """Tell whether a person could see two boxes on one line."""
    return a[1] < b[3] + 3 and b[1] < a[3] + 3


def overlaps(a: Box, b: Box) -> bool:
    """Tell whether two boxes have an area in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def gap_between(mark: Element, element: Element, sign: int) -> float:
    """Return the gap from a landmark down (sign 1) or up (-1) to an element, in pixels."""
    above, below = (mark, element) if sign > 0 else (element, mark)
    return below.box[1] - above.box[3]


def share_line(a: Element, b: Element) -> bool:
    """Tell whether two elements stand side by side."""
    shared = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    return shared > SAME_LINE * min(a.box[3] - a.box[1], b.box[3] - b.box[1])


def share_columns(a: Element, b: Element) -> bool:
    """Tell whether two elements stand above each other, or could."""
    return overlap(a, b, 0)
