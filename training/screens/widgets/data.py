"""Tables, and figures with charts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from training.screens import stock
from training.screens.blocks import Block, Size
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, Color, mix
from training.screens.widgets.controls import Slider
from training.screens.widgets.texts import LINE_HEIGHT, Badge, add_icon, letters

_ROW_ACTIONS = ("edit", "trash", "more", "eye", "download", "copy", "share", "star")


class Table(Block):
    """Column headers over rows of cells; the last column may hold a badge or icons."""

    grows = True

    def __init__(self, sketch: Sketch, *, rows: int) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        columns = min(rng.randint(2, 4), max(2, sketch.width // 90))
        length = max(4, letters(sketch, sketch.width / columns - 8))
        self._headers = [sketch.phrases.of(stock.COLUMNS, min(10, length)) for _ in range(columns)]
        makers = [self._choose_column(length) for _ in range(columns)]
        self._rows = [[make() for make in makers] for _ in range(rows)]
        self._last = rng.choice(("text", "text", "badge", "icons"))
        self._badges = [Badge(sketch, sketch.phrases.of(stock.CELLS, 10)) for _ in range(rows)]
        self._actions = rng.sample(_ROW_ACTIONS, rng.randint(1, 2))
        self._row_height = sketch.base * LINE_HEIGHT + sketch.gap(3, 12)
        self._look = rng.choice(("lines", "lines", "stripes", "boxed"))
        self._head_fill = rng.random() < 0.5
        self._style = sketch.style(rng.choice((0.88, 0.95, 1)))

    def measure(self, width: float) -> Size:
        return width, self._row_height * (len(self._rows) + 1)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, row_height = self.sketch, self.sketch.theme, self._row_height
        right = x + width
        if self._head_fill:
            ground = mix(theme.background, theme.text, 0.08)
            sketch.canvas.rectangle((x, y, right, y + row_height), ground)
        bold = replace(self._style, weight=2 if self._head_fill else 1)
        each = width / len(self._headers)
        for column, text in enumerate(self._headers):
            shown = sketch.fit(text, each - 8, bold)
            box = sketch.write(x + column * each + 4, y + row_height / 2, shown, bold)
            sketch.add("column header", box, shown)
        for index, cells in enumerate(self._rows):
            y += row_height
            if y > sketch.height:
                break
            if self._look == "stripes" and index % 2 == 0:
                stripe = mix(theme.background, theme.text, 0.04)
                sketch.canvas.rectangle((x, y, right, y + row_height), stripe)
            elif self._look != "stripes":
                sketch.canvas.rectangle((x, y, right, y + 1), theme.border)
            for column, text in enumerate(cells):
                is_last = column == len(cells) - 1
                self._draw_cell(x + column * each + 4, y, each - 8, text, index, is_last)
        if self._look == "boxed":
            top = y - row_height * len(self._rows)
            sketch.canvas.rectangle((x, top, right, y + row_height), None, theme.border)

    def _draw_cell(
        self, x: float, y: float, width: float, text: str, row: int, is_last: bool
    ) -> None:
        sketch, middle = self.sketch, y + self._row_height / 2
        if is_last and self._last == "badge":
            own = self._badges[row].measure(width)
            self._badges[row].draw(x, middle - own[1] / 2, *own)
            return
        if is_last and self._last == "icons":
            size = sketch.base * 1.1
            for concept in self._actions:
                add_icon(sketch, x + size / 2, middle, concept, size, sketch.theme.muted)
                x += size + 6
            return
        shown = sketch.fit(text, width, self._style)
        sketch.add("cell", sketch.write(x, middle, shown, self._style), shown)

    def _choose_column(self, length: int) -> Callable[[], str]:
        phrases, rng = self.sketch.phrases, self.sketch.rng
        makers: tuple[Callable[[], str], ...] = (
            lambda: phrases.of(stock.CELLS, length),
            lambda: phrases.label(length),
            phrases.person,
            phrases.date,
            phrases.price,
            phrases.count,
        )
        return rng.choice(makers)


class Figure(Block):
    """A number with its name, an icon and sometimes a change or a progress bar."""

    grows = True

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng, phrases = sketch.rng, sketch.phrases
        self._name = phrases.of(stock.PLACES, 14, 0.5)
        self._value = rng.choice((phrases.price, phrases.percent, phrases.count))()
        self._icon = sketch.new_concept() if rng.random() < 0.6 else ""
        self._change = f"{rng.choice('+-')}{rng.randint(1, 40)}%" if rng.random() < 0.4 else ""
        self._bar = Slider(sketch, name=self._name, is_progress=True)
        self._has_bar = rng.random() < 0.25
        self._large = sketch.style(rng.choice((1.25, 1.5, 1.7)), rng.choice((1, 2)))

    def measure(self, width: float) -> Size:
        base = self.sketch.base
        bar = 12 if self._has_bar else 0
        return width, base * 1.3 + self._large.size * LINE_HEIGHT + bar

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, base = self.sketch, self.sketch.theme, self.sketch.base
        right = x + width
        if self._icon:
            side = base * 1.5
            add_icon(sketch, right - side / 2, y + side / 2, self._icon, side, theme.accent_ink)
            right -= side + 6
        muted = sketch.style(0.88, 0, theme.muted)
        name = sketch.fit(self._name, right - x, muted)
        sketch.add("text", sketch.write(x, y + base * 0.65, name, muted), name)
        y += base * 1.3
        line = self._large.size * LINE_HEIGHT
        shown = sketch.fit(self._value, right - x, self._large)
        box = sketch.write(x, y + line / 2, shown, self._large)
        sketch.add("text", box, shown)
        if self._change:
            is_up = self._change[0] == "+"
            color: Color = COLORS["green"][0] if is_up else COLORS["red"][0]
            style = sketch.style(0.85, 1, color)
            if box[2] + 6 + sketch.text_width(self._change, style) < x + width:
                change = sketch.write(box[2] + 6, y + line / 2, self._change, style)
                sketch.add("text", change, self._change, color="green" if is_up else "red")
        if self._has_bar:
            own = self._bar.measure(width)
            self._bar.draw(x, y + line + 1, width, own[1])


class Chart(Block):
    """Bars or a line, with names below: a picture, of which only the names are elements."""

    grows = True

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        names = rng.choice((stock.MONTHS[:6], stock.MONTHS[6:], stock.WEEKDAYS))
        self._names = names[: rng.randint(4, 7)]
        self._values = [rng.uniform(0.15, 1) for _ in self._names]
        self._is_line = rng.random() < 0.4
        self._height = sketch.base * rng.uniform(4.5, 7)

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme = self.sketch, self.sketch.theme
        foot = sketch.base * 1.3
        bottom = y + height - foot
        for part in (0, 0.5, 1):
            level = y + (height - foot - 1) * part
            sketch.canvas.rectangle((x, level, x + width, level + 1), theme.border)
        each = width / len(self._names)
        style = sketch.style(0.75, 0, theme.muted)
        points = []
        for index, (name, value) in enumerate(zip(self._names, self._values, strict=True)):
            center = x + (index + 0.5) * each
            top = bottom - value * (height - foot) * 0.9
            points.append((center, top))
            if not self._is_line:
                bar = (center - each * 0.3, top, center + each * 0.3, bottom)
                sketch.canvas.rectangle(bar, theme.accent, radius=min(2, theme.radius))
            left = center - sketch.text_width(name, style) / 2
            sketch.add("text", sketch.write(left, bottom + foot / 2, name, style), name)
        if self._is_line:
            sketch.canvas.lines(points, theme.accent, thickness=2)
            for point in points:
                sketch.canvas.circle(*point, 2.5, theme.accent)


def table(sketch: Sketch) -> Table:
    """Make a small table."""
    return Table(sketch, rows=sketch.rng.randint(2, 4))
