"""A page of anything: parts of all kinds below each other."""

from __future__ import annotations

from training.screens.blocks import Block, Column, Maker, Row, card, fill
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.widgets import buttons, controls, data, fields, lists, texts
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.controls import Switch
from training.screens.widgets.navigation import Pager, Tabs
from training.screens.widgets.texts import Alert, Badge


def badges(sketch: Sketch) -> Row:
    """Make a row of badges."""
    made = [Badge(sketch) for _ in range(sketch.rng.randint(1, 4))]
    return Row(sketch, made, gap=5)


def small_card(sketch: Sketch) -> Block:
    """Make a card with a heading, a text and a button or link."""
    last = Button(sketch) if sketch.chance(0.5) else texts.link(sketch)
    parts: list[Block] = [texts.heading(sketch), texts.paragraph(sketch), last]
    return card(sketch, Column(sketch, parts, gap=sketch.gap(2, 7)))


# makers by how often they are drawn
SHARES: dict[Maker, int] = {
    texts.text: 2,
    texts.heading: 2,
    texts.paragraph: 2,
    texts.link: 3,
    texts.links: 3,
    texts.bullets: 2,
    texts.breadcrumbs: 2,
    badges: 2,
    Alert: 2,
    Button: 3,
    buttons.buttons: 4,
    IconButton: 1,
    buttons.icon_buttons: 5,
    buttons.mixed_buttons: 3,
    controls.checkbox: 3,
    controls.radios: 2,
    Switch: 3,
    controls.labelled_slider: 2,
    Tabs: 2,
    Pager: 2,
    fields.text_field: 4,
    fields.dropdown: 2,
    fields.field_pair: 1,
    fields.FieldBesideLabel: 1,
    fields.search_bar: 2,
    fields.amount: 1,
    lists.any_item: 4,
    lists.setting: 2,
    data.table: 2,
    data.Figure: 1,
    small_card: 2,
}
MAKERS: tuple[Maker, ...] = tuple(maker for maker, share in SHARES.items() for _ in range(share))


def draw(sketch: Sketch, area: Box) -> None:
    """Fill ``area`` with parts of all kinds, in one column or two."""
    x0, y0, x1, y1 = area
    if x1 - x0 >= 200 and sketch.chance(0.4):
        middle = x0 + (x1 - x0) * sketch.rng.choice((0.4, 0.5, 0.6))
        columns = [(x0, middle - 4), (middle + 4, x1)]
    else:
        columns = [(x0, x1)]
    for left, right in columns:
        fill(sketch, (left, y0, right, y1), MAKERS)
