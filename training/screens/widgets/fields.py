"""Fields to write in, drop-downs, search bars and steppers."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Column, Row, Size
from training.screens.sketch import Sketch
from training.screens.theme import FIELD_LOOKS, ROUND, mix
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.texts import LINE_HEIGHT, Label, add_icon, letters, write_centered


class Field(Block):
    """A field with its label above, and a value or a placeholder inside.

    ``kind``: ``"text"``, ``"dropdown"``, ``"search"``, ``"password"`` or ``"area"``, which is high.
    """

    grows = True

    def __init__(self, sketch: Sketch, kind: str = "text", *, label: str | None = None) -> None:
        super().__init__(sketch)
        rng, theme = sketch.rng, sketch.theme
        self._kind = kind
        if label is None:
            has_label = rng.random() < 0.75 and kind != "search"
            label = sketch.phrases.of(stock.FIELDS, 20, 0.65) if has_label else ""
        self._label = label
        self._label_style = sketch.style(
            rng.choice((0.85, 0.95, 1, 1)),
            rng.choice((0, 0, 1, 2)),
            theme.text if rng.random() < 0.65 else theme.muted,
        )
        self._has_value = rng.random() < 0.35
        self._value = self._choose_value()
        self._look = theme.field if rng.random() < 0.85 else rng.choice(FIELD_LOOKS)
        self._height = sketch.base * LINE_HEIGHT + sketch.gap(6, 16)
        if kind == "area":
            self._height *= rng.choice((1.8, 2.4))
        self._lead = ""
        if kind == "search":
            self._lead = "search" if rng.random() < 0.8 else ""
        elif rng.random() < 0.18:
            self._lead = sketch.new_concept()
        self._tail = {"password": "eye", "search": rng.choice(("close", "mic", "", "", "filter"))}
        self._label_gap = sketch.gap(2, 5)

    def measure(self, width: float) -> Size:
        return width, self._label_height() + self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, base = self.sketch, self.sketch.theme, self.sketch.base
        shown_label = ""
        if self._label:
            shown_label = sketch.fit(self._label, width, self._label_style)
            line = self._label_style.size * LINE_HEIGHT
            sketch.add(
                "text", sketch.write(x, y + line / 2, shown_label, self._label_style), shown_label
            )
            y += self._label_height()
        box = (x, y, x + width, y + self._height)
        self._draw_ground(x, y, width)
        middle = y + self._height / 2 if self._kind != "area" else y + base * 0.9 + 3
        left, right = x + (3 if self._look == "line" else 8), x + width - 8
        if self._lead:
            sketch.icon(left + base * 0.6, middle, self._lead, base * 1.15, theme.muted)
            left += base * 1.6
        tail = "down" if self._kind == "dropdown" else self._tail.get(self._kind, "")
        if tail:
            right -= base * 1.3
        color = theme.text if self._has_value else theme.faint
        style = sketch.style(1, 0, color)
        shown = sketch.fit(self._value, right - left, style) if self._value else ""
        if shown:
            sketch.write(left, middle, shown, style)
        role = "dropdown" if self._kind == "dropdown" else "text field"
        name = shown_label or shown or ("search" if self._kind == "search" else "")
        sketch.add(role, box, name, label=shown_label, value=shown, icon=self._lead)
        if tail == "down":
            sketch.icon(right + base * 0.6, middle, "down", base * 1.1, theme.muted)
        elif tail:
            add_icon(sketch, right + base * 0.6, middle, tail, base * 1.15, theme.muted)

    def _choose_value(self) -> str:
        sketch = self.sketch
        if self._kind == "password" and self._has_value:
            return "•" * sketch.rng.randint(5, 10)
        if self._kind == "search":
            return sketch.rng.choice(("Search", "Search...")) + (
                "" if sketch.chance(0.5) else f" {sketch.phrases.word()}"
            )
        if self._label and sketch.chance(0.35):
            return ""
        return sketch.phrases.placeholder(self._label, 20)

    def _label_height(self) -> float:
        return self._label_style.size * LINE_HEIGHT + self._label_gap if self._label else 0

    def _draw_ground(self, x: float, y: float, width: float) -> None:
        canvas, theme = self.sketch.canvas, self.sketch.theme
        x1, y1 = x + width, y + self._height
        if self._look == "line":
            canvas.rectangle((x, y1 - 1, x1, y1), theme.muted)
        elif self._look == "filled":
            ground = mix(theme.background, theme.text, 0.07)
            canvas.rectangle((x, y, x1, y1), ground, radius=theme.radius)
        else:
            radius = ROUND if self._look == "round" and self._kind != "area" else theme.radius
            canvas.rectangle((x, y, x1, y1), theme.surface, theme.border, radius=radius)


class Stepper(Block):
    """A number between a minus and a plus button."""

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        self._value = str(sketch.rng.randint(0, 20))
        self._side = sketch.base * LINE_HEIGHT + sketch.gap(3, 8)
        self._radius = sketch.rng.choice((sketch.theme.radius, ROUND))

    def measure(self, width: float) -> Size:
        return 3 * self._side, self._side

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, side = self.sketch, self.sketch.theme, self._side
        middle = y + height / 2
        for left, sign in ((x, "-"), (x + 2 * side, "+")):
            box = (left, middle - side / 2, left + side, middle + side / 2)
            sketch.canvas.rectangle(box, theme.surface, theme.border, radius=self._radius)
            write_centered(sketch, box, sign, sketch.style(1.2, 1))
            sketch.add("button", box, sign)
        style = sketch.style(1, 1)
        left = x + 1.5 * side - sketch.text_width(self._value, style) / 2
        sketch.add("text", sketch.write(left, middle, self._value, style), self._value)


def text_field(sketch: Sketch) -> Field:
    """Make a field of a random kind."""
    return Field(sketch, sketch.rng.choice(("text",) * 6 + ("password", "area")))


def dropdown(sketch: Sketch) -> Field:
    """Make a drop-down list, closed."""
    return Field(sketch, "dropdown")


class FieldBesideLabel(Block):
    """A field with its label to the left of it."""

    grows = True

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        text = sketch.phrases.of(stock.FIELDS, 14, 0.65)
        self._label = Label(sketch, text, sketch.style(1, sketch.rng.choice((0, 0, 1))))
        self._field = Field(sketch, sketch.rng.choice(("text", "text", "dropdown")), label="")

    def measure(self, width: float) -> Size:
        return self._field.measure(width)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        before = self._label.measure(width * 0.45)[0]
        self._label.draw(x, y, before, height)
        first = len(self.sketch.elements)
        self._field.draw(x + before + 8, y, width - before - 8, height)
        self.sketch.label_fields(first, self._label.text)


def search_bar(sketch: Sketch) -> Row:
    """Make a search field, often with a button or icons beside it."""
    parts: list[Block] = [Field(sketch, "search")]
    kind = sketch.rng.random()
    if kind < 0.3:
        parts.append(Button(sketch, "Search" if sketch.chance(0.5) else "Go", size=0.95))
    elif kind < 0.6:
        parts.append(IconButton(sketch, sketch.rng.choice(("filter", "search", "settings", "mic"))))
    return Row(sketch, parts, gap=sketch.gap(4, 8))


def field_pair(sketch: Sketch) -> Row:
    """Make two fields beside each other."""
    return Row(sketch, [Field(sketch), Field(sketch, "dropdown")], gap=8, fill=True)


def amount(sketch: Sketch) -> Row:
    """Make a name with a stepper."""
    name = sketch.phrases.label(letters(sketch, 90))
    return Row(sketch, [Label(sketch, name), Stepper(sketch)], gap=12)


def form(sketch: Sketch, count: int) -> Column:
    """Make ``count`` fields below each other, all with labels."""
    kinds = ("text", "text", "text", "dropdown", "password")
    labels = [sketch.phrases.of(stock.FIELDS, 20, 0.7) for _ in range(count)]
    made = [Field(sketch, sketch.rng.choice(kinds), label=label) for label in labels]
    return Column(sketch, made, gap=sketch.gap(4, 10))
