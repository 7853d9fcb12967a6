"""A screen while it is drawn: canvas, theme, fonts, phrases, and the elements so far."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass

from training.materials import Family, IconFont, Materials
from training.screens.canvas import Canvas
from training.screens.icons import CONCEPTS, glyphs_of
from training.screens.phrases import Phrases
from training.screens.screen import Box, Character, Element, Screen
from training.screens.theme import Color, Theme, choose_theme
from training.screens.typography import ELLIPSIS, Face

# Fonts by how often screens of real programs look like them.
_FAMILY_SHARES = {"roboto": 5, "inter": 4, "open-sans": 3, "arimo": 4, "lato": 2}
_PLAIN_FAMILIES = ("roboto", "inter", "arimo")
_FONT_SIZES = (10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 16, 16)
_SCALES = (1, 1, 1, 1.25, 1.5, 2)
# an element that is cut off is still named while this share of it can be seen
VISIBLE_SHARE = 0.6
_MIN_SIDE = 4
_COVERED_SHARE = 0.12
# a text shortened to less than this, ellipsis included, names nothing
_MIN_READABLE = 4


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is set: size in logical pixels, weight 0 (regular) to 2 (bold), colour."""

    size: float
    weight: int
    color: Color


class Sketch:
    """One screen in the making; every random choice comes from ``rng``.

    ``base`` is the size of ordinary text in logical pixels; paddings and icons follow it.
    """

    def __init__(
        self,
        rng: random.Random,
        size: tuple[int, int],
        materials: Materials,
        *,
        held_out: bool = False,
        plain: bool = False,
    ) -> None:
        self.rng = rng
        self.width, self.height = size
        self.theme: Theme = choose_theme(rng, plain=plain)
        self.phrases = Phrases(rng, materials, held_out=held_out)
        self.base = rng.choice((12, 13, 14) if plain else _FONT_SIZES)
        self.canvas = Canvas(*size, 1 if plain else rng.choice(_SCALES), self.theme.background)
        self.elements: list[Element] = []
        self.kind = ""
        self.title = ""
        self._family = _choose_family(rng, materials, held_out=held_out, plain=plain)
        self._icon_font = _choose_icon_font(rng, materials, held_out=held_out)
        self._concepts: set[str] = set()

    def gap(self, low: float, high: float) -> float:
        """Return a length between ``low`` and ``high``, longer in airy themes, jittered."""
        share = 0.75 * self.theme.roomy + 0.25 * self.rng.random()
        return round(low + (high - low) * share)

    def chance(self, probability: float) -> bool:
        """Return True with ``probability``."""
        return self.rng.random() < probability

    def style(self, size: float = 1, weight: int = 0, color: Color | None = None) -> Style:
        """Return a style ``size`` times as large as ordinary text."""
        return Style(self.base * size, weight, color or self.theme.text)

    def use_family(self, family: Family) -> None:
        """Set all further text in ``family``."""
        self._family = family

    def face(self, style: Style) -> Face:
        """Open the screen's font in a style."""
        family = self._family
        path = (family.regular, family.medium, family.bold)[style.weight]
        return self.canvas.face(path, style.size)

    def text_width(self, text: str, style: Style) -> float:
        """Return the advance of ``text``, logical pixels."""
        return self.face(style).width(text) / self.canvas.scale

    def fit(self, text: str, width: float, style: Style) -> str:
        """Return ``text``, shortened with an ellipsis where it is wider than ``width``."""
        return self.face(style).fit(text, width * self.canvas.scale)

    def wrap(self, text: str, width: float, style: Style) -> list[str]:
        """Break ``text`` into lines of at most ``width``."""
        return self.face(style).wrap(text, width * self.canvas.scale)

    def write(self, x: float, center_y: float, text: str, style: Style) -> Box:
        """Draw ``text`` from ``x``; return the box of its line."""
        return self.canvas.text(x, center_y, text, self.face(style), style.color)

    def new_concept(self) -> str:
        """Draw an icon's concept, one not on the screen yet if possible."""
        concept = self.rng.choice(CONCEPTS)
        for _ in range(8):
            if concept not in self._concepts:
                break
            concept = self.rng.choice(CONCEPTS)
        return self.use_concept(concept)

    def use_concept(self, concept: str) -> str:
        """Remember that the screen shows ``concept``; return it."""
        self._concepts.add(concept)
        return concept

    def icon(self, x: float, y: float, concept: str, size: float, color: Color) -> Box:
        """Draw an icon of ``size`` centred on (x, y); return the box of its ink."""
        glyphs = glyphs_of(self._icon_font)[concept]
        glyph = glyphs[self.theme.icon_weight % len(glyphs)]
        face = self.canvas.face(self._icon_font.path, size)
        return self.canvas.icon(x, y, glyph, face, color)

    def add(self, role: str, box: Box, name: str, **details: str) -> None:
        """Note an element, clipped to the screen; not if too little can be seen or read of it."""
        if name.endswith(ELLIPSIS) and len(name) < _MIN_READABLE:
            if role in ("text", "heading", "link", "badge", "cell", "column header"):
                return
            name = ""
        element = Element(role, box, name, **details)
        clipped = _clip(element, (0, 0, self.width, self.height))
        if clipped:
            self.elements.append(clipped)

    def label_fields(self, first: int, label: str) -> None:
        """Give the fields among ``elements[first:]`` the label that stands beside them."""
        for index in range(first, len(self.elements)):
            element = self.elements[index]
            if element.role in ("text field", "dropdown"):
                self.elements[index] = dataclasses.replace(element, label=label, name=label)

    def cover(self, box: Box) -> None:
        """Forget what lies under ``box``, which is painted over: characters and elements."""
        hidden = [c for c in self.canvas.characters if _holds(box, c)]
        self.canvas.characters = [c for c in self.canvas.characters if not _holds(box, c)]
        kept = []
        for element in self.elements:
            left = _uncovered(element.box, box)
            clipped = _clip(element, left) if left else None
            # with a letter gone, its name can't be read any more
            if clipped and not any(_holds(element.box, character) for character in hidden):
                kept.append(clipped)
        self.elements = kept

    def finish(self) -> Screen:
        """Return the finished screen."""
        frame = (0, 0, self.width, self.height)
        visible = [c for c in self.canvas.characters if _holds(frame, c)]
        return Screen(
            image=self.canvas.finish(self.rng),
            elements=tuple(self.elements),
            characters=tuple(visible),
            kind=self.kind,
            title=self.title,
            is_dark=self.theme.is_dark,
        )


def _holds(box: Box, character: Character) -> bool:
    """Tell whether the middle of ``character`` lies in ``box``."""
    middle = (character.x0 + character.x1) / 2
    return box[0] <= middle < box[2] and box[1] <= character.center_y < box[3]


def _clip(element: Element, limits: Box) -> Element | None:
    """Cut an element's box to ``limits``; None if too little is left."""
    x0, y0, x1, y1 = element.box
    cut = (max(x0, limits[0]), max(y0, limits[1]), min(x1, limits[2]), min(y1, limits[3]))
    width, height = cut[2] - cut[0], cut[3] - cut[1]
    if width < _MIN_SIDE or height < _MIN_SIDE:
        return None
    if width * height < VISIBLE_SHARE * (x1 - x0) * (y1 - y0):
        return None
    return dataclasses.replace(element, box=cut)


def _uncovered(box: Box, cover: Box) -> Box | None:
    """Return what can be seen of ``box`` as a box; None if ``cover`` breaks it up."""
    x0, y0, x1, y1 = box
    overlap_x = min(x1, cover[2]) - max(x0, cover[0])
    overlap_y = min(y1, cover[3]) - max(y0, cover[1])
    if overlap_x <= 0 or overlap_y <= 0:
        return box
    if overlap_x >= x1 - x0:  # a strip across the whole width is gone
        return (x0, y0, x1, cover[1]) if cover[1] > y0 else (x0, cover[3], x1, y1)
    if overlap_y >= y1 - y0:
        return (x0, y0, cover[0], y1) if cover[0] > x0 else (cover[2], y0, x1, y1)
    return box if overlap_x * overlap_y < _COVERED_SHARE * (x1 - x0) * (y1 - y0) else None


def _choose_family(
    rng: random.Random, materials: Materials, *, held_out: bool, plain: bool
) -> Family:
    if held_out:
        return materials.held_out_families[rng.choice(sorted(materials.held_out_families))]
    if plain:
        return materials.families[rng.choice(_PLAIN_FAMILIES)]
    names = sorted(materials.families)
    weights = [_FAMILY_SHARES.get(name, 1) for name in names]
    return materials.families[rng.choices(names, weights)[0]]


def _choose_icon_font(rng: random.Random, materials: Materials, *, held_out: bool) -> IconFont:
    fonts = materials.held_out_icon_fonts if held_out else materials.icon_fonts
    return fonts[rng.choice(sorted(fonts))]
