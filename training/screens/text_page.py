"""Pages full of text and icons, for learning to read: from one font on a grid to anything."""

from __future__ import annotations

import random

from training.materials import Materials
from training.screens.rendering import check_size
from training.screens.screen import PATCH, Box, Screen
from training.screens.sketch import Sketch, Style
from training.screens.theme import COLORS, Color, contrast, ink_on

_PLAIN_SIZE = 12
_ICON_SHARE = 0.12
_STRIPE_SHARE = 0.25
_SIZES = (10, 11, 12, 13, 14, 15, 16)


def render_page_of_text(
    seed: int,
    size: tuple[int, int],
    *,
    materials: Materials,
    difficulty: float,
    held_out: bool = False,
) -> Screen:
    """Draw a page densely filled with words and icons.

    Reading begins with what is easy: at difficulty 0 every page is dark Roboto of 12 pixels on
    white, a line in each row of patches. With growing difficulty more pages have lines anywhere,
    other fonts, sizes and colours, and scaled pictures; at 1 all do.

    Args:
        seed: any integer.
        size: width and height in pixels, multiples of 28; ``SIZES["dense"]`` has usual ones.
        materials: fonts, icon fonts and words.
        difficulty: 0 .. 1.
        held_out: words and fonts are those that training never shows.

    Raises:
        ValueError: a side of ``size`` is not a multiple of 28, or ``difficulty`` not in 0 .. 1.
    """
    check_size(size)
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty is {difficulty}, but must be between 0 and 1")
    rng = random.Random(f"page of text {seed} {held_out} {size} {difficulty}")
    on_grid = rng.random() >= difficulty
    is_plain = rng.random() >= difficulty
    sketch = Sketch(rng, size, materials, held_out=held_out, plain=is_plain)
    sketch.kind = "page of text"
    if is_plain and not held_out:
        sketch.use_family(materials.families["roboto"])
    shift = rng.uniform(-0.5, 0.5) * PATCH * min(1, 1.5 * difficulty)
    y = shift - PATCH if on_grid else rng.uniform(0, 6)
    while y < sketch.height - 6:
        style = _choose_style(sketch, is_plain=is_plain)
        height = PATCH if on_grid else style.size * rng.choice((1.15, 1.25, 1.4, 1.7))
        style = _stripe(sketch, y, height, style) if not is_plain else style
        _fill_line(sketch, y + height / 2, style)
        y += height
    return sketch.finish()


def _choose_style(sketch: Sketch, *, is_plain: bool) -> Style:
    rng, theme = sketch.rng, sketch.theme
    if is_plain:
        return Style(_PLAIN_SIZE, 0, theme.text)
    size = sketch.base if rng.random() < 0.6 else rng.choice(_SIZES)
    color = rng.choice((theme.text, theme.text, theme.text, theme.muted, theme.accent_ink))
    return Style(size, rng.choice((0, 0, 0, 1, 2)), color)


def _stripe(sketch: Sketch, y: float, height: float, style: Style) -> Style:
    """Put some lines on a coloured ground; return the style in ink that can be read there."""
    rng, theme = sketch.rng, sketch.theme
    if rng.random() >= _STRIPE_SHARE:
        return style
    color: Color = rng.choice(COLORS[rng.choice(sorted(COLORS))])
    if contrast(color, theme.background) < 1.1:
        return style
    sketch.canvas.rectangle((0, y, sketch.width, y + height), color)
    return Style(style.size, style.weight, ink_on(color))


def _fill_line(sketch: Sketch, middle: float, style: Style) -> None:
    rng, size = sketch.rng, style.size
    x = rng.uniform(-2, 8)
    while x < sketch.width - 8:
        if rng.random() < _ICON_SHARE:
            side = size * rng.choice((1, 1.2, 1.4))
            concept = sketch.new_concept()
            box = sketch.icon(x + side / 2, middle, concept, side, style.color)
            if _is_whole(sketch, box):
                sketch.add("icon", box, concept)
            x += side + rng.randint(3, 9)
            continue
        text = _text(sketch)
        box = sketch.write(x, middle, text, style)
        if _is_whole(sketch, box):
            sketch.add("text", box, text)
        x = box[2] + size * rng.choice((0.28, 0.3, 0.6, 1))


def _is_whole(sketch: Sketch, box: Box) -> bool:
    """Tell whether nothing of ``box`` is cut off at the left or right."""
    return box[0] >= 0 and box[2] < sketch.width - 1


def _text(sketch: Sketch) -> str:
    kind, phrases = sketch.rng.random(), sketch.phrases
    if kind < 0.5:
        return phrases.word()
    if kind < 0.72:
        return phrases.word().capitalize()
    if kind < 0.78:
        return phrases.word().upper()
    if kind < 0.84:
        return phrases.person()
    if kind < 0.9:
        return phrases.figure()
    return "".join(sketch.rng.choices("0123456789", k=sketch.rng.randint(1, 5)))
