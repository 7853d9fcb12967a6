"""Rows of lists and menus, avatars, and messages of a chat."""

from __future__ import annotations

from collections.abc import Callable

from training.screens import stock
from training.screens.blocks import Block, Size
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, ROUND, Color, ink_on, mix
from training.screens.widgets.controls import Switch
from training.screens.widgets.texts import add_icon, letters, union


class Avatar(Block):
    """A round or square picture of a person: a letter, an icon, or colours."""

    def __init__(self, sketch: Sketch, side: float) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._side = side
        self._color = rng.choice(COLORS[rng.choice(sorted(COLORS))])
        self._other = rng.choice(COLORS[rng.choice(sorted(COLORS))])
        self._radius = rng.choice((ROUND, ROUND, ROUND, 4))
        self._kind = rng.choice(("letter", "letter", "icon", "picture"))
        self._letter = rng.choice("ABCDEFGHIJKLMNOPRSTUVWZ")

    def measure(self, width: float) -> Size:
        return self._side, self._side

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, side = self.sketch, self._side
        top = y + (height - side) / 2
        box = (x, top, x + side, top + side)
        center = (x + side / 2, top + side / 2)
        if self._kind == "picture":
            sketch.canvas.gradient(box, self._color, self._other, radius=self._radius)
            sketch.canvas.circle(center[0], top + side * 0.42, side * 0.18, (236, 205, 180))
            return
        sketch.canvas.rectangle(box, self._color, radius=self._radius)
        ink = ink_on(self._color)
        if self._kind == "icon":
            sketch.icon(*center, "user", side * 0.6, ink)
            return
        style = sketch.style(side * 0.46 / sketch.base, 1, ink)
        left = center[0] - sketch.text_width(self._letter, style) / 2
        sketch.write(left, center[1], self._letter, style)


class ListItem(Block):
    """A row: something before it, one or two lines, and something at its end.

    ``tail``: ``"arrow"``, ``"switch"``, ``"value"``, ``"icon"``, ``"icons"``, ``"time"`` or ``""``;
    ``lead``: ``"icon"``, ``"tile"`` (an icon on colour), ``"avatar"`` or ``""``.
    """

    grows = True

    def __init__(
        self,
        sketch: Sketch,
        *,
        lead: str = "icon",
        tail: str = "arrow",
        two_lines: bool = False,
        text: str = "",
        ruled: bool = False,
        tail_concepts: tuple[str, ...] = (),
    ) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._text = text or sketch.phrases.label(letters(sketch, sketch.width * 0.5))
        self._second = sketch.phrases.sentence(rng.choice((20, 30, 40))) if two_lines else ""
        self._lead, self._tail, self._ruled = lead, tail, ruled
        self._icon = sketch.new_concept() if lead in ("icon", "tile") else ""
        self._tile = rng.choice(COLORS[rng.choice(sorted(COLORS))])
        self._height = sketch.base * (2.6 if two_lines else 1.5) + sketch.gap(6, 16)
        self._avatar = Avatar(sketch, min(self._height - 4, sketch.base * 2.2))
        self._style = sketch.style(1, rng.choice((0, 0, 1)))
        self._switch = Switch(sketch, name=self._text)
        self._value = rng.choice((sketch.phrases.time, sketch.phrases.count))()
        if tail == "value":
            self._value = sketch.phrases.label(8)
        self._concepts = tail_concepts or (sketch.new_concept(),)

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, theme, base = self.sketch, self.sketch.theme, self.sketch.base
        box, middle = (x, y, x + width, y + height), y + height / 2
        if self._ruled:
            sketch.canvas.rectangle((x, y + height - 1, x + width, y + height), theme.border)
        left = self._draw_lead(x + 7, middle)
        at = len(sketch.elements)
        right = self._draw_tail(left, x + width - 7, middle)
        shown = sketch.fit(self._text, right - left, self._style)
        line = middle - base * 0.62 if self._second else middle
        sketch.write(left, line, shown, self._style)
        # before its parts, as in a tree of elements
        tail_elements = sketch.elements[at:]
        del sketch.elements[at:]
        sketch.add("list item", box, shown, icon=self._icon)
        sketch.elements.extend(tail_elements)
        if self._second:
            muted = sketch.style(0.88, 0, theme.muted)
            second = sketch.fit(self._second, right - left, muted)
            sketch.add("text", sketch.write(left, middle + base * 0.68, second, muted), second)

    def _draw_lead(self, left: float, middle: float) -> float:
        """Draw what stands before the text; return where the text begins."""
        sketch, theme, base = self.sketch, self.sketch.theme, self.sketch.base
        if self._lead == "avatar":
            side = self._avatar.measure(0)[0]
            self._avatar.draw(left, middle - side / 2, side, side)
            return left + side + 8
        if self._lead == "tile":
            side = base * 1.7
            box = (left, middle - side / 2, left + side, middle + side / 2)
            sketch.canvas.rectangle(box, self._tile, radius=max(3, theme.radius))
            ink = ink_on(self._tile)
            sketch.icon(left + side / 2, middle, self._icon, base * 1.1, ink)
            return left + side + 8
        if self._lead == "icon":
            sketch.icon(left + base * 0.7, middle, self._icon, base * 1.3, theme.muted)
            return left + base * 1.4 + 8
        return left

    def _draw_tail(self, left: float, right: float, middle: float) -> float:
        """Draw what stands at the end; return where the text must end."""
        sketch, theme, base = self.sketch, self.sketch.theme, self.sketch.base
        if self._tail == "arrow":
            sketch.icon(right - base * 0.4, middle, "right", base * 1.1, theme.muted)
            return right - base * 1.3
        if self._tail == "switch":
            own = self._switch.measure(right)
            self._switch.draw(right - own[0], middle - own[1] / 2, *own)
            return right - own[0] - 6
        if self._tail in ("value", "time"):
            style = sketch.style(0.88, 0, theme.muted)
            line = middle if self._tail == "value" or not self._second else middle - base * 0.62
            start = right - sketch.text_width(self._value, style)
            if start - left < base * 4:
                return right
            sketch.add("text", sketch.write(start, line, self._value, style), self._value)
            return start - 6
        if self._tail in ("icon", "icons"):
            for concept in self._concepts[: 1 if self._tail == "icon" else 3]:
                if right - left < base * 6:
                    break
                add_icon(sketch, right - base * 0.65, middle, concept, base * 1.2, theme.muted)
                right -= base * 1.2 + 7
            return right - 2
        return right


class Bubble(Block):
    """A message of a chat: mine to the right in the accent colour, theirs to the left."""

    grows = True

    def __init__(self, sketch: Sketch, *, is_mine: bool) -> None:
        super().__init__(sketch)
        theme = sketch.theme
        self._is_mine = is_mine
        self._text = sketch.phrases.sentence(sketch.rng.choice((10, 20, 34, 46)))
        self._fill: Color = theme.accent if is_mine else mix(theme.background, theme.text, 0.1)
        self._style = sketch.style(1, 0, ink_on(theme.accent) if is_mine else theme.text)
        self._time = sketch.phrases.time() if sketch.chance(0.35) else ""

    def measure(self, width: float) -> Size:
        lines = self._lines(width)
        return width, len(lines) * self._leading() + 10 + (self.sketch.base if self._time else 0)

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        sketch, lines = self.sketch, self._lines(width)
        own = max(sketch.text_width(line, self._style) for line in lines) + 18
        left = x + width - own if self._is_mine else x
        bottom = y + len(lines) * self._leading() + 8
        radius = 10 if sketch.theme.radius > 2 else 3
        sketch.canvas.rectangle((left, y, left + own, bottom), self._fill, radius=radius)
        boxes: list[Box] = []
        for index, line in enumerate(lines):
            middle = y + 4 + (index + 0.5) * self._leading()
            boxes.append(sketch.write(left + 9, middle, line, self._style))
        sketch.add("text", union(boxes), " ".join(lines))
        if self._time:
            style = sketch.style(0.75, 0, sketch.theme.muted)
            start = left + (own - sketch.text_width(self._time, style) if self._is_mine else 0)
            at = bottom + sketch.base * 0.5
            sketch.add("text", sketch.write(start, at, self._time, style), self._time)

    def _lines(self, width: float) -> list[str]:
        return self.sketch.wrap(self._text, width * 0.72 - 18, self._style)

    def _leading(self) -> float:
        return self._style.size * 1.3


def item_maker(sketch: Sketch) -> Callable[[Sketch], ListItem]:
    """Choose a look that the items of one list share; return what makes them."""
    rng = sketch.rng
    lead = rng.choice(("icon", "icon", "tile", "avatar", "avatar", ""))
    tails = rng.choice(
        (("arrow",), ("time",), ("value", "arrow"), ("icon",), ("icons",), ("",), ("switch", ""))
    )
    two_lines = rng.random() < 0.4
    ruled = rng.random() < 0.55
    concepts = tuple(sketch.new_concept() for _ in range(3))
    is_person = lead == "avatar" and rng.random() < 0.7

    def make(sketch: Sketch) -> ListItem:
        return ListItem(
            sketch,
            lead=lead,
            tail=sketch.rng.choice(tails),
            two_lines=two_lines,
            ruled=ruled,
            tail_concepts=concepts,
            text=sketch.phrases.person() if is_person else "",
        )

    return make


def setting(sketch: Sketch) -> ListItem:
    """Make a row of settings."""
    rng = sketch.rng
    return ListItem(
        sketch,
        lead=rng.choice(("icon", "icon", "tile", "")),
        tail=rng.choice(("arrow", "arrow", "switch", "switch", "value", "")),
        two_lines=rng.random() < 0.25,
        text=sketch.phrases.of(stock.SETTINGS, 22),
        ruled=rng.random() < 0.4,
    )


def menu_item(sketch: Sketch) -> ListItem:
    """Make a row of a menu or a sidebar."""
    rng = sketch.rng
    group = rng.choice((stock.PLACES, stock.ACTIONS))
    lead, tail = rng.choice(("icon", "icon", "")), rng.choice(("", "", "", "value"))
    return ListItem(sketch, lead=lead, tail=tail, text=sketch.phrases.of(group, 16))


def any_item(sketch: Sketch) -> ListItem:
    """Make one row with a look of its own."""
    return item_maker(sketch)(sketch)
