"""Screens that are put together rather than drawn: elements where the tests want them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.processing import Glm4vProcessor
from training.screens.screen import ROLES, Character, Element, Screen

# few of each, so that things share their names, their colours and their icons
NAMES = (
    "Save", "Save draft", "Cancel", "Search", "Settings", "Anna Scott", "Edit", "Edit", "Delete",
    "12:30", "Email", "Notifications", "Help…", "Wi-Fi", "DONE", "What's new",
)  # fmt: skip
CONCEPTS = ("search", "close", "heart", "thumb", "user", "group", "settings", "down", "menu")
COLORS = ("red", "blue", "green", "", "")
STATES = {
    "checkbox": ("checked", "unchecked"),
    "radio button": ("checked", "unchecked"),
    "switch": ("on", "off"),
    "tab": ("selected", ""),
    "list item": ("selected", "", "", ""),
}


def make_screen(
    *elements: Element,
    size: tuple[int, int] = (252, 336),
    kind: str = "login",
    title: str = "",
    characters: tuple[Character, ...] = (),
) -> Screen:
    """Return a white screen of (width, height) pixels that is said to show these elements."""
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    return Screen(image, elements, characters, kind, title, is_dark=False)


def processor_of(folder: Path) -> Glm4vProcessor:
    """Return a checkpoint's processor that sees these small screens as they are."""
    processor = Glm4vProcessor.from_pretrained(folder)
    images = processor.image_processor
    images.settings = replace(images.settings, min_pixels=1)
    return processor


def random_screen(seed: int, size: tuple[int, int] = (280, 364)) -> Screen:
    """Return a screen with elements of all kinds in the cells of a grid, some of them empty."""
    rng = random.Random(seed)
    columns, rows = rng.randint(1, 4), rng.randint(3, 9)
    width, height = size[0] / columns, size[1] / rows
    elements: list[Element] = []
    for cell in range(columns * rows):
        if rng.random() < 0.15:
            continue
        x, y = cell % columns * width, cell // columns * height
        x0, y0 = x + rng.uniform(0, width / 4), y + rng.uniform(0, height / 4)
        x1, y1 = x + rng.uniform(width * 0.6, width), y + rng.uniform(height * 0.6, height)
        elements += _random_element(rng, (x0, y0, x1, y1))
    return make_screen(*elements, size=size, title=rng.choice(("", "Sign in")))


def _random_element(rng: random.Random, box: tuple[float, float, float, float]) -> list[Element]:
    role = rng.choice(ROLES)
    state = rng.choice(STATES[role]) if role in STATES else ""
    if role == "icon":
        return [Element(role, box, rng.choice(CONCEPTS), color=rng.choice(COLORS))]
    name = "" if role in ("slider", "progress bar") and rng.random() < 0.5 else rng.choice(NAMES)
    icon = rng.choice(CONCEPTS) if rng.random() < 0.15 else ""
    if role in ("text field", "dropdown"):
        x0, y0, x1, y1 = box
        middle = (y0 + y1) / 2
        label = Element("text", (x0, y0, x1 - 5, middle - 2), name)
        value = rng.choice(("", "", *NAMES))
        return [label, Element(role, (x0, middle, x1, y1), name, label=name, value=value)]
    color = rng.choice(COLORS) if role in ("button", "badge", "alert") else ""
    return [Element(role, box, name, color=color, state=state, icon=icon)]
