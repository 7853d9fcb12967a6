"""Numbers on the elements of a web page, by which GLM's web agent names them ("set of marks")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from grounding.draw import COLOURS
from grounding.fonts import font_for

_MIN_TEXT_PX = 10
_MAX_TEXT_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Mark:
    """An element that can be used: its number is its place in the list, from 0.

    Attributes:
        tag: of HTML, such as "button".
        text: what it says, or its label; "" for nothing.
        box: (x0, y0, x1, y1) in pixels of the screenshot.
    """

    tag: str
    text: str
    box: tuple[float, float, float, float]

    @property
    def center(self) -> tuple[float, float]:
        """Where a click goes, in pixels."""
        return ((self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2)


def draw_marks(screenshot: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """Return a copy with a frame around each element and its number in the top left corner."""
    canvas = screenshot.convert("RGB")
    pen = ImageDraw.Draw(canvas)
    size = max(_MIN_TEXT_PX, round(max(canvas.size) / 100))
    for number, mark in enumerate(marks):
        colour = COLOURS[number % len(COLOURS)]
        x0, y0, x1, y1 = (round(value) for value in mark.box)
        pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=1)
        text = str(number)
        font = font_for(text, size)
        if font is None:
            continue
        width = round(font.getlength(text)) + 3
        pen.rectangle((x0, y0, x0 + width, y0 + size + 2), fill=colour)
        pen.text((x0 + 2, y0), text, fill="white", font=font)
    return canvas


def list_marks(marks: Sequence[Mark]) -> str:
    """Return the elements as the prompt lists them; links are the kind that is not named."""
    entries = []
    for number, mark in enumerate(marks):
        kind = "" if mark.tag == "a" else f"<{mark.tag}> "
        text = " ".join(mark.text.split())[:_MAX_TEXT_CHARACTERS].replace('"', "'")
        entries.append(f'[{number}]: {kind}"{text}";')
    return "\t".join(entries)
