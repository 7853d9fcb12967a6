"""Pages to read: an article with links, tags and pictures."""

from __future__ import annotations

from training.screens.blocks import Block, Maker, Row, fill
from training.screens.pages.mixed import badges
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.widgets import buttons, lists, texts
from training.screens.widgets.lists import Avatar
from training.screens.widgets.pictures import Picture
from training.screens.widgets.texts import Label, heading


def article(sketch: Sketch, area: Box) -> None:
    """Draw a text under a heading, with its author, links, tags, pictures."""
    x0, y0, x1, y1 = area
    width = x1 - x0

    def author(sketch: Sketch) -> Block:
        muted = sketch.style(0.88, 0, sketch.theme.muted)
        parts: list[Block] = [Avatar(sketch, sketch.base * 1.7)]
        parts += [
            Label(sketch, sketch.phrases.person()),
            Label(sketch, sketch.phrases.date(), muted),
        ]
        return Row(sketch, parts, gap=6)

    def picture(sketch: Sketch) -> Block:
        return Picture(sketch, min(width * 0.4, (y1 - y0) * 0.4))

    first = sketch.rng.choice((texts.breadcrumbs, heading, picture))(sketch)
    y0 += first.draw_at(x0, y0, width) + 5
    makers: list[Maker] = [
        heading,
        texts.paragraph,
        texts.paragraph,
        texts.paragraph,
        texts.link,
        texts.links,
        texts.bullets,
        author,
        badges,
        picture,
        buttons.icon_buttons,
        lists.any_item,
    ]
    fill(sketch, (x0, y0, x1, y1), makers, overflow=0.7)
