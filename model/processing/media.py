"""What every attached file is checked for before anything expensive happens to it."""

from __future__ import annotations

import re
import stat
import unicodedata
from pathlib import Path

# Enough to recognise every container, and to tell text from binary data.
HEAD_BYTES = 512

# Longer names are cut in the middle, so that the extension stays.
MAX_NAME_CHARACTERS = 80


class MediaError(ValueError):
    """An attachment cannot be used; the message names it, says what was found and what to do."""


def shown_name(name: str | Path) -> str:
    """Return a file's name as people and the model may see it: no folders, one printable line.

    Uploads are named by the client: ``../../etc/passwd`` becomes ``passwd``, and characters that
    break lines, write backwards or take no room disappear.
    """
    last = re.split(r"[/\\]", str(name).rstrip("/\\ "))[-1]
    visible = (c if unicodedata.category(c)[0] != "C" else " " for c in last)
    clean = " ".join("".join(visible).split())
    if not clean.strip(". "):
        return "the file"
    if len(clean) > MAX_NAME_CHARACTERS:
        clean = f"{clean[: MAX_NAME_CHARACTERS - 20]}...{clean[-17:]}"
    return clean


def check_file(source: str | Path, *, kind: str, name: str | None = None) -> Path:
    """Return the path of an existing, non-empty local file.

    Args:
        source: path of a local file; remote addresses are refused, never fetched.
        kind: "image", "video" or "file", for the message.
        name: what the person called the file; by default the path itself is named.

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
        raise MediaError(
            f"{path} does not exist; check the path of the {kind}"
            if name is None
            else f"{name} is no longer here; attach it again"
        ) from error
    except (OSError, ValueError) as error:
        raise MediaError(f"{name or text[:80]!r} is not a usable path ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{name or path} is not a file; give the path of one {kind}")
    if status.st_size == 0:
        raise MediaError(f"{name or shown_name(path)} is empty (0 bytes); attach the {kind} again")
    return path


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
