"""Right and wrong answers as pictures: what was asked, the screen, the true and answered boxes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from grounding.draw import COLOURS
from grounding.evaluation.metrics import read_prediction
from grounding.fonts import Font, font_for
from grounding.parse import parse
from training.evaluation import PLACES, Answered

TILE_WIDTH = 300  # pixels, as all that follow
MAX_SCREEN_HEIGHT = 340
COLUMNS = 5
GAP = 12
LINE_HEIGHT = 17
TEXT_SIZE = 13
MAX_LINES = 3
RED, GREEN = COLOURS[0], COLOURS[2]
GROUND, INK, FAINT = "#ffffff", "#1c1c1c", "#667085"


@dataclass(frozen=True, slots=True)
class Example:
    """An answer, and the name of the set that its screen is of."""

    screens: str
    answered: Answered


def choose(examples: Sequence[Example], *, right: bool, count: int, seed: int) -> list[Example]:
    """Draw answers about places by lot: the sets in turn, and no screen twice.

    Fewer than ``count`` if there are not so many.
    """
    rng = random.Random(seed)
    fitting: dict[str, list[Example]] = {}
    for example in examples:
        question = example.answered.question
        if question.turn.task in PLACES and example.answered.right is right:
            fitting.setdefault(example.screens, []).append(example)
    for group in fitting.values():
        rng.shuffle(group)
    chosen: list[Example] = []
    shown: set[int] = set()
    while len(chosen) < count and any(fitting.values()):
        for group in fitting.values():
            while group:
                example = group.pop()
                screen = id(example.answered.question.screen)
                if screen not in shown:
                    shown.add(screen)
                    chosen.append(example)
                    break
    return chosen[:count]


def draw_sheet(examples: Sequence[Example]) -> Image.Image:
    """Return all examples on one picture, in rows."""
    tiles = [_draw_tile(example) for example in examples]
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    heights = [max(tile.height for tile in row) for row in rows]
    width = GAP + min(COLUMNS, max(len(tiles), 1)) * (TILE_WIDTH + GAP)
    sheet = Image.new("RGB", (width, GAP + sum(height + GAP for height in heights)), GROUND)
    y = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (GAP + column * (TILE_WIDTH + GAP), y))
        y += height + GAP
    return sheet


def _draw_tile(example: Example) -> Image.Image:
    question = example.answered.question
    lines = list(_wrap(question.turn.question))[:MAX_LINES]
    thinking = ", thinking first" if question.thinking else ""
    note = f"{example.screens}, {question.turn.task}{thinking}"
    screen = _draw_screen(example.answered)
    top = LINE_HEIGHT * (len(lines) + 1) + 4
    tile = Image.new("RGB", (TILE_WIDTH, top + screen.height), GROUND)
    pen = ImageDraw.Draw(tile)
    for number, line in enumerate(lines):
        pen.text((0, number * LINE_HEIGHT), line, fill=INK, font=_font(line))
    pen.text((0, len(lines) * LINE_HEIGHT), note, fill=FAINT, font=_font(note))
    tile.paste(screen, (0, top))
    return tile


def _draw_screen(answered: Answered) -> Image.Image:
    """Return the screen, scaled to a tile, with the true box and what the answer points at."""
    screen = Image.fromarray(answered.question.screen.image)
    scale = min(TILE_WIDTH / screen.width, MAX_SCREEN_HEIGHT / screen.height)
    size = (round(screen.width * scale), round(screen.height * scale))
    image = screen.resize(size, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=FAINT)
    element = answered.question.turn.element
    if element is not None:
        _box(pen, element.box, scale, GREEN)
    prediction = read_prediction(parse(answered.answer, [screen.size]))
    if prediction is not None and prediction.box is not None:
        _box(pen, prediction.box, scale, RED)
    elif prediction is not None:
        x, y = (value * scale for value in prediction.point)
        pen.circle((x, y), 5, fill=RED, outline=GROUND, width=2)
    return image


def _box(
    pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], scale: float, colour: str
) -> None:
    x0, y0, x1, y1 = (round(value * scale) for value in box)
    # around it: a line inside would hide what is in a small one
    pen.rectangle((x0 - 2, y0 - 2, max(x0, x1) + 1, max(y0, y1) + 1), outline=colour, width=2)


def _wrap(text: str) -> Iterator[str]:
    """Yield lines that fit a tile; a word that is too long is cut by the tile's edge."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and _font(longer).getlength(longer) > TILE_WIDTH:
            yield line
            line = word
        else:
            line = longer
    if line:
        yield line


def _font(text: str) -> Font:
    font = font_for(text, TEXT_SIZE) or font_for("a", TEXT_SIZE)
    assert font is not None  # the one inside Pillow has every letter of English
    return font
