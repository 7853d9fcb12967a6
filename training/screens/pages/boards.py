"""Pages of tiles: dashboards, launchers, galleries, shops, keypads and calendars."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import (
    Block,
    Column,
    Grid,
    Maker,
    Panel,
    Row,
    Size,
    Space,
    card,
    fill,
    stack,
)
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, ROUND, contrast, ink_on, mix
from training.screens.widgets import buttons, lists, texts
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.controls import Slider
from training.screens.widgets.data import Chart, Figure, Table
from training.screens.widgets.days_and_keys import Calendar, Keypad
from training.screens.widgets.navigation import Tabs
from training.screens.widgets.pictures import Picture
from training.screens.widgets.texts import (
    Badge,
    Label,
    add_icon,
    heading,
    letters,
    write_centered,
)


class Tile(Block):
    """A large icon with its name below, as in a launcher."""

    grows = True

    def __init__(self, sketch: Sketch, look: str, size: float) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._icon = sketch.new_concept()
        self._look = look
        self._size = sketch.base * size
        self._color_name = rng.choice(sorted(COLORS))
        self._color = rng.choice(COLORS[self._color_name])
        self._name = sketch.phrases.of(stock.PLACES + stock.SETTINGS, letters(sketch, 66))

    def measure(self, width: float) -> Size:
        return width, self._size * 1.45 + self.sketch.base * 1.5

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, size = self.sketch, self.sketch.theme, self._size
        box = (x, y, x + width, y + height)
        center = (x + width / 2, y + size * 0.75)
        ink, name = theme.accent_ink, ""
        if self._look == "card":
            sketch.canvas.rectangle(box, theme.surface, theme.border, radius=theme.radius)
        elif self._look in ("square", "circle"):
            half = size * 0.7
            radius = ROUND if self._look == "circle" else size * 0.3
            around = (center[0] - half, center[1] - half, center[0] + half, center[1] + half)
            sketch.canvas.rectangle(around, self._color, radius=radius)
            ink, name = ink_on(self._color), self._color_name
        elif contrast(self._color, theme.background) > 2.4:
            ink, name = self._color, self._color_name
        scale = 0.85 if self._look in ("square", "circle") else 1
        sketch.icon(*center, self._icon, size * scale, ink)
        line = (x, y + height - sketch.base * 1.5, x + width, y + height)
        shown = write_centered(sketch, line, self._name, sketch.style(0.88))
        sketch.add("button", box, shown, icon=self._icon, color=name)


def launcher(sketch: Sketch, area: Box) -> None:
    """Draw a grid of apps or actions, each an icon with a name."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    look = rng.choice(("plain", "card", "square", "square", "circle"))
    size = rng.choice((1.7, 2, 2.4))
    columns = max(2, min(6, int(width / (sketch.base * rng.uniform(4.6, 6.5)))))
    rows = max(1, int((y1 - y0) / (sketch.base * (size * 1.45 + 1.9))))
    tiles = [Tile(sketch, look, size) for _ in range(columns * rows - rng.randint(0, columns - 1))]
    Grid(sketch, tiles, columns, gap=sketch.gap(4, 8)).draw(x0, y0, width, y1 - y0)


def icons(sketch: Sketch, area: Box) -> None:
    """Draw a toolbox: rows of icon buttons in groups, with small headings or links between."""
    rng = sketch.rng

    def row(sketch: Sketch) -> Block:
        return buttons.icon_buttons(sketch, 4, 11)

    def named(sketch: Sketch) -> Block:
        parts: list[Block] = [Label(sketch, sketch.phrases.of(stock.PLACES, 12)), Space(sketch)]
        parts += [IconButton(sketch, style="bare") for _ in range(rng.randint(1, 3))]
        return Row(sketch, parts, gap=7)

    makers: list[Maker] = [row, row, row, named, named, texts.links, buttons.mixed_buttons, Tabs]
    fill(sketch, area, makers)


def dashboard(sketch: Sketch, area: Box) -> None:
    """Draw figures on cards, a chart, a small table or list."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    columns = max(1, min(4, int(width / (sketch.base * 8.5))))

    def figures(sketch: Sketch) -> Block:
        made = [card(sketch, Figure(sketch)) for _ in range(columns)]
        return Grid(sketch, made, columns, gap=sketch.gap(4, 9))

    def chart(sketch: Sketch) -> Block:
        parts: list[Block] = [heading(sketch, size=1.05), Chart(sketch)]
        return card(sketch, Column(sketch, parts, gap=4))

    def chart_and_list(sketch: Sketch) -> Block:
        rows: list[Block] = [lists.any_item(sketch) for _ in range(2)]
        right = card(sketch, Column(sketch, [heading(sketch, size=1.05), *rows]))
        return Grid(sketch, [chart(sketch), right], 2, gap=6)

    makers: list[Maker] = [
        figures,
        figures,
        chart,
        lambda s: card(s, Table(s, rows=3)),
        Tabs,
        texts.breadcrumbs,
    ]
    if width > 300:
        makers += [chart_and_list, chart_and_list]
    y0 += figures(sketch).draw_at(x0, y0, width) + 6
    fill(sketch, (x0, y0, x1, y1), makers, overflow=rng.choice((0.2, 0.9)))


def gallery(sketch: Sketch, area: Box) -> None:
    """Draw cards with pictures: a shop, albums, films."""
    x0, y0, x1, y1 = area
    width, rng = x1 - x0, sketch.rng
    columns = max(1, min(4, int(width / (sketch.base * rng.uniform(7.5, 11)))))
    picture_height = width / columns * rng.uniform(0.45, 0.8)
    heart = rng.choice(("heart", "bookmark", "star", "cart", "more"))
    kind = rng.choice(("price", "link", "button", "plain", "badge"))

    def product(sketch: Sketch) -> Block:
        name = Label(sketch, sketch.phrases.label(letters(sketch, width / columns)))
        parts: list[Block] = [Picture(sketch, picture_height, radius=0), name]
        if kind == "price":
            price = Label(sketch, sketch.phrases.price(), sketch.style(1, 2))
            button = IconButton(sketch, heart, style="bare")
            parts.append(Row(sketch, [price, Space(sketch), button]))
        elif kind == "link":
            parts.append(texts.link(sketch, size=0.9))
        elif kind == "button":
            parts.append(Button(sketch, size=0.95))
        elif kind == "badge":
            parts.append(Badge(sketch))
        fill = sketch.theme.surface
        border = sketch.theme.border if rng.random() < 0.7 else None
        return Panel(sketch, Column(sketch, parts, gap=3), padding=4, fill=fill, border=border)

    each = product(sketch).measure(width / columns)[1]
    rows = int((y1 - y0) / each) + 1
    made = [product(sketch) for _ in range(rows * columns)]
    Grid(sketch, made, columns, gap=sketch.gap(4, 9)).draw(x0, y0, width, y1 - y0)


def keypad(sketch: Sketch, area: Box) -> None:
    """Draw a calculator or a telephone's keys, perhaps with a button below."""
    x0, y0, x1, y1 = area
    if y1 - y0 < 9 * sketch.base:
        sketch.kind = "icons"
        icons(sketch, area)
        return
    width = min(x1 - x0, (y1 - y0) * 1.1)
    left = x0 + (x1 - x0 - width) / 2
    foot = 0.0
    if sketch.chance(0.4):
        call = IconButton(sketch, sketch.rng.choice(("phone", "check", "close")), style="filled")
        foot = call.measure(width)[1] + 5
        call.draw(left, y1 - foot + 5, width, foot - 5)
    keys = Keypad(sketch, y1 - y0 - foot)
    keys.draw(left, y0, width, y1 - y0 - foot)


def calendar(sketch: Sketch, area: Box) -> None:
    """Draw a month, and what is planned below or beside it."""
    x0, y0, x1, y1 = area
    month = Calendar(sketch)
    wide = x1 - x0 > max(1.4 * (y1 - y0), 22 * sketch.base)
    width = (x1 - x0) * 0.55 if wide else x1 - x0
    height = month.draw_at(x0, y0, width)
    if wide:
        x0 += width + 10
    else:
        y0 += height + 6
    make = lists.item_maker(sketch)
    if y1 > y0:
        fill(sketch, (x0, y0, x1, y1), [make, make, texts.text])


def player(sketch: Sketch, area: Box) -> None:
    """Draw something that plays: a picture, its title, the position, and buttons."""
    x0, y0, x1, y1 = area
    rng, base = sketch.rng, sketch.base
    width, height = x1 - x0, y1 - y0
    name = sketch.phrases.label(20)
    sketch.title = sketch.title or name
    title = Label(sketch, name, sketch.style(1.2, 2), role="heading")
    artist = Label(sketch, sketch.phrases.person(), sketch.style(0.95, 0, sketch.theme.muted))
    muted = sketch.style(0.8, 0, sketch.theme.muted)
    times = [Label(sketch, sketch.phrases.time(), muted) for _ in range(2)]
    position = Row(sketch, [times[0], Slider(sketch, name=name), times[1]], gap=6)
    around = rng.sample(("heart", "share", "volume", "undo", "refresh", "download", "more"), 4)
    middle = rng.choice(("play", "pause"))
    concepts = [around[0], "back", middle, "forward", around[1]]
    keys = [
        IconButton(
            sketch,
            concept,
            style="filled" if concept == middle else "bare",
            size=base * (1.8 if concept == middle else 1.4),
        )
        for concept in concepts[0 if width > 150 else 1 : 5 if width > 150 else 4]
    ]
    last = Row(sketch, [Space(sketch), Row(sketch, keys, gap=base * 0.8), Space(sketch)])
    parts: list[Block] = [title, artist, position, last]
    if rng.random() < 0.4:
        sound = IconButton(sketch, "volume", style="bare")
        parts.append(Row(sketch, [sound, Slider(sketch, name="volume")], gap=6))
    used = sum(part.measure(width)[1] + 6 for part in parts)
    if height - used > 40:
        parts.insert(0, Picture(sketch, min(height - used - 6, width * 0.8)))
    Column(sketch, parts, gap=6, align=rng.choice((0, 0.5))).draw(x0, y0, width, height)


def editor(sketch: Sketch, area: Box) -> None:
    """Draw a tool for text or pictures: bars of icons around what is edited."""
    x0, y0, x1, y1 = area
    theme, rng = sketch.theme, sketch.rng
    bar = mix(theme.background, theme.text, 0.06)
    for _ in range(rng.randint(1, 2)):
        tools = buttons.icon_buttons(sketch, 5, 14)
        height = tools.measure(x1 - x0)[1] + 4
        sketch.canvas.rectangle((0, y0 - 2, sketch.width, y0 + height), bar)
        tools.draw(x0, y0, x1 - x0, height - 2)
        y0 += height + 3
    if rng.random() < 0.5 and y1 - y0 > 60:
        side = sketch.base * 2.2
        y = y0
        while y + side < y1 and rng.random() < 0.95:
            add_icon(
                sketch,
                x0 + side / 2,
                y + side / 2,
                sketch.new_concept(),
                sketch.base * 1.3,
                theme.text,
            )
            y += side
        x0 += side + 5
    if rng.random() < 0.4:
        Picture(sketch, y1 - y0).draw(x0, y0, x1 - x0, y1 - y0)
        return
    makers: list[Maker] = [texts.paragraph, texts.paragraph, heading]
    page = stack(sketch, x1 - x0 - 16, y1 - y0 - 12, makers)
    sketch.canvas.rectangle((x0, y0, x1, y1), theme.surface, theme.border)
    page.draw(x0 + 8, y0 + 6, x1 - x0 - 16, y1 - y0 - 12)
