"""Buttons, icon buttons, boxes to tick, switches, sliders, tabs and what groups them."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Row, Size, Wrap
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, WHITE, Color, contrast, ink_on, mix
from training.screens.widgets.texts import LINE_HEIGHT, Label, add_icon, union, write_centered

_ROUND = 99
_FILLED = ("filled",) * 5
_STYLES = (*_FILLED, "outline", "outline", "outline", "soft", "soft", "bare")


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
        self._radius = theme.radius if theme.radius < 8 or rng.random() < 0.5 else _ROUND

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
        color: Color | None = None,
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
        self._ink = color or rng.choice((theme.text, theme.text, theme.muted, theme.accent_ink))
        if self._style == "filled":
            self._color_name = rng.choice((theme.accent_name, *sorted(COLORS)))
            self._fill = rng.choice(COLORS[self._color_name])
            self._ink = ink_on(self._fill)
        elif self._style == "outline":
            self._border = theme.border
        elif self._style == "soft":
            self._fill = mix(theme.background, theme.text, 0.08)
            self._ink = theme.text
        self._radius = rng.choice((theme.radius, theme.radius, _ROUND))

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


class Check(Block):
    """A checkbox or radio button with its label."""

    def __init__(self, sketch: Sketch, *, is_radio: bool = False, on: bool | None = None) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._is_radio = is_radio
        self._on = rng.random() < 0.5 if on is None else on
        self._side = max(9, round(sketch.base * rng.choice((0.9, 1, 1.15))))
        self._text = sketch.phrases.of(stock.SETTINGS, 24, 0.5)
        self._style = sketch.style()
        self._gap = sketch.gap(4, 8)

    def measure(self, width: float) -> Size:
        own = self._side + self._gap + self.sketch.text_width(self._text, self._style) + 1
        return min(width, own), max(self._side, self._style.size * LINE_HEIGHT)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, side, middle = self.sketch, self._side, y + height / 2
        box = (x, middle - side / 2, x + side, middle + side / 2)
        (self._draw_radio if self._is_radio else self._draw_box)(box)
        left = x + side + self._gap
        shown = sketch.fit(self._text, x + width - left, self._style)
        line = sketch.write(left, middle, shown, self._style)
        role = "radio button" if self._is_radio else "checkbox"
        state = "checked" if self._on else "unchecked"
        sketch.add(role, union([box, line]), shown, state=state)

    def _draw_box(self, box: Box) -> None:
        theme, canvas = self.sketch.theme, self.sketch.canvas
        x0, y0, x1, y1 = box
        if not self._on:
            canvas.rectangle(box, theme.surface, theme.muted, radius=2)
            return
        canvas.rectangle(box, theme.accent, radius=2)
        side, middle = x1 - x0, (y0 + y1) / 2
        tick = [(x0 + side * 0.22, middle), (x0 + side * 0.42, middle + side * 0.2)]
        tick.append((x0 + side * 0.78, middle - side * 0.22))
        canvas.lines(tick, ink_on(theme.accent), thickness=1.4)

    def _draw_radio(self, box: Box) -> None:
        theme, canvas = self.sketch.theme, self.sketch.canvas
        edge = theme.accent if self._on else theme.muted
        canvas.rectangle(box, theme.surface, edge, radius=_ROUND)
        if self._on:
            center, radius = (box[0] + box[2]) / 2, (box[2] - box[0]) * 0.26
            canvas.circle(center, (box[1] + box[3]) / 2, radius, theme.accent)


class Switch(Block):
    """A switch, with its label beside it unless it stands alone for ``name``."""

    def __init__(self, sketch: Sketch, *, name: str = "") -> None:
        super().__init__(sketch)
        self._name = name
        self._text = "" if name else sketch.phrases.of(stock.SETTINGS, 22, 0.5)
        self._on = sketch.chance(0.5)
        self._height = max(10, round(sketch.base * sketch.rng.choice((0.95, 1.1, 1.25))))
        self._length = self._height * sketch.rng.choice((1.75, 1.9))
        self._style = sketch.style()

    def measure(self, width: float) -> Size:
        own = self._length
        if self._text:
            own += 7 + self.sketch.text_width(self._text, self._style)
        return min(width, own), max(self._height, self._style.size * LINE_HEIGHT)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, middle = self.sketch, self.sketch.theme, y + height / 2
        half = self._height / 2
        track = (x, middle - half, x + self._length, middle + half)
        ground = theme.accent if self._on else mix(theme.background, theme.text, 0.28)
        sketch.canvas.rectangle(track, ground, radius=_ROUND)
        knob = x + (self._length - half if self._on else half)
        sketch.canvas.circle(knob, middle, half - 1.5, WHITE)
        box, name = track, self._name
        if self._text:
            left = x + self._length + 7
            name = sketch.fit(self._text, x + width - left, self._style)
            box = union([track, sketch.write(left, middle, name, self._style)])
        sketch.add("switch", box, name, state="on" if self._on else "off")


class Slider(Block):
    """A slider or a progress bar for ``name``."""

    grows = True

    def __init__(self, sketch: Sketch, *, name: str = "", is_progress: bool = False) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._name = name
        self._is_progress = is_progress
        self._value = rng.random()
        self._thickness = rng.choice((4, 6, 8, 12)) if is_progress else rng.choice((2, 3, 4))
        self._knob = rng.choice((4, 5, 6, 7))

    def measure(self, width: float) -> Size:
        return width, max(2 * self._knob, self._thickness) + 4

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        canvas, theme = self.sketch.canvas, self.sketch.theme
        middle, half = y + height / 2, self._thickness / 2
        ground = mix(theme.background, theme.text, 0.16)
        bar = (x, middle - half, x + width, middle + half)
        canvas.rectangle(bar, ground, radius=half)
        at = x + max(2, width * self._value)
        canvas.rectangle((x, middle - half, at, middle + half), theme.accent, radius=half)
        if self._is_progress:
            self.sketch.add(
                "progress bar", union([bar, (x, middle - 3, at, middle + 3)]), self._name
            )
            return
        at = min(max(at, x + self._knob), x + width - self._knob)
        canvas.circle(at, middle, self._knob, theme.accent)
        if self.sketch.theme.roomy > 0.5:
            canvas.circle(at, middle, self._knob - 2, WHITE)
        self.sketch.add(
            "slider", (x, middle - self._knob, x + width, middle + self._knob), self._name
        )


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
        style = sketch.style(self._style.size / sketch.base, self._style.weight, color)
        shown = write_centered(sketch, box, text, style)
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
            style = sketch.style(self._style.size / sketch.base, 0, color)
            shown = write_centered(sketch, box, text, style)
            name = theme.accent_name if is_active else ""
            sketch.add("button", box, shown, color=name)
            x += own + self._gap


def checkbox(sketch: Sketch) -> Check:
    """Make a checkbox."""
    return Check(sketch)


def radios(sketch: Sketch) -> Wrap:
    """Make radio buttons, one of them on."""
    count = sketch.rng.randint(2, 4)
    chosen = sketch.rng.randrange(count)
    made = [Check(sketch, is_radio=True, on=i == chosen) for i in range(count)]
    return Wrap(sketch, made, gap=sketch.gap(4, 10))


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


def labelled_slider(sketch: Sketch) -> Row:
    """Make a slider or progress bar with its name before it, and sometimes its value after."""
    rng = sketch.rng
    name = sketch.phrases.of(stock.SETTINGS, 14)
    slider = Slider(sketch, name=name, is_progress=rng.random() < 0.4)
    parts: list[Block] = [Label(sketch, name), slider]
    if rng.random() < 0.4:
        muted = sketch.style(0.9, 0, sketch.theme.muted)
        parts.append(Label(sketch, sketch.phrases.percent(), muted))
    return Row(sketch, parts, gap=8)
