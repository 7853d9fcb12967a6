"""What every patch and every image token of a screen shows, for objectives that only train.

Order of patches: blocks of 2 x 2 in reading order, and in a block again in reading order, as the
processor cuts them. Order of image tokens: reading order; each covers one such block.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.screens.cells import cover, grid_of
from training.screens.icons import CONCEPTS
from training.screens.screen import CELL, PATCH, ROLES, Element, Screen

COLUMNS = 7  # of a patch, 2 pixels wide each
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:/@#$%+-'&?!()…_"
CHARACTER_CLASSES = len(CHARACTERS) + 2  # 0: nothing; the last: any other character
ROLE_CLASSES = len(ROLES) + 1  # 0: nothing
ICON_CLASSES = len(CONCEPTS) + 1  # 0: none
LETTER_PAIRS = 768  # kinds that pairs of letters are hashed to
# A line of text belongs to a patch that holds at least this share of its height,
LEAST_HEIGHT = 0.4
# which is this share of the font's size.
LINE_HEIGHT = 0.9

_CHARACTER_CLASS = {character: index + 1 for index, character in enumerate(CHARACTERS)}
_ROLE_CLASS = {role: index + 1 for index, role in enumerate(ROLES)}
_ICON_CLASS = {icon: index + 1 for index, icon in enumerate(CONCEPTS)}


@dataclass(frozen=True, slots=True, eq=False)
class PatchTargets:
    """Targets of N patches and of M = N / 4 image tokens.

    Attributes:
        characters: (N, 7) int16, the character in each column of a patch, 0 for none.
        role: (M,) int16, the role of the element that the image token shows, 0 for none.
        icon: (M,) int16, the concept of its icon, 0 for none.
        box: (M, 4) float32, its box in thousandths of the screen; 0 where there is none.
        offset: (M, 4) float32, asinh of its box from the middle of the image token, in image
            tokens; 0 where there is none.
        letters: (M, 768) bool, the hashed pairs of letters of its name; of icons none.
    """

    characters: NDArray[np.int16]
    role: NDArray[np.int16]
    icon: NDArray[np.int16]
    box: NDArray[np.float32]
    offset: NDArray[np.float32]
    letters: NDArray[np.bool_]


def targets(screen: Screen) -> PatchTargets:
    """Return what each patch and each image token of a screen shows."""
    rows, columns = grid_of(screen)
    owners = _owners(screen.elements, rows, columns)
    role, icon = np.zeros((2, rows * columns), np.int16)
    box, offset = np.zeros((2, rows * columns, 4), np.float32)
    letters = np.zeros((rows * columns, LETTER_PAIRS), np.bool_)
    owned = np.flatnonzero(owners >= 0)
    if len(owned):
        owner = owners[owned]
        role[owned] = np.array([_ROLE_CLASS[e.role] for e in screen.elements])[owner]
        icon[owned] = np.array([_icon_class(e) for e in screen.elements])[owner]
        pixels = np.array([e.box for e in screen.elements])[owner]
        size = np.array([screen.width, screen.height] * 2)
        box[owned] = np.clip(pixels / size * 1000, 0, 999)
        middle = np.stack((owned % columns, owned // columns, owned % columns, owned // columns), 1)
        offset[owned] = np.arcsinh(pixels / CELL - (middle + 0.5))
        names = [e.name if e.role != "icon" else "" for e in screen.elements]
        pairs = np.zeros((len(names), LETTER_PAIRS), np.bool_)
        for index, name in enumerate(names):
            if name:
                pairs[index, letter_pairs(name)] = True
        letters[owned] = pairs[owner]
    return PatchTargets(_characters(screen), role, icon, box, offset, letters)


def letter_pairs(name: str) -> list[int]:
    """Return the kinds of a name's pairs of letters, its start and end included, no case."""
    text = f"^{name.lower()}$"
    pairs = {a + b for a, b in zip(text, text[1:], strict=False)} - {"  "}
    return [zlib.crc32(pair.encode()) % LETTER_PAIRS for pair in sorted(pairs)]


def _icon_class(element: Element) -> int:
    return _ICON_CLASS.get(element.name if element.role == "icon" else element.icon, 0)


def _owners(elements: Sequence[Element], rows: int, columns: int) -> NDArray[np.int64]:
    """Return (image tokens,): the index of the element that each shows, -1 for none.

    Of the elements that cover its middle the smallest; but an element always has the token that
    holds its own middle, of several such elements the smallest.
    """
    owners = np.full(rows * columns, -1)
    if not elements:
        return owners
    boxes = np.array([element.box for element in elements])
    order = np.argsort((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), kind="stable")
    inside, own = cover(boxes[order], (rows, columns))  # smallest first
    covered = inside.any(0)
    owners[covered] = order[inside.argmax(0)[covered]]
    # where several are assigned the last counts: the smallest
    owners[own[::-1]] = order[::-1]
    return owners


def _characters(screen: Screen) -> NDArray[np.int16]:
    """Return (patches, 7): the character in each column of a patch."""
    rows, columns = screen.height // PATCH, screen.width // PATCH
    # which character was drawn last, -1 for none
    owner = np.full((rows, columns * COLUMNS), -1)
    drawn = screen.characters
    if drawn:
        kinds = np.array([_CHARACTER_CLASS.get(c.text, CHARACTER_CLASSES - 1) for c in drawn])
        x0, x1, middle, size = np.array([(c.x0, c.x1, c.center_y, c.size) for c in drawn]).T
        first = np.rint(x0 * COLUMNS / PATCH).astype(int)
        last = np.maximum(np.rint(x1 * COLUMNS / PATCH).astype(int), first + 1)  # exclusive
        first, last = first.clip(0, columns * COLUMNS), last.clip(0, columns * COLUMNS)
        top, bottom = middle - size * LINE_HEIGHT / 2, middle + size * LINE_HEIGHT / 2
        top_row = (top // PATCH).astype(int)
        width = last - first
        column = np.repeat(first - (width.cumsum() - width), width) + np.arange(width.sum())
        index = np.repeat(np.arange(len(drawn)), width)
        for step in range(int((bottom // PATCH - top_row).max()) + 1):
            row = top_row + step
            shared = np.minimum(bottom, (row + 1) * PATCH) - np.maximum(top, row * PATCH)
            is_shown = (shared >= LEAST_HEIGHT * (bottom - top)) & (row >= 0) & (row < rows)
            is_written = np.repeat(is_shown, width)
            # where two are assigned the last counts, as it is drawn over the other
            layer = np.full_like(owner, -1)
            layer[np.repeat(row, width)[is_written], column[is_written]] = index[is_written]
            np.maximum(owner, layer, out=owner)
        grid = np.where(owner >= 0, kinds[owner], 0).astype(np.int16)
    else:
        grid = np.zeros_like(owner, np.int16)
    blocks = grid.reshape(rows // 2, 2, columns // 2, 2, COLUMNS)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3, 4)).reshape(-1, COLUMNS)
