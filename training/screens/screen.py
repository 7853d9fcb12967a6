"""What a rendered screen is: its pixels, its elements, and the characters drawn on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROLES = (
    "button",
    "icon",
    "text",
    "heading",
    "text field",
    "dropdown",
    "checkbox",
    "radio button",
    "switch",
    "link",
    "badge",
    "list item",
    "tab",
    "slider",
    "progress bar",
    "column header",
    "cell",
    "alert",
)

CELL = 28  # pixels: the side of what one image token covers
PATCH = CELL // 2  # pixels: the side of a patch of the vision tower
# (width, height) in pixels, multiples of a cell
SIZES: dict[str, tuple[tuple[int, int], ...]] = {
    "dense": ((168, 112), (112, 168), (140, 140), (196, 84), (112, 112)),
    "tiny": ((168, 140), (140, 168), (196, 112), (168, 168)),
    "small": ((224, 168), (252, 168), (224, 196), (168, 252), (196, 224), (280, 140)),
    "middle": ((336, 252), (308, 224), (252, 336), (224, 392), (364, 224), (224, 448)),
    "large": (
        (448, 336),
        (504, 280),
        (560, 420),
        (336, 448),
        (336, 588),
        (308, 672),
        (336, 728),
    ),
    "desktop": ((1036, 756), (1288, 728), (1288, 812), (1372, 756), (1456, 896)),
}

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Element:
    """One thing on a screen that a person can name and point at.

    Attributes:
        role: one of ``ROLES``.
        box: x0, y0, x1, y1 in pixels of the screen, end exclusive, clipped to the screen.
        name: its text as drawn; for an icon its concept (``"search"``); ``""`` if it has none.
        label: text field, dropdown: the label above or beside it.
        value: text field, dropdown: what is written inside, placeholder included.
        color: the name of its colour, if a person would call it by that.
        state: ``"checked"``, ``"unchecked"``, ``"on"``, ``"off"``, ``"selected"`` or ``""``.
        icon: the concept of an icon drawn inside it.
    """

    role: str
    box: Box
    name: str
    label: str = ""
    value: str = ""
    color: str = ""
    state: str = ""
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Character:
    """One visible character.

    Attributes:
        text: the character.
        x0, x1: where it starts and ends (its advance), pixels.
        center_y: vertical centre of its line of text, pixels.
        size: font size, pixels.
    """

    text: str
    x0: float
    x1: float
    center_y: float
    size: float


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """A picture with everything known about it.

    Attributes:
        image: (height, width, 3) uint8; both sizes are multiples of 28.
        elements: in the order in which they were drawn.
        characters: in the order in which they were drawn; spaces are left out.
        kind: the layout, e.g. ``"login"`` or ``"page of text"``.
        title: its main heading, ``""`` if it has none.
        is_dark: light text on a dark ground.
    """

    image: np.ndarray
    elements: tuple[Element, ...]
    characters: tuple[Character, ...]
    kind: str
    title: str
    is_dark: bool

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.image.shape[0])
