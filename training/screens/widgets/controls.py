"""Boxes to tick, switches, sliders and progress bars."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Row, Size, Wrap
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import ROUND, WHITE, ink_on, mix
from training.screens.widgets.texts import LINE_HEIGHT, Label, union


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
        canvas.rectangle(box, theme.surface, edge, radius=ROUND)
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
        sketch.canvas.rectangle(track, ground, radius=ROUND)
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


def checkbox(sketch: Sketch) -> Check:
    """Make a checkbox."""
    return Check(sketch)


def radios(sketch: Sketch) -> Wrap:
    """Make radio buttons, one of them on."""
    count = sketch.rng.randint(2, 4)
    chosen = sketch.rng.randrange(count)
    made = [Check(sketch, is_radio=True, on=i == chosen) for i in range(count)]
    return Wrap(sketch, made, gap=sketch.gap(4, 10))


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
