"""Boxes fit what is drawn: each part of a screen is drawn alone, and its ink is compared."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from training.materials import Materials
from training.screens import stock
from training.screens.blocks import Block, Row
from training.screens.canvas import Canvas
from training.screens.screen import Box
from training.screens.sketch import Sketch
from training.screens.widgets import buttons, controls, fields, texts
from training.screens.widgets.buttons import Button, IconButton
from training.screens.widgets.controls import Slider, Switch
from training.screens.widgets.navigation import Tabs
from training.screens.widgets.texts import Alert, Badge

SIZE = (280, 140)
SEEDS = range(12)
# resampling spreads ink over the next pixel
SPREAD = 1.5

# parts of which all that is drawn belongs to an element
MAKERS: dict[str, Callable[[Sketch], Block]] = {
    "alert": Alert,
    "badge": Badge,
    "button": Button,
    "checkbox": controls.checkbox,
    "dropdown": fields.dropdown,
    "field": fields.text_field,
    "heading": texts.heading,
    "icon button": IconButton,
    "icon buttons": buttons.icon_buttons,
    "link": texts.link,
    "paragraph": texts.paragraph,
    "progress bar": lambda sketch: Slider(sketch, name="volume", is_progress=True),
    "radio buttons": controls.radios,
    "slider": lambda sketch: Slider(sketch, name="volume"),
    "stepper": fields.amount,
    "switch": Switch,
    "text": texts.text,
}


def draw_alone(
    materials: Materials, seed: int, make: Callable[[Sketch], Block]
) -> tuple[Sketch, np.ndarray, Box]:
    """Draw one part on an empty screen; return the sketch, changed pixels and where it stands."""
    sketch = Sketch(random.Random(seed), SIZE, materials)
    # on the ground of the theme, nothing else changes pixels
    empty = sketch.canvas.finish(without_jpeg()).astype(int)
    block = make(sketch)
    width, height = block.measure(SIZE[0] - 40)
    block.draw(20, 20, width, height)
    drawn = sketch.canvas.finish(without_jpeg()).astype(int)
    return sketch, np.abs(drawn - empty).max(axis=2) > 24, (20, 20, 20 + width, 20 + height)


def without_jpeg() -> random.Random:
    class Never(random.Random):
        def random(self) -> float:
            return 0.99

    return Never(0)


def covered(boxes: list[Box], grown: float) -> np.ndarray:
    """Mark the pixels in ``boxes``, each grown on all sides."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    for x0, y0, x1, y1 in boxes:
        across = (columns > x0 - grown) & (columns < x1 + grown)
        mask |= across & (rows > y0 - grown) & (rows < y1 + grown)
    return mask


@pytest.mark.parametrize("name", MAKERS)
def test_all_ink_lies_in_the_boxes_of_elements(name: str, materials: Materials) -> None:
    for seed in SEEDS:
        sketch, ink, _ = draw_alone(materials, seed, MAKERS[name])
        boxes = [element.box for element in sketch.elements]
        outside = ink & ~covered(boxes, SPREAD)
        assert not outside.any(), (seed, sketch.elements, np.argwhere(outside)[:5])


@pytest.mark.parametrize("name", ["button", "badge", "alert", "field", "dropdown"])
def test_boxes_of_grounded_parts_end_where_the_ground_ends(name: str, materials: Materials) -> None:
    def make(sketch: Sketch) -> Block:
        # a bare button has no ground to see
        return Button(sketch, style="filled") if name == "button" else MAKERS[name](sketch)

    checked = 0
    for seed in SEEDS:
        sketch, ink, _ = draw_alone(materials, seed, make)
        element = next(e for e in sketch.elements if e.role not in ("text", "icon"))
        x0, y0, x1, y1 = element.box
        inner = ink[round(y0) : round(y1), :]
        columns = np.flatnonzero(inner.any(axis=0))
        # grounds that are hardly visible against the page can't be measured
        if ink[round(y0) : round(y1), round(x0) : round(x1)].mean() < 0.9:
            continue
        checked += 1
        assert abs(columns[0] - x0) <= SPREAD
        assert abs(columns[-1] + 1 - x1) <= SPREAD
    assert checked or name in ("field", "dropdown")


@pytest.mark.parametrize("name", ["text", "link", "heading"])
def test_boxes_of_texts_are_as_wide_as_their_ink(name: str, materials: Materials) -> None:
    for seed in SEEDS:
        sketch, ink, _ = draw_alone(materials, seed, MAKERS[name])
        columns = np.flatnonzero(ink.any(axis=0))
        x0, _, x1, _ = sketch.elements[0].box
        # side bearings of the first and last letter belong to the box
        assert -SPREAD <= columns[0] - x0 <= 3 + SPREAD
        assert -SPREAD <= x1 - columns[-1] - 1 <= 3 + SPREAD


@pytest.mark.parametrize("name", MAKERS)
def test_parts_keep_to_the_size_they_measured(name: str, materials: Materials) -> None:
    for seed in SEEDS:
        sketch, ink, place = draw_alone(materials, seed, MAKERS[name])
        # an icon without a ground may be a little larger than its square
        slack = SPREAD + (0.2 * sketch.base if "icon" in name else 0)
        assert not (ink & ~covered([place], slack)).any(), seed


def test_what_a_bar_covers_is_no_element_any_more(materials: Materials) -> None:
    sketch = Sketch(random.Random(0), SIZE, materials)
    sketch.add("button", (10, 10, 60, 30), "Save")
    sketch.add("button", (10, 90, 60, 110), "Cancel")
    sketch.add("list item", (0, 60, 280, 84), "Partly")
    sketch.cover((0, 80, 280, 140))
    assert [(e.name, e.box) for e in sketch.elements] == [
        ("Save", (10, 10, 60, 30)),
        ("Partly", (0, 60, 280, 80)),
    ]


def test_an_element_whose_letters_are_covered_is_forgotten(materials: Materials) -> None:
    sketch = Sketch(random.Random(0), SIZE, materials)
    box = sketch.write(10, 50, "Remove all", sketch.style())
    sketch.add("text", box, "Remove all")
    sketch.cover((0, 0, 20, 140))
    assert sketch.elements == []
    assert "".join(character.text for character in sketch.canvas.characters) != "Removeall"


def test_a_row_leaves_out_what_does_not_fit(materials: Materials) -> None:
    sketch = Sketch(random.Random(0), SIZE, materials)
    row = Row(sketch, [Button(sketch, text) for text in stock.ACTIONS[:12]])
    width, height = row.measure(240)
    assert width <= 240
    row.draw(20, 20, width, height)
    assert 1 <= len(sketch.elements) < 12
    assert all(element.box[2] <= 260 for element in sketch.elements)


@pytest.mark.parametrize("width", [60, 140, 260])
def test_tabs_share_their_width(materials: Materials, width: int) -> None:
    sketch = Sketch(random.Random(3), SIZE, materials)
    tabs = Tabs(sketch, 4)
    tabs.draw(0, 0, *tabs.measure(width))
    assert all(element.box[2] <= width + 1 for element in sketch.elements)
    assert sum(element.state == "selected" for element in sketch.elements) == 1


def test_characters_stand_where_their_ink_is(materials: Materials) -> None:
    canvas = Canvas(*SIZE, 2, (255, 255, 255))
    face = canvas.face(materials.families["roboto"].regular, 16)
    canvas.text(10, 40, "HEN", face, (0, 0, 0))
    ink = canvas.finish(without_jpeg()).max(axis=2) < 128
    for character in canvas.characters:
        part = ink[:, round(character.x0) : round(character.x1)]
        rows = np.flatnonzero(part.any(axis=1))
        assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(character.center_y, abs=1)
