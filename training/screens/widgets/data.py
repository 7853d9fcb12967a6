"""Tables, figures with charts, calendars and keypads."""

from __future__ import annotations

from collections.abc import Callable

from training.screens import stock
from training.screens.blocks import Block, Size
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, Color, ink_on, mix
from training.screens.widgets.controls import Slider
from training.screens.widgets.texts import (
    LINE_HEIGHT,
    Badge,
    add_icon,
    letters,
    write_centered,
)

_ROW_ACTIONS = ("edit", "trash", "more", "eye", "download", "copy", "share", "star")


class Table(Block):
    """Column headers over rows of cells; the last column may hold a badge or icons."""

    grows = True

    def __init__(self, sketch: Sketch, *, columns: int = 0, rows: int = 0) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        columns = columns or min(rng.randint(2, 4), max(2, sketch.width // 90))
        rows = rows or rng.randint(2, 6)
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
        bold = sketch.style(self._style.size / sketch.base, 2 if self._head_fill else 1)
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


class Calendar(Block):
    """A month: arrows, its name, weekdays and days, one of them chosen."""

    grows = True

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._title = f"{rng.choice(stock.MONTHS)} {rng.randint(2015, 2030)}"
        self._first = rng.randrange(7)
        self._days = rng.choice((28, 30, 31))
        self._chosen = rng.randint(1, self._days)
        self._line = sketch.base * rng.choice((1.5, 1.7, 2))

    def measure(self, width: float) -> Size:
        weeks = -(-(self._first + self._days) // 7)
        return width, self._line * (weeks + 2.2)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, line, base = self.sketch, self.sketch.theme, self._line, self.sketch.base
        middle = y + line / 2
        add_icon(sketch, x + base * 0.8, middle, "back", base * 1.2, theme.text)
        add_icon(sketch, x + width - base * 0.8, middle, "right", base * 1.2, theme.text)
        style = sketch.style(1.1, 1)
        title = sketch.fit(self._title, width - 4 * base, style)
        left = x + (width - sketch.text_width(title, style)) / 2
        sketch.add("heading", sketch.write(left, middle, title, style), title)
        y += line * 1.2
        each = width / 7
        small = sketch.style(0.78, 0, theme.muted)
        letters_shown = 3 if each > base * 2.6 else 2 if each > base * 1.8 else 1
        for column, weekday in enumerate(stock.WEEKDAYS):
            name = weekday[:letters_shown]
            write_centered(sketch, self._cell(x, y, each, column), name, small)
        y += line
        for day in range(1, self._days + 1):
            week, column = divmod(self._first + day - 1, 7)
            box = self._cell(x, y + week * line, each, column)
            self._draw_day(box, day)

    def _draw_day(self, box: tuple[float, float, float, float], day: int) -> None:
        sketch, theme = self.sketch, self.sketch.theme
        is_chosen = day == self._chosen
        ink = theme.text
        if is_chosen:
            x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, self._line * 0.46
            sketch.canvas.circle(x, y, half, theme.accent)
            ink = ink_on(theme.accent)
        size = min(0.9, 0.6 * (box[2] - box[0]) / sketch.base)
        shown = write_centered(sketch, box, str(day), sketch.style(size, 0, ink), margin=0)
        sketch.add("button", box, shown, state="selected" if is_chosen else "")

    def _cell(
        self, x: float, y: float, each: float, column: int
    ) -> tuple[float, float, float, float]:
        return x + column * each, y, x + (column + 1) * each, y + self._line


class Keypad(Block):
    """Keys of a calculator or a telephone, with what was typed above."""

    grows = True

    def __init__(self, sketch: Sketch, height: float) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._is_calculator = rng.random() < 0.5
        keys = "789/456*123-C0=+" if self._is_calculator else "123456789*0#"
        self._columns = 4 if self._is_calculator else 3
        self._keys = list(keys)
        self._typed = "".join(rng.choice("0123456789") for _ in range(rng.randint(2, 9)))
        self._height = height
        self._gap = rng.choice((2, 4, 7))
        self._radius = rng.choice((99, sketch.theme.radius))
        self._size = rng.choice((1.2, 1.5))

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme = self.sketch, self.sketch.theme
        display = sketch.style(1.7, 1)
        line = display.size * 1.4
        left = x + width - sketch.text_width(self._typed, display) - 4
        box = sketch.write(max(x, left), y + line / 2, self._typed, display)
        sketch.add("text", box, self._typed)
        y, height = y + line + 4, height - line - 4
        rows = len(self._keys) // self._columns
        across = (width - self._gap * (self._columns - 1)) / self._columns
        down = (height - self._gap * (rows - 1)) / rows
        for index, key in enumerate(self._keys):
            row, column = divmod(index, self._columns)
            left, top = x + column * (across + self._gap), y + row * (down + self._gap)
            key_box = (left, top, left + across, top + down)
            is_special = self._is_calculator and not key.isdigit()
            fill = theme.accent if is_special else mix(theme.background, theme.text, 0.07)
            sketch.canvas.rectangle(key_box, fill, radius=self._radius)
            ink = ink_on(theme.accent) if is_special else theme.text
            size = min(self._size, 0.75 * down / sketch.base)
            write_centered(sketch, key_box, key, sketch.style(size, 0, ink))
            name = theme.accent_name if is_special else ""
            sketch.add("button", key_box, key, color=name)


class Picture(Block):
    """A photograph's stand-in: a gradient with a few shapes."""

    grows = True

    def __init__(self, sketch: Sketch, height: float, *, radius: float | None = None) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._height = height
        names = sorted(COLORS)
        self._start = rng.choice(COLORS[rng.choice(names)])
        self._end = mix(rng.choice(COLORS[rng.choice(names)]), (255, 255, 255), rng.random() * 0.6)
        self._sun = mix(self._end, (255, 255, 255), 0.6)
        self._hill = mix(self._start, (0, 0, 0), 0.35)
        self._peaks = sorted(rng.uniform(0.05, 0.95) for _ in range(rng.randint(0, 3)))
        self._heights = [rng.uniform(0.3, 0.8) for _ in self._peaks]
        self._circle = (rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.22))
        self._radius = sketch.theme.radius if radius is None else radius

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        canvas, bottom = self.sketch.canvas, y + height
        canvas.gradient((x, y, x + width, bottom), self._start, self._end, radius=self._radius)
        across, down, size = self._circle
        radius = size * min(width, height)
        canvas.circle(
            x + radius + across * (width - 2 * radius), y + down * height, radius, self._sun
        )
        for peak, share in zip(self._peaks, self._heights, strict=True):
            top = bottom - share * height
            half = min(width * 0.3, peak * width, (1 - peak) * width)
            middle = x + peak * width
            canvas.polygon(
                [(middle - half, bottom), (middle, top), (middle + half, bottom)], self._hill
            )


def table(sketch: Sketch) -> Table:
    """Make a small table."""
    return Table(sketch, rows=sketch.rng.randint(2, 4))
