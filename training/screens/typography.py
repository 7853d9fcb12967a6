"""Fonts at pixel sizes: advances, ink and glyph masks, opened and drawn once per process."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# Where a glyph may start between two pixels: in quarters, finer than anybody sees.
PHASES = 4
_EM = 1000
_CACHED_FACES = 800
_CACHED_GLYPHS = 400
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Glyph:
    """A drawn character: its mask and where it lies from the pen; None if it leaves no ink."""

    mask: Image.Image | None
    left: int
    top: int


class Face:
    """A font file at one size in device pixels.

    Advances are fractions of a pixel, as in browsers with subpixel positioning; pairs are not
    kerned. Everything is cached: a screen uses a few faces again and again.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        self._path = path
        self._font = _open(path, size)
        self._advances: dict[str, float] = {}
        self._glyphs: dict[tuple[str, int], Glyph] = {}
        self.cap_height = -self.glyph("H").top

    def advance(self, character: str) -> float:
        """Return how far the pen moves after ``character``, pixels."""
        found = self._advances.get(character)
        if found is None:
            found = _advance_em(self._path, character) * self.size
            self._advances[character] = found
        return found

    def width(self, text: str) -> float:
        """Return the advance of ``text``, pixels."""
        advance = self.advance
        return sum([advance(character) for character in text])

    def fit(self, text: str, width: float) -> str:
        """Return ``text``, shortened with an ellipsis where it is wider than ``width`` pixels."""
        if self.width(text) <= width:
            return text
        left = width - self.advance(ELLIPSIS)
        kept = 0
        for character in text:
            left -= self.advance(character)
            if left < 0:
                break
            kept += 1
        return text[: max(1, kept)].rstrip() + ELLIPSIS

    def wrap(self, text: str, width: float) -> list[str]:
        """Break ``text`` into lines of at most ``width`` pixels; a longer word is shortened."""
        lines: list[str] = []
        line = ""
        for word in text.split():
            longer = f"{line} {word}" if line else word
            if line and self.width(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        return [self.fit(part, width) for part in [*lines, line] if part]

    def glyph(self, character: str, phase: int = 0) -> Glyph:
        """Return the mask of ``character`` with the pen ``phase / PHASES`` right of a pixel."""
        key = (character, phase)
        found = self._glyphs.get(key)
        if found is None:
            if len(self._glyphs) > _CACHED_GLYPHS:
                self._glyphs.clear()
            found = self._glyphs[key] = self._draw(character, phase)
        return found

    def _draw(self, character: str, phase: int) -> Glyph:
        margin = self.size
        side = 2 * margin + 2 * self.size
        sheet = Image.new("L", (side, side))
        pen = (margin + phase / PHASES, margin + self.size)
        ImageDraw.Draw(sheet).text(pen, character, font=self._font, fill=255, anchor="ls")
        box = sheet.getbbox()
        if box is None:
            return Glyph(None, 0, 0)
        return Glyph(sheet.crop(box), box[0] - margin, box[1] - margin - self.size)


@lru_cache(maxsize=_CACHED_FACES)
def face(path: Path, size: int) -> Face:
    """Open a font at ``size`` device pixels, once per process."""
    return Face(path, size)


@lru_cache(maxsize=1 << 16)
def _advance_em(path: Path, character: str) -> float:
    """Return the advance of ``character`` as a fraction of the font size."""
    return _unit_font(path).getlength(character) / _EM


@lru_cache(maxsize=128)
def _unit_font(path: Path) -> ImageFont.FreeTypeFont:
    return _open(path, _EM)


def _open(path: Path, size: int) -> ImageFont.FreeTypeFont:
    # the basic layout is in every build of Pillow, so that a seed draws the same everywhere
    layout = ImageFont.Layout.BASIC
    return ImageFont.truetype(io.BytesIO(_font_bytes(path)), size, layout_engine=layout)


@lru_cache(maxsize=128)
def _font_bytes(path: Path) -> bytes:
    """Read a font, uncompressed if it is WOFF 1: all sizes of it share these bytes."""
    data = path.read_bytes()
    return unpack_woff(data) if data[:4] == b"wOFF" else data


def unpack_woff(data: bytes) -> bytes:
    """Turn a WOFF 1 file into the OpenType file inside (W3C, "WOFF File Format 1.0")."""
    flavor, tables = struct.unpack_from(">4xI4xH", data)
    entries = [struct.unpack_from(">4sIIII", data, 44 + 20 * i) for i in range(tables)]
    power = tables.bit_length() - 1
    search = 16 << power
    head = struct.pack(">IHHHH", flavor, tables, search, power, tables * 16 - search)
    offset = len(head) + 16 * tables
    directory, body = b"", b""
    for tag, start, packed, length, checksum in entries:
        table = data[start : start + packed]
        if packed < length:
            table = zlib.decompress(table)
        directory += struct.pack(">4sIII", tag, checksum, offset + len(body), length)
        body += table + bytes(-length % 4)
    return head + directory + body
