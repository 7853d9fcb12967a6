"""Text, Markdown, tables and source code -> text for the prompt, fenced and under its name."""

from __future__ import annotations

import codecs
import re
from pathlib import Path, PurePath

from model.processing.limits import Limits
from model.processing.media import MediaError

WHITESPACE = "\r\n\t\f\v\ufeff"

# UTF-32's little-endian mark begins with UTF-16's, so it comes first.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def guess_encoding(data: bytes, *, is_excerpt: bool = False) -> str | None:
    """Return the encoding in which the bytes are text without control characters, or None.

    A byte order mark decides; then UTF-8, UTF-16 without a mark (every other byte of Western text
    is zero), and at last Windows' superset of Latin-1, which gives a meaning to nearly all bytes.

    Args:
        data: the whole text, or its beginning.
        is_excerpt: the end may have cut a character in two.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding if _reads_as_text(data, encoding, is_excerpt) else None
    candidates = ["utf-8"]
    if data.count(0) > len(data) // 4:
        candidates += ["utf-16-le", "utf-16-be"]
    candidates += ["cp1252", "latin-1"]
    return next((e for e in candidates if _reads_as_text(data, e, is_excerpt)), None)


def read_text(path: Path, name: str, limits: Limits) -> str:
    """Return the content of a text file with "\\n" at the end of every line.

    Raises:
        MediaError: larger than ``limits.max_text_bytes``, or not text after all.
    """
    with path.open("rb") as file:
        data = file.read(limits.max_text_bytes + 1)
    if len(data) > limits.max_text_bytes:
        raise MediaError(
            f"{name} has {path.stat().st_size:,} bytes of text, more than the "
            f"{limits.max_text_bytes:,} allowed; attach the part that the question is about"
        )
    encoding = guess_encoding(data)
    if encoding is None:
        raise MediaError(
            f"{name} begins as text but holds other data too; attach a text file saved as UTF-8"
        )
    return re.sub(r"\r\n?", "\n", data.decode(encoding).removeprefix("\ufeff"))


def fenced(text: str, name: str) -> str:
    """Return the text in a Markdown code fence that it cannot close, after its name."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    language = re.sub(r"\W", "", PurePath(name).suffix.lower())
    return f"{name}:\n{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}\n"


def _reads_as_text(data: bytes, encoding: str, is_excerpt: bool) -> bool:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, final=not is_excerpt)
    except UnicodeDecodeError:
        return False
    return bool(text.strip("\ufeff")) and all(c.isprintable() or c in WHITESPACE for c in text)
