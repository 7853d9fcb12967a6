"""Draws what a reply points at onto the image it was asked about."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from grounding.fonts import Font, font_for
from grounding.plates import PlateLayout, Rect
from grounding.result import Result

# Each carries white text at a contrast of 4.5 or more (WCAG 2.1, 1.4.3).
COLOURS = ("#d6203a", "#0067c0", "#19753c", "#7a3fe0", "#b34700", "#00727d", "#b0197e", "#5b5b00")
_HALO = "white"
_MAX_PLATE_SHARE = 0.45  # of the image's width
_MAX_PLATE_TEXTS = 18  # in heights of its text
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Stroke:
    """Sizes in pixels that keep marks readable from a thumbnail to a 4K screen."""

    text: int
    line: int
    halo: int
    ring: int

    @classmethod
    def for_image(cls, width: int, height: int) -> Stroke:
        """Grow with the square root of the longer side: 11 px text at 224, 45 px at 3840."""
        root = math.sqrt(max(width, height))
        line = max(2, round(root / 8))
        return cls(
            text=max(11, round(0.73 * root)),
            line=line,
            halo=max(1, round(line / 3)),
            ring=max(4, round(root / 3)),
        )


def draw(image: Image.Image, result: Result, *, image_index: int = 0) -> Image.Image:
    """Return a copy of ``image`` with the boxes, points and action targets of ``result``.

    Boxes and points are numbered through as in ``result`` (boxes first, from #1); a label replaces
    the number where a font can show it. A plate that finds no free place is left out.

    Args:
        image: the original image, of the size that ``parse`` was told.
        image_index: which of the images this is; marks of other images are not drawn.
    """
    return _Painter(image, result, image_index).paint()


class _Painter:
    def __init__(self, image: Image.Image, result: Result, image_index: int) -> None:
        self.canvas = image.convert("RGB")
        self.pen = ImageDraw.Draw(self.canvas)
        self.stroke = Stroke.for_image(*image.size)
        self.boxes = [
            (number, box)
            for number, box in enumerate(result.boxes, start=1)
            if box.image_index == image_index
        ]
        self.points = [
            (number, point)
            for number, point in enumerate(result.points, start=len(result.boxes) + 1)
            if point.image_index == image_index
        ]
        self.actions = [action for action in result.actions if action.image_index == image_index]

    def paint(self) -> Image.Image:
        """Draw all shapes, then all plates, so that no line runs through a text."""
        named: list[tuple[Rect, str, str, str]] = []  # place, label, short form of it, colour
        for number, box in self.boxes:
            colour = COLOURS[(number - 1) % len(COLOURS)]
            self.box(box.xyxy, colour)
            named.append((box.xyxy, box.label or "", f"#{number}", colour))
        for number, point in self.points:
            colour = COLOURS[(number - 1) % len(COLOURS)]
            named.append((self.ring(point.xy, colour), point.label or "", f"#{number}", colour))
        for step, action in enumerate(self.actions, start=1):
            colour = COLOURS[(len(named) + step) % len(COLOURS)]
            if action.target and action.end:
                self.arrow(action.target, action.end, colour)
            if action.target:
                place = self.ring(action.target, colour)
                named.append((place, action.type, str(step), colour))
        layout = PlateLayout(*self.canvas.size, obstacles=[place for place, *_ in named])
        for place, label, short, colour in named:
            self.plate(layout, place, label, short, colour)
        return self.canvas

    def box(self, xyxy: Rect, colour: str) -> None:
        width, height = self.canvas.size
        line, halo = self.stroke.line, self.stroke.halo
        # Pillow draws the last row and column too; lines grow inwards, so edges stay on the canvas.
        x0, y0 = min(math.floor(xyxy[0]), width - 1), min(math.floor(xyxy[1]), height - 1)
        x1, y1 = max(x0, math.ceil(xyxy[2]) - 1), max(y0, math.ceil(xyxy[3]) - 1)
        outer = (x0 - halo, y0 - halo, x1 + halo, y1 + halo)
        self.pen.rectangle(outer, outline=_HALO, width=line + 2 * halo)
        self.pen.rectangle((x0, y0, x1, y1), outline=colour, width=line)

    def ring(self, xy: tuple[float, float], colour: str) -> Rect:
        """Draw a ring with a dot in its middle; returns what it covers."""
        radius, line, halo = self.stroke.ring, self.stroke.line, self.stroke.halo
        self.pen.circle(xy, radius + halo, outline=_HALO, width=line + 2 * halo)
        self.pen.circle(xy, radius, outline=colour, width=line)
        self.pen.circle(xy, max(1, line / 2), fill=colour)
        return (xy[0] - radius, xy[1] - radius, xy[0] + radius, xy[1] + radius)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        size = 2 * self.stroke.ring
        wings = [
            (end[0] - size * math.cos(angle + turn), end[1] - size * math.sin(angle + turn))
            for turn in (0.4, -0.4)
        ]
        self.pen.line([start, end], fill=_HALO, width=self.stroke.line + 2 * self.stroke.halo)
        self.pen.line([start, end], fill=colour, width=self.stroke.line)
        self.pen.polygon([end, *wings], fill=colour, outline=_HALO)

    def plate(self, layout: PlateLayout, place: Rect, label: str, number: str, colour: str) -> None:
        """Put the label on a plate, or its number where the label finds no font or no place."""
        for text in dict.fromkeys((" ".join(label.split()), number)):
            font = font_for(text, self.stroke.text) if text else None
            if font is None:
                continue
            text = self.shorten(text, font)
            padding = max(2, self.stroke.text // 5)
            ascent, descent = font.getmetrics()
            width = math.ceil(font.getlength(text)) + 2 * padding
            spot = layout.place(place, width, ascent + descent + padding)
            if spot is None:
                continue
            # The end of a plate is exclusive, Pillow's is not.
            x0, y0, x1, y1 = (round(value) for value in spot)
            if not _touch(spot, place, self.stroke.text):
                middle = ((x0 + x1) / 2, (y0 + y1) / 2)
                self.pen.line([middle, (place[0], place[1])], fill=colour, width=1)
            self.pen.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
            self.pen.text((x0 + padding, y0 + padding // 2), text, fill="white", font=font)
            return

    def shorten(self, text: str, font: Font) -> str:
        """Cut a label that would take more than its share of the width."""
        limit = min(_MAX_PLATE_SHARE * self.canvas.width, _MAX_PLATE_TEXTS * self.stroke.text)
        if font.getlength(text[:200]) <= limit and len(text) <= 200:
            return text
        fitting = [
            count
            for count in range(1, min(len(text), 200))
            if font.getlength(text[:count] + _ELLIPSIS) <= limit
        ]
        return text[: fitting[-1] if fitting else 1].rstrip() + _ELLIPSIS


def _touch(a: Rect, b: Rect, gap: float) -> bool:
    return a[0] <= b[2] + gap and b[0] <= a[2] + gap and a[1] <= b[3] + gap and b[1] <= a[3] + gap
