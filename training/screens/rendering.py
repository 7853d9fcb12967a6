"""Draw a screen: the same arguments always give the same pixels and elements."""

from __future__ import annotations

import random
from collections.abc import Callable

from training.materials import Materials
from training.screens.pages import articles, boards, forms, lists, mixed
from training.screens.pages.frame import Frame
from training.screens.pages.overlays import OVERLAYS
from training.screens.screen import CELL, Box, Screen
from training.screens.sketch import Sketch

_OVERLAY_SHARE = 0.13

Page = Callable[[Sketch, Box], None]
# pages by kind, and how often each is drawn
PAGES: dict[str, tuple[Page, int]] = {
    "mixed": (mixed.draw, 26),
    "login": (forms.login, 6),
    "form": (forms.form, 6),
    "settings": (forms.settings, 6),
    "list": (lists.items, 8),
    "feed": (lists.feed, 4),
    "chat": (lists.chat, 3),
    "table": (lists.table, 6),
    "links": (lists.links, 7),
    "dashboard": (boards.dashboard, 5),
    "app grid": (boards.launcher, 4),
    "icons": (boards.icons, 8),
    "gallery": (boards.gallery, 4),
    "keypad": (boards.keypad, 1),
    "calendar": (boards.calendar, 2),
    "player": (boards.player, 2),
    "editor": (boards.editor, 4),
    "article": (articles.article, 5),
}


def render(
    seed: int,
    size: tuple[int, int],
    *,
    materials: Materials,
    held_out: bool = False,
    easy: float = False,
) -> Screen:
    """Draw the screen of ``seed``.

    Args:
        seed: any integer; screens for training and held-out ones have nothing in common.
        size: width and height in pixels, multiples of 28.
        materials: fonts, icon fonts and words.
        held_out: words, names, text fonts and icon fonts are those that training never shows.
        easy: probability of a plain look: light, undistorted, in one of three common fonts.

    Raises:
        ValueError: a side of ``size`` is not a multiple of 28.
    """
    check_size(size)
    rng = random.Random(f"screen {seed} {held_out} {size}")
    plain = rng.random() < easy
    sketch = Sketch(rng, size, materials, held_out=held_out, plain=plain)
    names = tuple(PAGES)
    sketch.kind = rng.choices(names, [PAGES[name][1] for name in names])[0]
    frame = Frame(sketch)
    PAGES[sketch.kind][0](sketch, frame.area)
    frame.draw()
    if rng.random() < _OVERLAY_SHARE:
        sketch.kind = rng.choice(tuple(OVERLAYS))
        OVERLAYS[sketch.kind](sketch)
    return sketch.finish()


def check_size(size: tuple[int, int]) -> None:
    """Refuse sizes that are not whole image tokens.

    Raises:
        ValueError: a side is not a positive multiple of 28.
    """
    if any(side <= 0 or side % CELL for side in size):
        raise ValueError(
            f"size is {size[0]} x {size[1]}, but both sides must be multiples of {CELL}; "
            "SIZES has the usual ones"
        )
