"""The frame of a screen: bars at its edges, drawn over what they cover."""

from __future__ import annotations

from training.screens.blocks import Block, Column
from training.screens.pages.bars import (
    AppBar,
    BottomBar,
    BrowserBar,
    LinkBar,
    StatusBar,
    WindowTitle,
)
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import mix
from training.screens.widgets.buttons import IconButton
from training.screens.widgets.lists import menu_item
from training.screens.widgets.texts import heading

_MIN_SIDEBAR_SCREEN = 300
_MIN_BAR_HEIGHT = 150
_SIDEBAR_SHARE = 0.2


class Frame:
    """Bars around an ``area`` for the page; phones and desktop windows have their own.

    Draw the page first and the frame then: bars cover what runs below them.
    """

    def __init__(self, sketch: Sketch) -> None:
        self._sketch = sketch
        rng = sketch.rng
        self._is_phone = sketch.height > sketch.width
        self._top: list[Block] = []
        self._bottom: list[Block] = []
        if sketch.height >= _MIN_BAR_HEIGHT:
            self._choose_bars()
        self._side: Column | None = None
        side_width = 0.0
        has_room = not self._is_phone and sketch.width >= _MIN_SIDEBAR_SCREEN
        if has_room and rng.random() < _SIDEBAR_SHARE:
            side_width = round(sketch.width * rng.uniform(0.24, 0.36))
            self._side = _side_menu(sketch, rng.randint(3, 8))
        self._fab = IconButton(sketch, style="filled", size=sketch.base * 1.6)
        self._has_fab = self._is_phone and rng.random() < 0.2
        top = sum(bar.measure(sketch.width)[1] for bar in self._top)
        bottom = sum(bar.measure(sketch.width)[1] for bar in self._bottom)
        margin = sketch.gap(4, 14)
        self._limits = (side_width, top, sketch.width, sketch.height - bottom)
        self.area: Box = (
            side_width + margin,
            top + sketch.gap(3, 10),
            sketch.width - margin,
            sketch.height - bottom - 3,
        )

    def _choose_bars(self) -> None:
        sketch, rng = self._sketch, self._sketch.rng
        app_bar = AppBar(sketch, is_phone=self._is_phone)
        if self._is_phone:
            has_app_bar = rng.random() < 0.8
            if rng.random() < 0.3:
                ground = app_bar.ground if has_app_bar else sketch.theme.background
                self._top.append(StatusBar(sketch, ground))
            if has_app_bar:
                self._top.append(app_bar)
            if rng.random() < 0.45 and sketch.height > 240:
                self._bottom.append(BottomBar(sketch))
            return
        large = sketch.height > 220
        if large and rng.random() < 0.2:
            self._top.append(WindowTitle(sketch))
        if large and rng.random() < 0.18:
            self._top.append(BrowserBar(sketch))
        if rng.random() < 0.5:
            self._top.append(app_bar)
        if large and rng.random() < 0.2:
            self._bottom.append(LinkBar(sketch))

    def draw(self) -> None:
        """Draw the bars, over whatever of the page lies below them."""
        sketch, theme = self._sketch, self._sketch.theme
        x0, top, x1, bottom = self._limits
        if self._has_fab:
            side = self._fab.measure(0)[0]
            box = (x1 - side - 9, bottom - side - 9, x1 - 9, bottom - 9)
            sketch.cover(box)
            self._fab.draw(box[0], box[1], side, side)
        y = 0.0
        for bar in self._top:
            y = self._draw_bar(bar, y)
        y = bottom
        for bar in self._bottom:
            y = self._draw_bar(bar, y)
        if self._side:
            ground = mix(theme.background, theme.text, 0.05)
            sketch.cover((0, top, x0, bottom))
            sketch.canvas.rectangle((0, top, x0, bottom), ground)
            sketch.canvas.rectangle((x0 - 1, top, x0, bottom), theme.border)
            self._draw_side(x0, top, bottom)

    def _draw_side(self, width: float, top: float, bottom: float) -> None:
        assert self._side is not None
        column = self._side
        while len(column.blocks) > 1 and column.measure(width - 8)[1] > bottom - top - 10:
            column.blocks.pop()
        column.draw(4, top + 6, width - 8, bottom - top)

    def _draw_bar(self, bar: Block, y: float) -> float:
        width = self._sketch.width
        height = bar.measure(width)[1]
        self._sketch.cover((0, y, width, y + height))
        bar.draw(0, y, width, height)
        return y + height


def _side_menu(sketch: Sketch, count: int) -> Column:
    blocks: list[Block] = [menu_item(sketch) for _ in range(count)]
    if sketch.chance(0.35):
        blocks.insert(0, heading(sketch, size=1.1))
    return Column(sketch, blocks, gap=sketch.gap(0, 3))
