"""The surface a screen is drawn on: logical pixels outside, device pixels and masks inside."""

from __future__ import annotations

import io
import random
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from training.screens.screen import Box, Character
from training.screens.theme import Color, mix
from training.screens.typography import PHASES, Face, face

_SUPERSAMPLING = 8
# the box of a line of text around its baseline, in font sizes: what a browser calls its content
ASCENT = 0.85
DESCENT = 0.25
MIN_FONT_PIXELS = 7


class Canvas:
    """A picture of ``width`` x ``height`` logical pixels, drawn ``scale`` times as large.

    Coordinates and sizes are logical pixels with the origin at the top left; the finished picture
    has one pixel for each.
    """

    def __init__(self, width: int, height: int, scale: float, background: Color) -> None:
        self.width = width
        self.height = height
        self.scale = scale
        self.characters: list[Character] = []
        self._image = Image.new("RGB", (round(width * scale), round(height * scale)), background)
        self._draw = ImageDraw.Draw(self._image)

    def rectangle(
        self,
        box: Box,
        fill: Color | None = None,
        border: Color | None = None,
        *,
        radius: float = 0,
    ) -> None:
        """Fill and outline a rectangle; ``radius`` above half its height makes it round."""
        x0, y0, x1, y1 = self._device(box)
        corner = min(round(radius * self.scale), (x1 - x0) // 2, (y1 - y0) // 2)
        if fill:
            self._fill(x0, y0, x1, y1, corner, fill)
        if border:
            thick = max(1, round(self.scale))
            self._outline(x0, y0, x1, y1, corner, thick, border)

    def circle(self, x: float, y: float, radius: float, fill: Color) -> None:
        """Fill a circle around (x, y)."""
        self.rectangle((x - radius, y - radius, x + radius, y + radius), fill, radius=radius)

    def lines(
        self, points: list[tuple[float, float]], color: Color, *, thickness: float = 1
    ) -> None:
        """Draw straight lines through ``points``."""
        device = [(x * self.scale, y * self.scale) for x, y in points]
        self._draw.line(device, color, max(1, round(thickness * self.scale)), "curve")

    def polygon(self, points: list[tuple[float, float]], fill: Color) -> None:
        """Fill a polygon."""
        self._draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill)

    def gradient(self, box: Box, start: Color, end: Color, *, radius: float = 0) -> None:
        """Fill a rectangle with a gradient from its top left to its bottom right."""
        x0, y0, x1, y1 = self._device(box)
        ramp = np.linspace(0, 1, 16, dtype=np.float32)
        share = (ramp[:, None] + ramp[None, :])[..., None] / 2  # (16, 16, 1)
        colors = np.asarray(start) * (1 - share) + np.asarray(end) * share
        patch = Image.fromarray(colors.astype(np.uint8)).resize((x1 - x0, y1 - y0))
        corner = min(round(radius * self.scale), (x1 - x0) // 2, (y1 - y0) // 2)
        self._image.paste(patch, (x0, y0), _rounded_mask(x1 - x0, y1 - y0, corner))

    def shadow(self, box: Box, ground: Color, *, radius: float) -> None:
        """Draw a soft edge below and around a card that is drawn after it."""
        x0, y0, x1, y1 = box
        for spread, darkness in ((2, 0.03), (1, 0.06)):
            grown = (x0 - spread, y0 - spread + 1, x1 + spread, y1 + spread + 1)
            self.rectangle(grown, mix(ground, (0, 0, 0), darkness), radius=radius + spread)

    def dim(self, share: float) -> None:
        """Darken everything drawn so far, as behind a dialog."""
        black = Image.new("RGB", self._image.size)
        self._image = Image.blend(self._image, black, share)
        self._draw = ImageDraw.Draw(self._image)

    def face(self, path: Path, size: float) -> Face:
        """Open a font at ``size`` logical pixels on this canvas."""
        return face(path, max(MIN_FONT_PIXELS, round(size * self.scale)))

    def text(self, x: float, center_y: float, text: str, font: Face, color: Color) -> Box:
        """Write ``text`` from ``x`` with its capitals centred on ``center_y``.

        Returns:
            Its box, logical pixels: from the first advance to the last, the line's ascent and
            descent, and the ink if that goes further.
        """
        scale = self.scale
        baseline = round(center_y * scale + font.cap_height / 2)
        left, right = x * scale, x * scale
        top, bottom = baseline - ASCENT * font.size, baseline + DESCENT * font.size
        middle = (baseline - font.cap_height / 2) / scale
        size = font.size / scale
        pen = x * scale
        for character in text:
            step = font.advance(character)
            start = round(pen * PHASES)
            glyph = font.glyph(character, start % PHASES)
            if glyph.mask is not None:
                ink = (start // PHASES + glyph.left, baseline + glyph.top)
                self._image.paste(color, ink, glyph.mask)
                left = min(left, ink[0])
                right = max(right, ink[0] + glyph.mask.width)
                top, bottom = min(top, ink[1]), max(bottom, ink[1] + glyph.mask.height)
                drawn = Character(character, pen / scale, (pen + step) / scale, middle, size)
                self.characters.append(drawn)
            pen += step
        return left / scale, top / scale, max(right, pen) / scale, bottom / scale

    def icon(self, x: float, y: float, glyph: str, font: Face, color: Color) -> Box:
        """Draw an icon with its ink centred on (x, y); return the ink's box."""
        drawn = font.glyph(glyph)
        assert drawn.mask is not None, f"no ink in glyph U+{ord(glyph):04X}"
        width, height = drawn.mask.size
        x0 = round(x * self.scale - width / 2)
        y0 = round(y * self.scale - height / 2)
        self._image.paste(color, (x0, y0), drawn.mask)
        scale = self.scale
        return x0 / scale, y0 / scale, (x0 + width) / scale, (y0 + height) / scale

    def finish(self, rng: random.Random) -> np.ndarray:
        """Return (height, width, 3) uint8 pixels, some with the traces of JPEG."""
        image = self._image
        if image.size != (self.width, self.height):
            ways = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)
            image = image.resize((self.width, self.height), rng.choice(ways), reducing_gap=2)
        if rng.random() < 0.12:
            packed = io.BytesIO()
            image.save(packed, "JPEG", quality=rng.randint(60, 92))
            image = Image.open(packed)
        return np.array(image, dtype=np.uint8)

    def _device(self, box: Box) -> tuple[int, int, int, int]:
        """Round to device pixels; at least one pixel in each direction."""
        x0, y0, x1, y1 = (round(value * self.scale) for value in box)
        return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)

    def _fill(self, x0: int, y0: int, x1: int, y1: int, corner: int, color: Color) -> None:
        if corner < 2:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), color)
            return
        if y1 - y0 > 2 * corner:
            self._draw.rectangle((x0, y0 + corner, x1 - 1, y1 - corner - 1), color)
        if x1 - x0 > 2 * corner:
            for y in (y0, y1 - corner):
                self._draw.rectangle((x0 + corner, y, x1 - corner - 1, y + corner - 1), color)
        self._corners(x0, y0, x1, y1, _corner_masks(corner, corner), color)

    def _outline(
        self, x0: int, y0: int, x1: int, y1: int, corner: int, thick: int, color: Color
    ) -> None:
        if corner < 2:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), None, color, thick)
            return
        inside = corner, max(corner + 1, x1 - x0 - corner), max(corner + 1, y1 - y0 - corner)
        for y in (y0, y1 - thick):
            self._draw.rectangle((x0 + inside[0], y, x0 + inside[1] - 1, y + thick - 1), color)
        for x in (x0, x1 - thick):
            self._draw.rectangle((x, y0 + inside[0], x + thick - 1, y0 + inside[2] - 1), color)
        self._corners(x0, y0, x1, y1, _corner_masks(corner, thick), color)

    def _corners(
        self, x0: int, y0: int, x1: int, y1: int, masks: tuple[Image.Image, ...], color: Color
    ) -> None:
        size = masks[0].width
        places = ((x0, y0), (x1 - size, y0), (x0, y1 - size), (x1 - size, y1 - size))
        for place, mask in zip(places, masks, strict=True):
            self._image.paste(color, place, mask)


@lru_cache(maxsize=512)
def _corner_masks(radius: int, thick: int) -> tuple[Image.Image, ...]:
    """Smooth masks of a ring's quarters: top left, top right, bottom left, bottom right."""
    large = radius * _SUPERSAMPLING
    ring = Image.new("L", (large, large))
    draw = ImageDraw.Draw(ring)
    draw.ellipse((0, 0, 2 * large - 1, 2 * large - 1), 255)
    inner = thick * _SUPERSAMPLING
    if thick < radius:
        draw.ellipse((inner, inner, 2 * large - 1 - inner, 2 * large - 1 - inner), 0)
    first = ring.resize((radius, radius), Image.Resampling.BOX)
    mirror, flip = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM
    below = first.transpose(flip)
    return first, first.transpose(mirror), below, below.transpose(mirror)


def _rounded_mask(width: int, height: int, corner: int) -> Image.Image:
    mask = Image.new("L", (width, height), 255)
    if corner >= 2:
        right, below = width - corner, height - corner
        places = ((0, 0), (right, 0), (0, below), (right, below))
        for place, quarter in zip(places, _corner_masks(corner, corner), strict=True):
            mask.paste(quarter, place)
    return mask
