"""Bars at the edges of a screen: status, application, browser, window, navigation."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Row, Size, Space
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, ROUND, Color, contrast, ink_on, mix
from training.screens.widgets.buttons import Button
from training.screens.widgets.lists import Avatar
from training.screens.widgets.texts import Label, add_icon, write_centered


class StatusBar(Block):
    """The top line of a phone: time, signal, battery."""

    def __init__(self, sketch: Sketch, ground: Color) -> None:
        super().__init__(sketch)
        self._ground = ground
        self._time = sketch.phrases.time()
        self._percent = f"{sketch.rng.randint(1, 100)}%" if sketch.chance(0.5) else ""

    def measure(self, width: float) -> Size:
        return width, self.sketch.base * 1.5

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, ink = self.sketch, ink_on(self._ground)
        sketch.canvas.rectangle((x, y, x + width, y + height), self._ground)
        size, middle, right = sketch.base * 0.95, y + height / 2, x + width - 6
        battery = (right - size * 1.3, middle - size * 0.3, right, middle + size * 0.3)
        sketch.canvas.rectangle(battery, None, ink, radius=2)
        sketch.canvas.rectangle((battery[0] + 2, battery[1] + 2, right - 4, battery[3] - 2), ink)
        style = sketch.style(0.85, 1, ink)
        left = battery[0] - 4
        if self._percent:
            left -= sketch.text_width(self._percent, style)
            shown = sketch.write(left, middle, self._percent, style)
            sketch.add("text", shown, self._percent)
        sketch.icon(left - size * 0.8, middle, "wifi", size, ink)
        sketch.add("text", sketch.write(x + 8, middle, self._time, style), self._time)


class AppBar(Block):
    """The bar of an app: a way back or a menu, the title, icons to the right, or links."""

    def __init__(self, sketch: Sketch, *, is_phone: bool) -> None:
        super().__init__(sketch)
        rng, theme = sketch.rng, sketch.theme
        self.ground = theme.accent if rng.random() < 0.45 else theme.surface
        self._ink = ink_on(self.ground) if self.ground == theme.accent else theme.text
        self._height = sketch.base * 1.4 + sketch.gap(8, 22)
        self._size = sketch.base * rng.choice((1.2, 1.35, 1.5))
        first = rng.choice(("menu", "menu", "back", "back", "close", "", "home"))
        self._lead = sketch.use_concept(first) if first else ""
        self._icons = [sketch.new_concept() for _ in range(rng.randint(0, 4 if is_phone else 5))]
        self._title = sketch.phrases.of(stock.TITLES + stock.PLACES, 16)
        sketch.title = self._title
        self._style = sketch.style(rng.choice((1, 1.15, 1.3)), rng.choice((0, 1, 2)), self._ink)
        self._centered = is_phone and rng.random() < 0.3
        count = 0 if is_phone else rng.randint(0, 5)
        self._links = [sketch.phrases.of(stock.PLACES, 10) for _ in range(count)]
        has_button = count and self.ground != theme.accent and rng.random() < 0.5
        self._button = Button(sketch, size=0.95) if has_button else None
        self._gap = rng.choice((6, 8, 11))

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, size = self.sketch, self.sketch.theme, self._size
        middle, left, right = y + height / 2, x + 9, x + width - 9
        sketch.canvas.rectangle((x, y, x + width, y + height), self.ground)
        if self.ground == theme.surface:
            sketch.canvas.rectangle((x, y + height - 1, x + width, y + height), theme.border)
        if self._lead:
            add_icon(sketch, left + size / 2, middle, self._lead, size, self._ink)
            left += size + 10
        for concept in self._icons:
            if right - size - self._gap - left < sketch.base * 4:
                break
            add_icon(sketch, right - size / 2, middle, concept, size, self._ink)
            right -= size + self._gap
        if self._button and right - left > sketch.base * 16:
            own = self._button.measure(right - left)
            self._button.draw(right - own[0], middle - own[1] / 2, *own)
            right -= own[0] + 8
        shown = sketch.fit(self._title, right - left, self._style)
        own_width = sketch.text_width(shown, self._style)
        if self._centered:
            left = min(max(left, x + (width - own_width) / 2), right - own_width)
        sketch.add("heading", sketch.write(left, middle, shown, self._style), shown)
        self._draw_links(left + own_width + 16, middle, right)

    def _draw_links(self, left: float, middle: float, right: float) -> None:
        sketch = self.sketch
        style = sketch.style(0.95, 0, mix(self._ink, self.ground, 0.15))
        for text in self._links:
            own = sketch.text_width(text, style)
            if left + own > right:
                return
            sketch.add("link", sketch.write(left, middle, text, style), text)
            left += own + 14


class BottomBar(Block):
    """Navigation at the foot of a phone: three to five icons, most with names."""

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._has_names = rng.random() < 0.7
        count = rng.randint(3, 5)
        self._icons = [sketch.new_concept() for _ in range(count)]
        self._names = [sketch.phrases.of(stock.PLACES, 9) for _ in range(count)]
        self._active = rng.randrange(count)
        self._height = sketch.base * (2.5 if self._has_names else 1.8) + sketch.gap(4, 14)

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, base = self.sketch, self.sketch.theme, self.sketch.base
        sketch.canvas.rectangle((x, y, x + width, y + height), theme.surface)
        sketch.canvas.rectangle((x, y, x + width, y + 1), theme.border)
        each, size = width / len(self._icons), base * 1.35
        active = theme.accent if contrast(theme.accent, theme.surface) > 2 else theme.text
        for index, (concept, name) in enumerate(zip(self._icons, self._names, strict=True)):
            is_active = index == self._active
            color = active if is_active else theme.muted
            center = x + (index + 0.5) * each
            if not self._has_names:
                half = size * 0.8
                middle = y + height / 2
                sketch.icon(center, middle, concept, size, color)
                box = (center - half, middle - half, center + half, middle + half)
                sketch.add("icon", box, concept, state="selected" if is_active else "")
                continue
            sketch.icon(center, y + height * 0.36, concept, size, color)
            box = (x + index * each, y, x + (index + 1) * each, y + height)
            line = (box[0], y + height * 0.6, box[2], y + height * 0.95)
            shown = write_centered(sketch, line, name, sketch.style(0.8, 0, color))
            state = "selected" if is_active else ""
            sketch.add("tab", box, shown, state=state, icon=concept)


class WindowTitle(Block):
    """The title bar of a desktop window, with its three buttons."""

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        self._title = sketch.phrases.of(stock.TITLES + stock.PLACES, 24)
        sketch.title = sketch.title or self._title
        self._is_mac = sketch.chance(0.5)
        self._ground = mix(sketch.theme.background, sketch.theme.text, 0.1)
        self._centered = self._is_mac or sketch.chance(0.3)

    def measure(self, width: float) -> Size:
        return width, self.sketch.base * 1.9

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, middle = self.sketch, self.sketch.theme, y + height / 2
        sketch.canvas.rectangle((x, y, x + width, y + height), self._ground)
        if self._is_mac:
            colors = (COLORS["red"][3], COLORS["yellow"][2], COLORS["green"][4])
            for index, color in enumerate(colors):
                sketch.canvas.circle(x + 12 + index * 14, middle, 4.5, color)
        else:
            close = x + width - 14
            add_icon(sketch, close, middle, "close", sketch.base * 1.05, theme.text)
            sketch.canvas.rectangle(
                (close - 30, middle - 4, close - 22, middle + 4), None, theme.text
            )
            sketch.canvas.rectangle((close - 56, middle, close - 48, middle + 1), theme.text)
        style = sketch.style(0.95, sketch.rng.choice((0, 1)))
        room = width - 140
        shown = sketch.fit(self._title, room, style)
        left = x + 10
        if self._centered:
            left = x + (width - sketch.text_width(shown, style)) / 2
        sketch.add("heading", sketch.write(left, middle, shown, style), shown)


class BrowserBar(Block):
    """A browser's bar: back, forward, reload, the address, and a few icons."""

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        path = f"/{sketch.phrases.word()}" if rng.random() < 0.5 else ""
        self._address = sketch.phrases.address() + path
        self._first = ("back", "forward", "refresh", "home")[: rng.randint(2, 4)]
        last = rng.sample(("star", "bookmark", "download", "user", "more", "menu", "share"), 3)
        self._last = tuple(last[: rng.randint(1, 3)])
        self._ground = mix(sketch.theme.background, sketch.theme.text, 0.06)

    def measure(self, width: float) -> Size:
        return width, self.sketch.base * 1.35 + 14

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, size = self.sketch, self.sketch.theme, self.sketch.base * 1.2
        middle, left, right = y + height / 2, x + 8, x + width - 8
        sketch.canvas.rectangle((x, y, x + width, y + height), self._ground)
        for concept in self._first:
            add_icon(sketch, left + size / 2, middle, concept, size, theme.text)
            left += size + 8
        for concept in self._last:
            add_icon(sketch, right - size / 2, middle, concept, size, theme.text)
            right -= size + 8
        box = (left, y + 4, right, y + height - 4)
        if right - left < 40:
            return
        sketch.canvas.rectangle(box, theme.surface, theme.border, radius=ROUND)
        style = sketch.style(0.95)
        inner = left + 10
        if right - left > 120:
            sketch.icon(left + 12, middle, "lock", sketch.base * 0.95, theme.muted)
            inner = left + 24
        shown = sketch.fit(self._address, right - inner - 8, style)
        sketch.write(inner, middle, shown, style)
        sketch.add("text field", box, shown, value=shown)


class LinkBar(Block):
    """A thin bar of small links, as at the foot of a page."""

    def __init__(self, sketch: Sketch) -> None:
        super().__init__(sketch)
        rng, theme = sketch.rng, sketch.theme
        self._ground = mix(theme.background, theme.text, rng.choice((0.04, 0.08, 0.85)))
        ink = ink_on(self._ground)
        style = sketch.style(rng.choice((0.8, 0.85, 0.9)), 0, mix(ink, self._ground, 0.2))
        texts = [sketch.phrases.of(stock.LINKS, 14) for _ in range(rng.randint(2, 6))]
        parts: list[Block] = [Label(sketch, text, style, role="link") for text in texts]
        if rng.random() < 0.4:
            parts.append(Space(sketch))
            parts.append(Avatar(sketch, sketch.base * 1.3))
        self._row = Row(sketch, parts, gap=sketch.gap(8, 16))

    def measure(self, width: float) -> Size:
        return width, self.sketch.base * 1.4 + self.sketch.theme.roomy * 10

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        self.sketch.canvas.rectangle((x, y, x + width, y + height), self._ground)
        own = self._row.measure(width - 16)
        self._row.draw(x + 8, y + (height - own[1]) / 2, width - 16, own[1])
