"""Screens at another size: the picture resampled as the image processor does it, boxes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from model.processing.resize import resize
from training.screens.screen import Box, Character, Element, Screen


def scaled(screen: Screen, size: tuple[int, int]) -> Screen:
    """Return a screen at another size.

    Args:
        size: width and height in pixels, multiples of 28.
    """
    scale = scale_of(screen, size)
    if scale == (1, 1):
        return screen
    return replace(
        screen,
        image=resampled(screen.image, size),
        elements=scaled_elements(screen.elements, scale),
        characters=tuple(_scaled_character(each, scale) for each in screen.characters),
    )


def resampled(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture, (rows, columns, 3) uint8, at another (width, height) in pixels."""
    width, height = size
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # a copy: it may be read-only
    seen: NDArray[np.uint8] = resize(pixels, height, width).permute(1, 2, 0).contiguous().numpy()
    return seen


def scale_of(screen: Screen, size: tuple[int, int]) -> tuple[float, float]:
    """Return by how much the width and the height grow."""
    return size[0] / screen.width, size[1] / screen.height


def scaled_elements(elements: Sequence[Element], scale: tuple[float, float]) -> tuple[Element, ...]:
    """Return elements with their boxes on a screen that has grown by ``scale``."""
    return tuple(replace(each, box=_scaled_box(each.box, scale)) for each in elements)


def _scaled_box(box: Box, scale: tuple[float, float]) -> Box:
    across, down = scale
    x0, y0, x1, y1 = box
    return x0 * across, y0 * down, x1 * across, y1 * down


def _scaled_character(character: Character, scale: tuple[float, float]) -> Character:
    across, down = scale
    return replace(
        character,
        x0=character.x0 * across,
        x1=character.x1 * across,
        center_y=character.center_y * down,
        size=character.size * down,
    )
