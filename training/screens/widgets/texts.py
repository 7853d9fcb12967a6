"""Labels, headings, paragraphs, links, badges and alerts."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Column, Row, Size
from training.screens.screen import Box
from training.screens.sketch import Sketch, Style
from training.screens.theme import COLORS, LINK_LOOKS, ROUND, Color, ink_on, mix

LINE_HEIGHT = 1.35
_PARAGRAPH_LINES = 3


def letters(sketch: Sketch, width: float) -> int:
    """Return about how many characters of ordinary text fit into ``width``."""
    return max(3, int(width / (sketch.base * 0.54)))


class Label(Block):
    """One line of text, shortened to the width there is."""

    def __init__(
        self,
        sketch: Sketch,
        text: str,
        style: Style | None = None,
        *,
        role: str = "text",
        underline: bool = False,
    ) -> None:
        super().__init__(sketch)
        self.text = text
        self._style = style or sketch.style()
        self._role = role
        self._underline = underline

    def measure(self, width: float) -> Size:
        own = self.sketch.text_width(self.text, self._style) + 1
        return min(width, own), self._style.size * LINE_HEIGHT

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        shown = self.sketch.fit(self.text, width, self._style)
        box = self.sketch.write(x, y + height / 2, shown, self._style)
        if self._underline:
            below = box[3] - self._style.size * 0.12
            line = (box[0], below, box[2], below + 1)
            self.sketch.canvas.rectangle(line, self._style.color)
        if self._role:
            self.sketch.add(self._role, box, shown)


class Paragraph(Block):
    """A text over a few lines: one element."""

    grows = True

    def __init__(self, sketch: Sketch, text: str) -> None:
        super().__init__(sketch)
        self._text = text
        self._style = sketch.style(color=sketch.theme.muted)
        self._leading = self._style.size * sketch.rng.choice((1.25, 1.35, 1.5))

    def measure(self, width: float) -> Size:
        lines = self._wrapped(width)
        widest = max((self.sketch.text_width(line, self._style) for line in lines), default=0)
        return min(width, widest + 1), len(lines) * self._leading

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        boxes: list[Box] = []
        # lines below the edge of the screen are no part of what can be read
        visible = int((self.sketch.height - y) / self._leading + 0.5)
        lines = self._wrapped(width)[: max(0, visible)]
        for line in lines:
            boxes.append(self.sketch.write(x, y + self._leading / 2, line, self._style))
            y += self._leading
        if boxes:
            self.sketch.add("text", union(boxes), " ".join(lines))

    def _wrapped(self, width: float) -> list[str]:
        return self.sketch.wrap(self._text, width, self._style)[:_PARAGRAPH_LINES]


class Badge(Block):
    """A small coloured label, or a chip with a border."""

    def __init__(self, sketch: Sketch, text: str | None = None) -> None:
        super().__init__(sketch)
        rng, theme = sketch.rng, sketch.theme
        self._color_name = rng.choice(sorted(COLORS))
        color = rng.choice(COLORS[self._color_name])
        self._is_soft = rng.random() < 0.3
        self._fill: Color = mix(theme.surface, color, 0.18) if self._is_soft else color
        ink = theme.text if self._is_soft else ink_on(color)
        self._style = sketch.style(rng.choice((0.8, 0.85, 0.9)), rng.choice((0, 1, 2)), ink)
        self._text = text or (
            str(rng.randint(1, 99)) if rng.random() < 0.25 else sketch.phrases.label(10)
        )
        self._radius = rng.choice((3, ROUND))
        self._padding = rng.choice((3, 5, 6))

    def measure(self, width: float) -> Size:
        own = self.sketch.text_width(self._text, self._style) + 2 * self._padding + 1
        height = self._style.size * 1.5
        return min(width, max(own, height)), height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        box = (x, y, x + width, y + height)
        self.sketch.canvas.rectangle(box, self._fill, radius=self._radius)
        shown = write_centered(self.sketch, box, self._text, self._style, margin=self._padding)
        self.sketch.add("badge", box, shown, color=self._color_name)


class Alert(Block):
    """A message on a coloured ground, with an icon, and a cross to close it."""

    grows = True

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._color_name = rng.choice(("blue", "red", "green", "yellow", "orange", "gray"))
        color = rng.choice(COLORS[self._color_name])
        self._fill = mix(color, sketch.theme.background, rng.choice((0, 0, 0.75, 0.82)))
        self._strip = color if rng.random() < 0.25 else None
        self._style = sketch.style(1, rng.choice((0, 0, 1)), ink_on(self._fill))
        self._icon = (
            rng.choice(("info", "warning", "check", "bell", "")) if rng.random() < 0.6 else ""
        )
        self._closes = rng.random() < 0.45
        self._text = sketch.phrases.sentence(rng.choice((24, 34, 44)))
        self._height = sketch.base * LINE_HEIGHT + sketch.gap(8, 16)

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, base = self.sketch, self.sketch.base
        box = (x, y, x + width, y + height)
        sketch.canvas.rectangle(box, self._fill, radius=sketch.theme.radius)
        if self._strip:
            sketch.canvas.rectangle((x, y, x + 3, y + height), self._strip)
        left, right, middle = x + 8, x + width - 8, y + height / 2
        if self._icon:
            sketch.icon(left + base * 0.6, middle, self._icon, base * 1.2, self._style.color)
            left += base * 1.7
        if self._closes:
            right -= base * 1.4
        shown = sketch.fit(self._text, right - left, self._style)
        sketch.write(left, middle, shown, self._style)
        sketch.add("alert", box, shown, color=self._color_name, icon=self._icon)
        if self._closes:
            center = x + width - 8 - base * 0.55
            add_icon(sketch, center, middle, "close", base, self._style.color)


def heading(sketch: Sketch, text: str | None = None, size: float | None = None) -> Label:
    """Make a heading; the screen's first one is its title."""
    rng = sketch.rng
    style = sketch.style(size or rng.choice((1.15, 1.3, 1.5)), rng.choice((1, 2, 2)))
    text = text or sketch.phrases.of(stock.TITLES, 20)
    sketch.title = sketch.title or text
    return Label(sketch, text, style, role="heading")


def text(sketch: Sketch, length: int = 24) -> Label:
    """Make a line of ordinary or secondary text."""
    theme, rng = sketch.theme, sketch.rng
    style = sketch.style(rng.choice((0.88, 1, 1)), rng.choice((0, 0, 0, 1)))
    if rng.random() < 0.4:
        style = sketch.style(rng.choice((0.85, 0.9, 1)), 0, theme.muted)
    return Label(sketch, sketch.phrases.label(length), style)


def paragraph(sketch: Sketch) -> Paragraph:
    """Make a paragraph of one to three short lines."""
    return Paragraph(sketch, sketch.phrases.sentence(sketch.rng.choice((24, 36, 50, 64))))


def link(sketch: Sketch, *, size: float | None = None) -> Label:
    """Make a link: in the accent colour, underlined or both; most of a screen look alike."""
    rng, theme = sketch.rng, sketch.theme
    look = theme.link if rng.random() < 0.85 else rng.choice(LINK_LOOKS)
    text = sketch.phrases.of(stock.LINKS, 20, 0.5)
    color = theme.text if look == "underlined text" else theme.accent_ink
    weight = 1 if look == "medium" else 0
    style = sketch.style(size or rng.choice((0.8, 0.88, 1, 1)), weight, color)
    underline = look in ("underlined", "underlined text")
    return Label(sketch, text, style, role="link", underline=underline)


def links(sketch: Sketch) -> Row:
    """Make a row of small links, as below a form or at the foot of a page."""
    size = sketch.rng.choice((0.8, 0.85, 0.9, 1))
    made = [link(sketch, size=size) for _ in range(sketch.rng.randint(2, 5))]
    return Row(sketch, made, gap=sketch.gap(8, 16))


def bullets(sketch: Sketch) -> Column:
    """Make a list with bullets, of links or of texts."""
    size = sketch.rng.choice((0.9, 1, 1))
    is_links = sketch.chance(0.6)
    dot = Label(sketch, "•", sketch.style(size), role="")
    lines: list[Block] = []
    for _ in range(sketch.rng.randint(2, 5)):
        plain = Label(sketch, sketch.phrases.label(22), sketch.style(size))
        entry = link(sketch, size=size) if is_links else plain
        lines.append(Row(sketch, [dot, entry], gap=sketch.base * 0.5))
    return Column(sketch, lines, gap=sketch.gap(0, 4))


def breadcrumbs(sketch: Sketch) -> Row:
    """Make the path to this page: links with separators, then where one is."""
    rng, theme = sketch.rng, sketch.theme
    size = rng.choice((0.85, 0.9, 1))
    separator = rng.choice(("/", ">", "›", "·"))
    divider = sketch.style(size, 0, theme.muted)
    count = rng.randint(2, 4)
    parts: list[Block] = []
    for index in range(count):
        is_last = index == count - 1
        style = sketch.style(size, 0, theme.muted if is_last else theme.accent_ink)
        name = sketch.phrases.of(stock.PLACES, 12)
        part: Block = Label(sketch, name, style, role="text" if is_last else "link")
        if index:
            part = Row(sketch, [Label(sketch, separator, divider, role=""), part], gap=5)
        parts.append(part)
    return Row(sketch, parts, gap=5)


def write_centered(sketch: Sketch, box: Box, text: str, style: Style, *, margin: float = 2) -> str:
    """Write ``text`` in the middle of ``box``, shortened to it; return what was written."""
    width = box[2] - box[0]
    shown = sketch.fit(text, width - 2 * margin + 1, style)
    x = box[0] + (width - sketch.text_width(shown, style)) / 2
    sketch.write(x, (box[1] + box[3]) / 2, shown, style)
    return shown


def add_icon(sketch: Sketch, x: float, y: float, concept: str, size: float, color: Color) -> None:
    """Draw an icon without a ground and note it: its square and a little around it."""
    ink = sketch.icon(x, y, sketch.use_concept(concept), size, color)
    half = size / 2 + 1
    sketch.add("icon", union([ink, (x - half, y - half, x + half, y + half)]), concept)


def union(boxes: list[Box]) -> Box:
    """Return the smallest box around ``boxes``."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)
