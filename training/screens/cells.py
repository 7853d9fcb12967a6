"""Which image tokens boxes cover: cells of 28 x 28 pixels, in reading order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.screens.screen import CELL, Screen


def grid_of(screen: Screen) -> tuple[int, int]:
    """Return how many (rows, columns) of image tokens a screen has."""
    return screen.height // CELL, screen.width // CELL


def cover(
    boxes: NDArray[np.float64], grid: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which cells have their middle in a box, and the cell that holds the box's own middle.

    Args:
        boxes: (N, 4), pixels; N is at least 1.
        grid: (rows, columns) of cells.

    Returns:
        (N, cells) bool, and (N,) indices of cells.
    """
    rows, columns = grid
    x0, y0, x1, y1 = boxes.T[..., None]  # (N, 1) each
    x, y = (np.arange(count) * CELL + CELL / 2 for count in (columns, rows))
    in_row, in_column = (y0 <= y) & (y <= y1), (x0 <= x) & (x <= x1)
    inside = in_row[:, :, None] & in_column[:, None, :]
    row = np.minimum((y0 + y1)[:, 0] / 2 // CELL, rows - 1).astype(int)
    column = np.minimum((x0 + x1)[:, 0] / 2 // CELL, columns - 1).astype(int)
    return inside.reshape(len(boxes), -1), row * columns + column
