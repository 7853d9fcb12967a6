"""Buttons with texts, icon buttons, and rows of both."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Row, Size, Wrap
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, ROUND, Color, contrast, ink_on, mix
from training.screens.widgets.texts import LINE_HEIGHT, add_icon, union

_STYLES = (*("filled",) * 5, *("outline",) * 3, "soft", "soft", "bare")


class Button(Block):
    """A button with a text, and sometimes an icon before it."""

    def __init__(
        self,
        sketch: Sketch,
        text: str | None = None,
        *,
        style: str = "",
        stretch: bool = False,
        size: float = 1,
    ) -> None:
        super().__init__(sketch)
        rng, theme = sketch.rng, sketch.theme
        self.grows = stretch
        text = text or sketch.phrases.of(stock.ACTIONS, 18)
        self._text = text.upper() if rng.random() < 0.08 else text
        self._icon = sketch.new_concept() if rng.random() < 0.22 else ""
        self._padding = (sketch.gap(6, 15), sketch.gap(2, 7))
        style = style or rng.choice(_STYLES)
        self._color_name = theme.accent_name if rng.random() < 0.55 else rng.choice(sorted(COLORS))
        color = rng.choice(COLORS[self._color_name])
        if self._color_name == theme.accent_name:
            color = theme.accent
        self._fill: Color | None = None
        self._border: Color | None = None
        ink = color if contrast(color, theme.background) > 2.4 else theme.text
        if style == "filled":
            self._fill, ink = color, ink_on(color)
        elif style == "outline":
            self._border = ink if rng.random() < 0.6 else theme.border
            self._fill = theme.surface if rng.random() < 0.5 else None
            ink = ink if self._border == ink else theme.text
        elif style == "soft":
            self._fill, ink = mix(theme.background, theme.text, 0.09), theme.text
        if ink in (theme.text, theme.border) and style != "filled":
            self._color_name = ""
        self._style = sketch.style(size, rng.choice((0, 1, 1, 2)), ink)
        self._radius = theme.radius if theme.radius < 8 or rng.random() < 0.5 else ROUND

    def measure(self, width: float) -> Size:
        own = self._content() + 2 * self._padding[0]
        height = self._style.size * LINE_HEIGHT + 2 * self._padding[1]
        return width if self.grows else min(width, own), height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, box = self.sketch, (x, y, x + width, y + height)
        sketch.canvas.rectangle(box, self._fill, self._border, radius=self._radius)
        content = min(self._content(), width - 4)
        left, middle = x + (width - content) / 2, y + height / 2
        icon = self._icon if content > 3 * self._style.size else ""
        if icon:
            half = self._style.size * 0.6
            sketch.icon(left + half, middle, icon, 2 * half, self._style.color)
            left += 2 * half + 4
        shown = sketch.fit(self._text, x + width - 1 - left, self._style)
        sketch.write(left, middle, shown, self._style)
        sketch.add("button", box, shown, color=self._color_name, icon=icon)

    def _content(self) -> float:
        icon = self._style.size * 1.2 + 4 if self._icon else 0
        return self.sketch.text_width(self._text, self._style) + icon + 1


class IconButton(Block):
    """A button that shows an icon only: on a ground, in a border, or bare."""

    def __init__(
        self,
        sketch: Sketch,
        concept: str = "",
        *,
        size: float | None = None,
        style: str = "",
    ) -> None:
        super().__init__(sketch)
        rng, theme = sketch.rng, sketch.theme
        self._concept = sketch.use_concept(concept) if concept else sketch.new_concept()
        self._size = size or sketch.base * rng.choice((1.05, 1.2, 1.35, 1.6))
        self._padding = sketch.gap(3, 7)
        self._style = style or rng.choice(("bare", "bare", "filled", "outline", "soft"))
        self._color_name = ""
        self._fill: Color | None = None
        self._border: Color | None = None
        self._ink = rng.choice((theme.text, theme.text, theme.muted, theme.accent_ink))
        if self._style == "filled":
            self._color_name = rng.choice((theme.accent_name, *sorted(COLORS)))
            self._fill = rng.choice(COLORS[self._color_name])
            self._ink = ink_on(self._fill)
        elif self._style == "outline":
            self._border = theme.border
        elif self._style == "soft":
            self._fill = mix(theme.background, theme.text, 0.08)
            self._ink = theme.text
        self._radius = rng.choice((theme.radius, theme.radius, ROUND))

    def measure(self, width: float) -> Size:
        side = self._size + 2 * self._padding
        return side, side

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, side = self.sketch, self._size + 2 * self._padding
        center = (x + width / 2, y + height / 2)
        if self._style == "bare":
            add_icon(sketch, *center, self._concept, self._size, self._ink)
            return
        half = side / 2
        box = (center[0] - half, center[1] - half, center[0] + half, center[1] + half)
        sketch.canvas.rectangle(box, self._fill, self._border, radius=self._radius)
        ink = sketch.icon(*center, self._concept, self._size, self._ink)
        sketch.add("icon", union([box, ink]), self._concept, color=self._color_name)


def buttons(sketch: Sketch) -> Wrap:
    """Make a few buttons beside each other."""
    made = [Button(sketch) for _ in range(sketch.rng.randint(2, 4))]
    return Wrap(sketch, made, gap=sketch.gap(4, 9), lines=2)


def icon_buttons(sketch: Sketch, low: int = 3, high: int = 7) -> Row:
    """Make icon buttons of one look beside each other."""
    rng = sketch.rng
    style = rng.choice(("bare", "bare", "outline", "soft", "filled"))
    size = sketch.base * rng.choice((1.05, 1.2, 1.4))
    count = rng.randint(low, high)
    made = [IconButton(sketch, style=style, size=size) for _ in range(count)]
    return Row(sketch, made, gap=rng.choice((0, 2, 4, 8)))


def mixed_buttons(sketch: Sketch) -> Row:
    """Make a button or two and icon buttons in one row."""
    rng = sketch.rng
    made: list[Block] = [Button(sketch) for _ in range(rng.randint(1, 2))]
    made += [IconButton(sketch) for _ in range(rng.randint(1, 3))]
    rng.shuffle(made)
    return Row(sketch, made, gap=sketch.gap(4, 8))
