"""What opens above a page: dialogs, menus, sheets and short messages."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Column, Row, Space
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.widgets import buttons, controls, fields, lists, texts
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.texts import Alert, Label


def dialog(sketch: Sketch) -> None:
    """Draw a box in the middle: a question or a small form, and its buttons; the page is dimmed."""
    rng, base = sketch.rng, sketch.base
    width = min(sketch.width - 16, base * rng.choice((14, 17, 20)))
    padding = sketch.gap(7, 14)
    sketch.title = sketch.phrases.of(stock.TITLES, 18)
    bold = sketch.style(rng.choice((1.1, 1.2)), rng.choice((1, 2)))
    head: list[Block] = [Label(sketch, sketch.title, bold, role="heading")]
    if rng.random() < 0.5:
        head += [Space(sketch), IconButton(sketch, "close", style="bare")]
    parts: list[Block] = [Row(sketch, head)]
    makers = (texts.paragraph, texts.paragraph, fields.text_field, controls.checkbox)
    room = sketch.height - 30
    for _ in range(rng.randint(1, 3)):
        part = rng.choice((*makers, controls.radios, fields.dropdown))(sketch)
        if sum(p.measure(width)[1] + 8 for p in [*parts, part]) < room - 3 * base:
            parts.append(part)
    parts.append(_buttons(sketch))
    content = Column(sketch, parts, gap=sketch.gap(4, 9))
    height = content.measure(width - 2 * padding)[1] + 2 * padding
    left, top = (sketch.width - width) / 2, max(4, (sketch.height - height) / 2)
    box = (left, top, left + width, top + height)
    _window(sketch, box, dims=rng.random() < 0.75)
    content.draw(left + padding, top + padding, width - 2 * padding, height - 2 * padding)


def menu(sketch: Sketch) -> None:
    """Draw a menu that hangs at the top, under a corner or somewhere on the page."""
    rng, base = sketch.rng, sketch.base
    width = min(sketch.width - 12, base * rng.uniform(8, 12))
    items = [lists.menu_item(sketch) for _ in range(rng.randint(3, 6))]
    content = Column(sketch, items)
    while len(content.blocks) > 2 and content.measure(width)[1] > sketch.height - 20:
        content.blocks.pop()
    height = content.measure(width)[1] + 6
    left = rng.choice((4, sketch.width - width - 4, (sketch.width - width) * rng.random()))
    top = min(rng.choice((base * 2.2, sketch.height * rng.random())), sketch.height - height - 4)
    top = max(2, top)
    _window(sketch, (left, top, left + width, top + height))
    content.draw(left, top + 3, width, height - 6)


def sheet(sketch: Sketch) -> None:
    """Draw a sheet that has come up from the foot: actions, or a row of places to share to."""
    rng = sketch.rng
    parts: list[Block] = []
    if rng.random() < 0.5:
        parts.append(texts.heading(sketch, size=1.1))
    if rng.random() < 0.4:
        parts.append(buttons.icon_buttons(sketch, 4, 6))
    parts += [lists.menu_item(sketch) for _ in range(rng.randint(2, 4))]
    content = Column(sketch, parts, gap=2)
    width = sketch.width - 12
    while len(content.blocks) > 2 and content.measure(width)[1] > sketch.height * 0.7:
        content.blocks.pop()
    height = content.measure(width)[1] + 16
    top = sketch.height - height
    _window(sketch, (0, top, sketch.width, sketch.height + 12), dims=rng.random() < 0.7)
    grip = sketch.width / 2
    sketch.canvas.rectangle((grip - 14, top + 4, grip + 14, top + 7), sketch.theme.border, radius=2)
    content.draw(6, top + 11, width, height - 16)


def message(sketch: Sketch) -> None:
    """Draw a short message near the foot or the top."""
    alert = Alert(sketch)
    width = min(sketch.width - 12, sketch.base * 22)
    height = alert.measure(width)[1]
    left = (sketch.width - width) / 2
    top = sketch.rng.choice((6, sketch.height - height - 8))
    sketch.cover((left, top, left + width, top + height))
    alert.draw(left, top, width, height)


OVERLAYS = {"dialog": dialog, "menu": menu, "sheet": sheet, "message": message}


def _window(sketch: Sketch, box: Box, *, dims: bool = False) -> None:
    """Draw an empty window; ``dims``: everything behind it is darkened, else it casts a shadow."""
    theme = sketch.theme
    sketch.cover((box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2))
    radius = max(theme.radius, 4)
    if dims:
        sketch.canvas.dim(sketch.rng.choice((0.3, 0.45, 0.55)))
    else:
        sketch.canvas.shadow(box, theme.background, radius=radius)
    sketch.canvas.rectangle(box, theme.surface, theme.border, radius=radius)


def _buttons(sketch: Sketch) -> Row:
    names = ("Cancel", "OK", "Delete", "Save", "Discard", "Yes", "No", "Allow", "Deny", "Close")
    count = sketch.rng.randint(1, 2)
    made: list[Block] = [
        Button(sketch, sketch.phrases.of(names, 12, 0.8), style=style)
        for style in ("outline", "filled")[-count:]
    ]
    if sketch.chance(0.6):
        made.insert(0, Space(sketch))
    return Row(sketch, made, gap=6)
