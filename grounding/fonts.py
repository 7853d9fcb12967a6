"""Finding a font that can show a label, without fontconfig."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from PIL import ImageFont

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)
# In order of preference; those after the Latin ones are tried when a label needs their script.
FILES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "msgothic.ttc",
    "malgun.ttf",
)
_PROBE_SIZE = 24
# Never assigned, so every font answers with its "no such glyph" shape.
_UNASSIGNED = "\U0010ffff"

Font = ImageFont.FreeTypeFont


@functools.lru_cache(maxsize=1)
def installed() -> tuple[Path, ...]:
    """Paths of the known fonts on this machine, best first; looked up once."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for parent, _, names in os.walk(os.path.expanduser(folder)):
            for name in names:
                if name in FILES:
                    found.setdefault(name, Path(parent, name))
    return tuple(found[name] for name in FILES if name in found)


@functools.lru_cache(maxsize=64)
def load(path: Path | None, size: int) -> Font:
    """Open a font file; ``None`` is the Latin font inside Pillow."""
    if path is not None:
        return ImageFont.truetype(str(path), size)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # with a size it always is
    return font


@functools.lru_cache(maxsize=4096)
def has_glyph(path: Path | None, character: str) -> bool:
    """Whether the font has its own shape for the character, rather than an empty box."""
    font = load(path, _PROBE_SIZE)
    shape, missing = font.getmask(character), font.getmask(_UNASSIGNED)
    return shape.size != missing.size or bytes(shape) != bytes(missing)


def font_for(text: str, size: int) -> Font | None:
    """Return the best font with every character of ``text``, ``None`` if no font has them all."""

    def candidates() -> Iterator[Path | None]:
        yield from installed()
        yield None

    for path in candidates():
        if all(character.isspace() or has_glyph(path, character) for character in text):
            return load(path, size)
    return None
