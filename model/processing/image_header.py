"""Headers of images that would keep Pillow busy before it knows the size, found without it."""

from __future__ import annotations

import re
from typing import BinaryIO, Literal

from model.processing.file_type import FileType
from model.processing.limits import MIB
from model.processing.media import HEAD_BYTES, MediaError

# Texts, colour profiles and depth maps take a few MiB. Pillow joins those of a JPEG piece by piece,
# copying all of them for each, and keeps those of a PNG several times.
MAX_METADATA_BYTES = 16 * MIB
MAX_METADATA_PIECES = 10_000

PNG_PIXELS = (b"IDAT", b"fdAT")

# Pixels come in chunks of 8 KiB or more.
MAX_PNG_CHUNKS = 200_000

# Size of a value of each TIFF type, by its number; others are skipped by Pillow.
TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

# Binary PNM: width and height, among comments. Pillow reads comments, and numbers in text, byte by
# byte.
PNM_HEADER = re.compile(rb"P[456](?:\s|#[^\r\n]*[\r\n])+\d{1,9}(?:\s|#[^\r\n]*[\r\n])+\d{1,9}\s")


def check_header(file: BinaryIO, found: FileType, name: str) -> None:
    """Refuse an image with far more metadata than any program writes; moves the file's position.

    Raises:
        MediaError: more than 16 MiB or 10,000 pieces of metadata, or a PNM in text form.
    """
    file.seek(0)
    check = {"a JPEG image": _jpeg, "a PNG image": _png, "a TIFF image": _tiff}.get(found.what)
    if found.what == "a PNM image" and not PNM_HEADER.match(file.read(HEAD_BYTES)):
        raise MediaError(f"{name} is a PNM image in text form or without a size; save it as PNG")
    if check is not None and not check(file):
        raise MediaError(
            f"{name} is {found.what} with more than {MAX_METADATA_BYTES // MIB} MiB or "
            f"{MAX_METADATA_PIECES:,} pieces of metadata; save it again without them"
        )


def _jpeg(file: BinaryIO) -> bool:
    """Whether the segments before the pixels are few and short; damage is left to Pillow."""
    at = 2
    for _ in range(MAX_METADATA_PIECES):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:
            return True
        at += 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:], "big")
        if at > MAX_METADATA_BYTES:
            break
    return False


def _png(file: BinaryIO) -> bool:
    """Whether the chunks besides those of pixels are few and short; damage is left to Pillow."""
    at, pieces, size = 8, 0, 0
    for _ in range(MAX_PNG_CHUNKS):
        if pieces > MAX_METADATA_PIECES or size > MAX_METADATA_BYTES:
            break
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return True
        length = int.from_bytes(head[:4], "big")
        at += 12 + length
        if head[4:] not in PNG_PIXELS:
            pieces += 1
            size += length
    return False


def _tiff(file: BinaryIO) -> bool:
    """Whether the tags of the first picture are short; 64-bit TIFFs count as such."""
    head = file.read(8)
    order: Literal["little", "big"] = "little" if head[:1] == b"I" else "big"
    if head[2:4] not in (b"*\0", b"\0*"):
        return True
    file.seek(int.from_bytes(head[4:], order))
    count = int.from_bytes(file.read(2), order)
    entries = file.read(12 * count)
    size = 0
    for at in range(0, len(entries) - 11, 12):
        kind = int.from_bytes(entries[at + 2 : at + 4], order)
        size += TIFF_BYTES.get(kind, 0) * int.from_bytes(entries[at + 4 : at + 8], order)
    return size <= MAX_METADATA_BYTES
