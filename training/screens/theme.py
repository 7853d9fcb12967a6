"""Colours and proportions of one screen: a theme, chosen at random within what looks real."""

from __future__ import annotations

import random
from dataclasses import dataclass

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
ROUND = 99  # a radius that makes whatever is small round

# Names a person would use, with shades from the palettes of common design systems.
COLORS: dict[str, tuple[Color, ...]] = {
    "blue": ((13, 110, 253), (33, 150, 243), (25, 118, 210), (37, 99, 235), (0, 122, 255)),
    "red": ((220, 53, 69), (244, 67, 54), (211, 47, 47), (239, 68, 68), (255, 59, 48)),
    "green": ((25, 135, 84), (76, 175, 80), (56, 142, 60), (22, 163, 74), (52, 199, 89)),
    "orange": ((253, 126, 20), (255, 152, 0), (245, 124, 0), (249, 115, 22)),
    "purple": ((111, 66, 193), (156, 39, 176), (103, 58, 183), (124, 58, 237)),
    "teal": ((0, 209, 178), (0, 150, 136), (13, 148, 136), (32, 201, 151)),
    "pink": ((214, 51, 132), (233, 30, 99), (236, 72, 153)),
    "yellow": ((255, 193, 7), (255, 221, 87), (250, 204, 21)),
    "gray": ((108, 117, 125), (158, 158, 158), (117, 117, 117), (107, 114, 128)),
    "black": ((33, 37, 41), (20, 20, 22), (0, 0, 0)),
}
_ACCENTS = ("blue",) * 6 + ("red", "green", "orange", "purple", "teal", "pink", "gray", "black")

_LIGHT_GROUNDS: tuple[Color, ...] = (
    *(WHITE,) * 4,
    (248, 249, 250),
    (245, 245, 245),
    (240, 242, 245),
    (250, 247, 240),
    (238, 242, 250),
)
_DARK_GROUNDS: tuple[Color, ...] = (
    (18, 18, 18),
    (33, 37, 41),
    (30, 30, 46),
    (15, 23, 42),
    (40, 44, 52),
    (0, 0, 0),
    (20, 24, 31),
)
FIELD_LOOKS = ("box", "box", "box", "box", "line", "filled", "round")
LINK_LOOKS = ("plain", "plain", "underlined", "underlined", "underlined text", "medium")


@dataclass(frozen=True, slots=True)
class Theme:
    """How one screen looks; lengths are logical pixels.

    Attributes:
        background: the page; ``surface``: cards, fields and bars on it.
        text, muted, faint: ink for text, secondary text and placeholders.
        border: thin lines.
        accent, accent_name: the colour of what is active, and its name in ``COLORS``.
        radius: corners of buttons, fields and cards.
        roomy: 0 (dense) .. 1 (airy); scales padding and gaps.
        shadow: whether cards are raised.
        field, link: the usual look of fields and links, of ``FIELD_LOOKS`` and ``LINK_LOOKS``.
        icon_weight: preferred cut of icons; picks among the glyphs of a concept.
    """

    is_dark: bool
    background: Color
    surface: Color
    text: Color
    muted: Color
    faint: Color
    border: Color
    accent: Color
    accent_name: str
    radius: int
    roomy: float
    shadow: bool
    field: str
    link: str
    icon_weight: int

    @property
    def accent_ink(self) -> Color:
        """The accent where it can be read on the background, else the text colour."""
        return self.accent if contrast(self.accent, self.background) > 2.6 else self.text


def mix(one: Color, other: Color, share: float) -> Color:
    """Blend ``share`` (0..1) of ``other`` into ``one``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def luminance(color: Color) -> float:
    """Relative luminance 0..1 (WCAG 2, with gamma 2.2 in place of the piecewise curve)."""
    red, green, blue = ((value / 255) ** 2.2 for value in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio 1..21 of two colours (WCAG 2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ink_on(color: Color) -> Color:
    """White or near-black, as design systems choose: white as long as it can be read."""
    return WHITE if contrast(color, WHITE) > 2.4 else (20, 20, 20)


def choose_theme(rng: random.Random, *, plain: bool = False) -> Theme:
    """Draw a theme; ``plain``: light, with square, dense parts."""
    is_dark = rng.random() < 0.27 and not plain
    accent_name = rng.choice(_ACCENTS)
    accent = rng.choice(COLORS[accent_name])
    if is_dark:
        background = rng.choice(_DARK_GROUNDS)
        if accent_name == "black":
            accent_name, accent = "blue", rng.choice(COLORS["blue"])
        text = rng.choice((WHITE, (230, 230, 230), (220, 225, 235)))
        surface = mix(background, WHITE, rng.choice((0.0, 0.05, 0.08, 0.1)))
        border = mix(background, WHITE, rng.choice((0.14, 0.2, 0.28)))
        muted = mix(text, background, rng.choice((0.3, 0.4, 0.45)))
    else:
        background = WHITE if plain else rng.choice(_LIGHT_GROUNDS)
        text = rng.choice(((33, 37, 41), (0, 0, 0), (54, 54, 54), (17, 24, 39), (50, 50, 80)))
        surface = rng.choice((WHITE, WHITE, WHITE, mix(background, BLACK, 0.03)))
        border = mix(background, BLACK, rng.choice((0.1, 0.13, 0.18, 0.26)))
        muted = rng.choice(((108, 117, 125), (122, 122, 122), (90, 95, 105), (107, 114, 128)))
    return Theme(
        is_dark=is_dark,
        background=background,
        surface=surface,
        text=text,
        muted=muted,
        faint=mix(muted, surface, rng.choice((0.0, 0.15, 0.3))),
        border=border,
        accent=accent,
        accent_name=accent_name,
        radius=rng.choice((0, 2, 3, 4, 4, 5, 6, 8, 12)),
        roomy=0.2 if plain else rng.random(),
        shadow=not is_dark and rng.random() < 0.4,
        field=rng.choice(FIELD_LOOKS),
        link=rng.choice(LINK_LOOKS),
        icon_weight=rng.randrange(12),
    )
