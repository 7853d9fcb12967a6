"""Pages to fill in: signing in, forms, settings."""

from __future__ import annotations

from training.screens import stock
from training.screens.blocks import Block, Column, Maker, Row, Rule, card, stack
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.widgets import controls, fields, lists, texts
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.controls import Check
from training.screens.widgets.fields import Field
from training.screens.widgets.texts import Label, heading, link


def login(sketch: Sketch, area: Box) -> None:
    """Draw a form to sign in or up, in the middle or on a side, often on a card."""
    rng = sketch.rng
    x0, y0, x1, y1 = area
    width = min(x1 - x0, rng.choice((150, 180, 220, 260, 320)))
    names = ("Email", "Username", "Phone number", "Email address", "Full name")
    parts: list[Block] = []
    if rng.random() < 0.7:
        parts.append(heading(sketch, sketch.phrases.of(("Sign in", "Log in", "Welcome back"), 18)))
    if rng.random() < 0.3:
        parts.append(texts.paragraph(sketch))
    parts.append(Field(sketch, label=sketch.phrases.of(names, 18, 0.7)))
    if rng.random() < 0.85:
        parts.append(Field(sketch, "password", label=sketch.phrases.of(("Password",), 14, 0.85)))
    if rng.random() < 0.5:
        last = link(sketch, size=0.88)
        both: list[Block] = [Check(sketch), last] if rng.random() < 0.6 else [Check(sketch)]
        parts.append(Row(sketch, both, gap=10))
    action = sketch.phrases.of(("Sign in", "Log in", "Continue", "Sign up", "Register"), 14, 0.8)
    parts.append(Button(sketch, action, style="filled", stretch=rng.random() < 0.75))
    if rng.random() < 0.45:
        parts.append(Rule(sketch))
        brands = [IconButton(sketch, style="outline") for _ in range(rng.randint(2, 4))]
        parts.append(Row(sketch, brands, gap=8))
    if rng.random() < 0.6:
        parts.append(link(sketch, size=0.9))
    form: Block = Column(sketch, parts, gap=sketch.gap(5, 11), align=rng.choice((0, 0, 0.5)))
    if rng.random() < 0.5:
        form = card(sketch, form)
    height = form.measure(width)[1]
    left = x0 + (x1 - x0 - width) * rng.choice((0, 0.5, 0.5, 0.5, 1))
    top = y0 + max(0, (y1 - y0 - height) * rng.choice((0, 0.3, 0.5)))
    form.draw(left, top, width, height)


def form(sketch: Sketch, area: Box) -> None:
    """Draw a longer form: fields, choices, and buttons at its end."""
    rng = sketch.rng
    x0, y0, x1, y1 = area
    width = x1 - x0
    makers: list[Maker] = [
        fields.text_field,
        fields.text_field,
        fields.text_field,
        fields.dropdown,
        fields.FieldBesideLabel,
        controls.checkbox,
        controls.radios,
        controls.Switch,
        fields.amount,
        controls.labelled_slider,
    ]
    if width > 180:
        makers += [fields.field_pair] * 3
    end = Row(sketch, _form_buttons(sketch), gap=sketch.gap(4, 9))
    foot = end.measure(width)[1]
    if rng.random() < 0.5:
        y0 += heading(sketch).draw_at(x0, y0, width) + 4
    gap = sketch.gap(4, 10)
    body = stack(sketch, width, y1 - y0 - foot - gap, makers, gap=gap, overflow=0)
    body.blocks.append(end)
    body.draw(x0, y0, width, y1 - y0)


def settings(sketch: Sketch, area: Box) -> None:
    """Draw rows of settings in groups with small headings, some on cards."""
    x0, y0, x1, y1 = area
    rng, width = sketch.rng, x1 - x0
    on_cards = rng.random() < 0.35
    small = sketch.style(rng.choice((0.8, 0.9)), rng.choice((0, 1, 2)), sketch.theme.accent_ink)
    while y1 - y0 > 3 * sketch.base:
        if rng.random() < 0.6:
            name = sketch.phrases.of(stock.SETTINGS + stock.PLACES, 18)
            name = name.upper() if rng.random() < 0.25 else name
            title = Label(sketch, name, small, role="heading")
            title.draw(x0 + 2, y0, width, small.size * 1.6)
            y0 += small.size * 1.6
        group: Block = Column(sketch, [lists.setting(sketch) for _ in range(rng.randint(1, 5))])
        group = card(sketch, group) if on_cards else group
        y0 += group.draw_at(x0, y0, width) + sketch.gap(2, 10)


def _form_buttons(sketch: Sketch) -> list[Block]:
    last = Button(sketch, style="filled")
    if sketch.chance(0.35):
        return [Button(sketch, style="filled", stretch=True)]
    if sketch.chance(0.6):
        return [last, Button(sketch, style=sketch.rng.choice(("outline", "bare", "soft")))]
    return [last]
