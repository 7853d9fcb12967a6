"""Writes a page: one of the templates, in a kit's look, filled with what a seed draws."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from training.materials import Materials
from training.web.kits import Kit
from training.web.phrases import Draw

TEMPLATES = Path(__file__).with_name("templates")
KINDS = (
    "calendar",
    "chat",
    "checkout",
    "dashboard",
    "docs",
    "mail",
    "player",
    "profile",
    "settings",
    "shop",
    "sign_in",
    "table",
)
NARROW_WIDTH = 430  # pixels: a page is one column up to here
TALL_HEIGHT = 440  # pixels: more follows below what a page is about
_DARK_SHARE = 0.3
_BARS = (
    ("#0d6efd", "#ffffff"),
    ("#212529", "#ffffff"),
    ("#f1f3f5", "#212529"),
    ("#6f42c1", "#ffffff"),
    ("#198754", "#ffffff"),
    ("#b02a37", "#ffffff"),
    ("#e9ecff", "#1d2a6b"),
    ("transparent", "inherit"),
    ("#ffc107", "#212529"),
    ("#0b7285", "#ffffff"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a browser can open.

    Attributes:
        html: its source; it refers to files of the materials.
        kind: which template it is made of.
        size: (width, height) of the window, pixels.
    """

    html: str
    kind: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Look:
    template: str
    style_sheet: str
    font: str
    bold_font: str
    icon_font: str
    icon_weight: int
    text_size: int
    is_dark: bool
    is_narrow: bool
    is_tall: bool
    columns: str
    bar: str
    bar_text: str
    brand: str


def write_page(
    seed: int,
    size: tuple[int, int],
    kit: Kit,
    *,
    materials: Materials,
    kind: str | None = None,
    held_out: bool = False,
) -> Page:
    """Write the page of a seed; the same arguments give the same page.

    Args:
        size: (width, height) of the window, pixels.
        kind: one of ``KINDS``; drawn if None.
        held_out: fonts and icon fonts that training never shows; phrases that are made up are of
            words that no page for training has.
    """
    rng = random.Random(seed)
    kind = kind or rng.choice(KINDS)
    fonts = materials.held_out_icon_fonts if held_out else materials.icon_fonts
    icon_font = fonts[rng.choice(sorted(fonts))]
    families = materials.held_out_families if held_out else materials.families
    family = families[rng.choice(sorted(families))]
    draw = Draw(rng, materials, icon_font, held_out=held_out)
    is_narrow = size[0] <= NARROW_WIDTH
    bar, bar_text = rng.choice(_BARS)
    look = _Look(
        template=f"{kind}.jinja",
        style_sheet=rng.choice(kit.style_sheets).as_uri(),
        font=family.regular.as_uri(),
        bold_font=family.bold.as_uri(),
        icon_font=icon_font.path.as_uri(),
        icon_weight=900 if icon_font.name.startswith("fa-solid") else 400,
        text_size=rng.choice((11, 12, 13, 14) if size[0] < 300 else (12, 13, 14, 15, 16)),
        is_dark=kit.has_dark and rng.random() < _DARK_SHARE,
        is_narrow=is_narrow,
        is_tall=size[1] >= TALL_HEIGHT,
        columns="minmax(0, 1fr)" if is_narrow else rng.choice(("1fr 2fr", "2fr 3fr", "1fr 1fr")),
        bar=bar,
        bar_text=bar_text,
        brand=draw.fresh("brands"),
    )
    html = (
        _environment()
        .get_template("page.jinja")
        .render(
            kit=kit.classes,
            look=look,
            draw=draw,
            mark=_mark,
        )
    )
    return Page(html, kind, size)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a template says about an element; the browser adds where it is.

    Attributes:
        fit: ``"text"``: its box is that of its text; ``"border"``: the element's own.
        is_label: it names a field, which is what its text stands for.
        others: as in ``training.screens.Element``.
    """

    role: str
    name: str
    fit: str = "text"
    label: str = ""
    value: str = ""
    state: str = ""
    icon: str = ""
    is_label: bool = False


def _mark(role: str, name: str, **others: Any) -> Markup:
    """Return the attribute that tells the browser what to measure."""
    told = json.dumps(asdict(Mark(role, name, **others)), ensure_ascii=False)
    return Markup('data-mark="{}"').format(told)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
