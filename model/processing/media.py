"""What every attached file is checked for before anything expensive happens to it."""

from __future__ import annotations

import stat
from pathlib import Path

# Enough to recognise every container below, and to tell text from binary data.
HEAD_BYTES = 512

# File signatures of things people attach by mistake, and what to do instead.
SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"%PDF", "a PDF document", "export the page as a PNG image"),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document", "unpack it or export it as PNG"),
    (0, b"\x1a\x45\xdf\xa3", "a WebM or Matroska video", "attach it as a video"),
    (4, b"ftypheic", "a HEIC photo", "save it as JPEG or PNG"),
    (4, b"ftypheix", "a HEIC photo", "save it as JPEG or PNG"),
    (4, b"ftypmif1", "a HEIF photo", "save it as JPEG or PNG"),
    (4, b"ftyp", "an MP4 or QuickTime video", "attach it as a video"),
    (8, b"AVI ", "an AVI video", "attach it as a video"),
    (8, b"WAVE", "a WAV recording", "attach an image or a video"),
    (8, b"WEBP", "a WebP image", "attach it as an image"),
    (0, b"\x89PNG", "a PNG image", "attach it as an image"),
    (0, b"\xff\xd8\xff", "a JPEG image", "attach it as an image"),
)


class MediaError(ValueError):
    """An attachment cannot be used; the message names it, says what was found and what to do."""


def check_file(source: str | Path, *, kind: str) -> Path:
    """Return the path of an existing, non-empty local file.

    Args:
        source: path of a local file; remote addresses are refused, never fetched.
        kind: "image" or "video", for the message.

    Raises:
        MediaError: the file is remote, missing, a folder, or empty.
    """
    text = str(source)
    if "://" in text or text.startswith("data:"):
        address = text if len(text) <= 80 else text[:80] + "..."
        raise MediaError(f"{address} is an address, not a file; download the {kind} and attach it")
    path = Path(source)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist; check the path of the {kind}") from error
    except (OSError, ValueError) as error:
        raise MediaError(f"{text[:80]!r} is not a usable path ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{path} is not a file; give the path of one {kind}")
    if status.st_size == 0:
        raise MediaError(f"{path.name} is empty (0 bytes); attach the {kind} again")
    return path


def describe(head: bytes) -> tuple[str, str | None]:
    """Say what a file seems to be from its first bytes, and the remedy if there is one."""
    for offset, signature, what, remedy in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return what, remedy
    if is_text(head):
        if b"<svg" in head.lower():
            return "an SVG drawing", "export it as PNG"
        opening = head.decode("utf-8", "ignore").split("\n")[0].strip()[:20]
        return f"text (it begins with {opening!r})", None
    return f"not a known format (it begins with the bytes {head[:4].hex(' ')})", None


def is_text(head: bytes) -> bool:
    """True when the bytes read as UTF-8 text without control characters."""
    # a character cut in two by the end of the excerpt must not decide: drop up to 3 bytes
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return bool(text) and all(c.isprintable() or c in "\r\n\t\f\ufeff" for c in text)
    return False
