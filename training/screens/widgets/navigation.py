"""Tabs and numbers of pages."""

from __future__ import annotations

from dataclasses import replace

from training.screens import stock
from training.screens.blocks import Block, Size
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import ink_on, mix
from training.screens.widgets.texts import LINE_HEIGHT, write_centered


class Tabs(Block):
    """Tabs, one of them selected: underlined, pills, boxes or a group of toggles."""

    grows = True

    def __init__(self, sketch: Sketch, count: int = 0) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        count = count or rng.randint(2, 5)
        longest = 10 if count < 4 else 8
        self._texts = [sketch.phrases.of(stock.PLACES, longest) for _ in range(count)]
        self._active = rng.randrange(count)
        self._look = rng.choice(("line", "line", "pill", "box", "segments"))
        self._is_equal = rng.random() < 0.5 or self._look == "segments"
        self._padding = sketch.gap(5, 12)
        self._height = sketch.base * LINE_HEIGHT + sketch.gap(6, 14)
        self._style = sketch.style(rng.choice((0.9, 1)), rng.choice((0, 0, 1)))

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme = self.sketch, self.sketch.theme
        bottom, right = y + height, x + width
        if self._look == "segments":
            ground = mix(theme.background, theme.text, 0.08)
            sketch.canvas.rectangle((x, y, right, bottom), ground, radius=theme.radius)
        elif self._look != "pill":
            sketch.canvas.rectangle((x, bottom - 1, right, bottom), theme.border)
        # narrow screens show the first ones only, so that their names can be read
        texts = self._texts[: max(2, int(width / (4.2 * sketch.base)))]
        active = min(self._active, len(texts) - 1)
        for index, text in enumerate(texts):
            own = sketch.text_width(text, self._style) + 2 * self._padding
            own = width / len(texts) if self._is_equal else own
            if x + own > right + 1:
                break
            self._draw_tab((x, y, x + own, bottom), text, index == active)
            x += own

    def _draw_tab(self, box: Box, text: str, is_active: bool) -> None:
        sketch, theme, canvas = self.sketch, self.sketch.theme, self.sketch.canvas
        x0, y0, x1, y1 = box
        color = theme.accent_ink if is_active else theme.muted
        if self._look == "box" and is_active:
            canvas.rectangle(box, theme.surface, theme.border, radius=3)
            canvas.rectangle((x0 + 1, y1 - 2, x1 - 1, y1), theme.surface)
            color = theme.text
        elif self._look == "pill" and is_active:
            canvas.rectangle(box, theme.accent, radius=max(3, theme.radius))
            color = ink_on(theme.accent)
        elif self._look == "segments" and is_active:
            inner = (x0 + 2, y0 + 2, x1 - 2, y1 - 2)
            canvas.rectangle(inner, theme.surface, theme.border, radius=theme.radius)
            color = theme.text
        elif self._look == "line" and is_active:
            canvas.rectangle((x0, y1 - 2, x1, y1), theme.accent)
        shown = write_centered(sketch, box, text, replace(self._style, color=color))
        sketch.add("tab", box, shown, state="selected" if is_active else "")


class Pager(Block):
    """Numbers of pages, with steps back and forward."""

    grows = True

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        first, last = rng.choice((("Previous", "Next"), ("Prev", "Next"), ("‹", "›"), ("«", "»")))
        numbers = [str(number) for number in range(1, rng.randint(4, 7))]
        self._texts = [first, *numbers, last]
        self._active = rng.randrange(1, len(self._texts) - 1)
        self._gap = rng.choice((0, 0, 3, 6))
        self._style = sketch.style(rng.choice((0.9, 1)))
        self._height = sketch.base * LINE_HEIGHT + sketch.gap(4, 10)
        self._has_border = rng.random() < 0.7

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, right = self.sketch, self.sketch.theme, x + width
        for index, text in enumerate(self._texts):
            own = max(height, sketch.text_width(text, self._style) + 12)
            if x + own > right:
                return
            is_active = index == self._active
            box = (x, y, x + own, y + height)
            border = theme.border if self._has_border else None
            fill = theme.accent if is_active else None
            sketch.canvas.rectangle(box, fill, border, radius=min(4, theme.radius))
            color = ink_on(theme.accent) if is_active else theme.accent_ink
            shown = write_centered(sketch, box, text, replace(self._style, color=color))
            name = theme.accent_name if is_active else ""
            sketch.add("button", box, shown, color=name)
            x += own + self._gap
