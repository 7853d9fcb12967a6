"""The size at which the model sees a screen: small ones are enlarged, and large ones shrunk."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.processing.patches import PatchSettings
from training.screens import Screen
from training.screens.scaling import scale_of, scaled, scaled_elements
from training.tasks import Turn

# Most batches are seen as the processor shows them; the others as if its least size were another,
# so that the model knows text of every size.
USUAL_SHARE = 0.7
OTHER_LEAST = (0.5, 1.5)  # parts of the processor's
# Of larger screens a batch has fewer, but never one alone: they name what others do not show.
PIXELS_A_SCREEN = 100_352
FEWEST = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """How a batch shows screens.

    Attributes:
        size: width and height in pixels.
        screens: how many.
    """

    size: tuple[int, int]
    screens: int


def draw_size(
    size: tuple[int, int], settings: PatchSettings, rng: random.Random
) -> tuple[int, int]:
    """Return the (width, height) at which a batch of screens of one size is seen.

    Args:
        size: width and height of the screens as they are, multiples of 28.
        settings: of the processor.
    """
    least = settings.min_pixels
    if rng.random() >= USUAL_SHARE:
        least = min(settings.max_pixels, round(least * rng.uniform(*OTHER_LEAST)))
    width, height = size
    settings = replace(settings, min_pixels=least)
    rows, columns = settings.target_size(settings.temporal_patch_size, height, width)
    return columns, rows


def screens_of(size: tuple[int, int], most: int) -> int:
    """Return how many screens that are seen at a size make a batch of about equal cost.

    Args:
        most: in a batch of small ones.
    """
    return min(most, max(FEWEST, round(most * PIXELS_A_SCREEN / (size[0] * size[1]))))


def show(
    screens: Sequence[Screen], asked: Sequence[Sequence[Turn]], size: tuple[int, int]
) -> tuple[list[Screen], list[list[Turn]]]:
    """Return screens of one size, and the turns about each, at the size at which they are seen."""
    scale = scale_of(screens[0], size)
    turns = [[_shown(turn, scale) for turn in about] for about in asked]
    return [scaled(screen, size) for screen in screens], turns


def _shown(turn: Turn, scale: tuple[float, float]) -> Turn:
    """A turn's texts count in thousandths of the screen, its element in pixels."""
    if turn.element is None:
        return turn
    return replace(turn, element=scaled_elements([turn.element], scale)[0])
