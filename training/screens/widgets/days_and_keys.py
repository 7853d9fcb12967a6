"""Calendars and keypads: grids of small buttons."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Size
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import ROUND, ink_on, mix
from training.screens.widgets.texts import add_icon, write_centered


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

    def _draw_day(self, box: Box, day: int) -> None:
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

    def _cell(self, x: float, y: float, each: float, column: int) -> Box:
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
        self._radius = rng.choice((ROUND, sketch.theme.radius))
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
