"""Pages of rows: lists, chats, tables, and pages of links."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Column, Grid, Maker, Panel, Row, Rule, Space, card, fill
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.widgets import buttons, fields, texts
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.data import Table
from training.screens.widgets.fields import Field
from training.screens.widgets.lists import Bubble, item_maker
from training.screens.widgets.navigation import Pager, Tabs
from training.screens.widgets.texts import Label, heading, link


def items(sketch: Sketch, area: Box) -> None:
    """Draw a list whose rows look alike, perhaps with a search field or tabs above."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    if rng.random() < 0.5:
        head = rng.choice((fields.search_bar, Tabs, heading, _list_head))(sketch)
        y0 += head.draw_at(x0, y0, width) + sketch.gap(3, 8)
    make = item_maker(sketch)
    gap = rng.choice((0, 0, 0, 2, 5))
    on_cards = gap > 0 and rng.random() < 0.5
    if rng.random() < 0.25:
        _group(sketch, make).draw(x0, y0, width, y1 - y0)
        return
    rows: list[Block] = []
    used = 0.0
    while used < y1 - y0:
        row: Block = make(sketch)
        row = card(sketch, row) if on_cards else row
        rows.append(row)
        used += row.measure(width)[1] + gap
    Column(sketch, rows, gap=gap).draw(x0, y0, width, y1 - y0)


def chat(sketch: Sketch, area: Box) -> None:
    """Draw messages of two people, and a field to write in at the foot."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    send = IconButton(sketch, "send", style=rng.choice(("filled", "bare", "soft")))
    parts: list[Block] = [Field(sketch, label=""), send]
    for concept in rng.sample(("attach", "mic", "camera", "image", "add"), rng.randint(0, 2)):
        parts.insert(rng.choice((0, 1)), IconButton(sketch, concept, style="bare"))
    entry = Row(sketch, parts, gap=5)
    foot = entry.measure(width)[1]
    y1 -= foot + 5
    is_mine = rng.random() < 0.5
    while True:
        bubble = Bubble(sketch, is_mine=is_mine)
        height = bubble.measure(width)[1]
        if y0 + height > y1:
            break
        bubble.draw(x0, y0, width, height)
        y0 += height + sketch.gap(3, 8)
        is_mine = is_mine if rng.random() < 0.3 else not is_mine
    entry.draw(x0, y1 + 3, width, foot)


def table(sketch: Sketch, area: Box) -> None:
    """Draw a table with what is done with it above, and pages below."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    parts: list[Block] = []
    if rng.random() < 0.5:
        parts.append(rng.choice((heading, texts.breadcrumbs))(sketch))
    if rng.random() < 0.7:
        parts.append(rng.choice((_table_tools, fields.search_bar, Tabs))(sketch))
    used = sum(part.measure(width)[1] + 8 for part in parts)
    rows = max(2, int((y1 - y0 - used - 30) / (sketch.base * 2.1)))
    body = Table(sketch, rows=min(rows, rng.randint(3, 12)))
    parts.append(card(sketch, body) if rng.random() < 0.3 else body)
    if rng.random() < 0.6:
        parts.append(Pager(sketch))
    Column(sketch, parts, gap=sketch.gap(4, 9)).draw(x0, y0, width, y1 - y0)


def links(sketch: Sketch, area: Box) -> None:
    """Draw columns of small links under headings, as at the foot of a site or in its index."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    size = rng.choice((0.8, 0.88, 0.95, 1))
    columns = max(1, min(rng.randint(2, 4), int(width / (sketch.base * 7))))
    gap = sketch.gap(1, 7)
    while y1 - y0 > sketch.base * 3:
        groups: list[Block] = []
        count = rng.randint(2, 7)
        for _ in range(columns):
            title = sketch.phrases.of(stock.PLACES, 14)
            bold = sketch.style(size * 1.05, rng.choice((1, 2)))
            lines: list[Block] = [Label(sketch, title, bold, role="heading")]
            lines += [link(sketch, size=size) for _ in range(count)]
            groups.append(Column(sketch, lines, gap=gap))
        grid = Grid(sketch, groups, columns, gap=10)
        y0 += grid.draw_at(x0, y0, width) + sketch.gap(6, 14)
        if rng.random() < 0.5:
            extra = rng.choice((buttons.icon_buttons, texts.links, texts.paragraph))(sketch)
            y0 += extra.draw_at(x0, y0, width) + 6


def feed(sketch: Sketch, area: Box) -> None:
    """Draw posts or notes: a person, a text, and icons and links to react with."""
    reactions = sketch.rng.sample(
        ("heart", "chat", "share", "bookmark", "thumb", "more", "star", "undo"), 4
    )
    make = item_maker(sketch)

    def post(sketch: Sketch) -> Block:
        concepts = reactions[: sketch.rng.randint(2, 4)]
        icons: list[Block] = [IconButton(sketch, concept, style="bare") for concept in concepts]
        if sketch.chance(0.4):
            icons += [Space(sketch), link(sketch, size=0.9)]
        parts: list[Block] = [make(sketch), texts.paragraph(sketch), Row(sketch, icons, gap=7)]
        body = Column(sketch, parts, gap=3)
        return card(sketch, body) if sketch.theme.shadow or sketch.theme.roomy > 0.5 else body

    fill(sketch, area, [post], overflow=0.8)


def _group(sketch: Sketch, make: Maker) -> Column:
    """Make lists in frames of their own, as CSS kits have them, with a heading or text between."""
    rng, theme = sketch.rng, sketch.theme
    parts: list[Block] = []
    used = 0.0
    while used < sketch.height:
        rows: list[Block] = [make(sketch) for _ in range(rng.randint(2, 5))]
        ruled = [part for row in rows for part in (row, Rule(sketch))][:-1]
        inner = Column(sketch, ruled)
        parts.append(Panel(sketch, inner, padding=1, fill=theme.surface, border=theme.border))
        parts.append(rng.choice((heading, texts.text, texts.link, Button, Tabs))(sketch))
        used += sum(part.measure(sketch.width)[1] for part in parts[-2:])
    return Column(sketch, parts, gap=sketch.gap(4, 9))


def _list_head(sketch: Sketch) -> Row:
    parts: list[Block] = [heading(sketch, size=1.15), Space(sketch), link(sketch, size=0.9)]
    if sketch.chance(0.5):
        parts[2] = IconButton(sketch, sketch.rng.choice(("add", "filter", "more")))
    return Row(sketch, parts, gap=6)


def _table_tools(sketch: Sketch) -> Row:
    parts: list[Block] = [Button(sketch), Space(sketch)]
    for concept in sketch.rng.sample(("filter", "download", "refresh", "print", "settings"), 2):
        parts.append(IconButton(sketch, concept))
    if sketch.chance(0.5):
        parts.insert(1, Field(sketch, "search"))
    return Row(sketch, parts, gap=5)
