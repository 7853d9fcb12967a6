"""Documents as numbered pages, of which some are chosen, each a picture."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from model.processing.image import DECODE_ERRORS, check_size, finish_image, read_header
from model.processing.limits import Limits
from model.processing.media import MediaError, check_file
from model.processing.resize import resize

# More pages than this are not counted: a TIFF's pages must be visited one after another.
MAX_TIFF_PAGES = 10_000

RANGE = re.compile(r"(\d{1,9})?(?:\s*(-)\s*(\d{1,9})?)?")
HOW_TO_CHOOSE = 'write for example "1-5, 9"'


class Pages(Protocol, AbstractContextManager):
    """An open document. Pages are numbered from 1."""

    page_count: int

    def natural_size(self, number: int) -> tuple[int, int]:
        """Return the (width, height) beyond which more pixels show nothing more."""

    def render(self, number: int, size: tuple[int, int]) -> Image.Image:
        """Return a page as an RGB picture of this (width, height)."""


class TiffFile:
    """A TIFF with several pages, as scanners write them; a context manager that closes it."""

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._file = check_file(path, kind="file", name=name).open("rb")
        try:
            self._image = read_header(self._file, name, limits.max_pixels)
            self.page_count = self._count()
        except MediaError:
            self._file.close()
            raise

    def natural_size(self, number: int) -> tuple[int, int]:
        """Return the page's stored (width, height); turned pages are turned when rendered.

        Raises:
            MediaError: the page is damaged, too large, or too long and thin.
        """
        self._turn_to(number)
        check_size(self._image.size, f"page {number} of {self._name}", self._limits.max_pixels)
        return self._image.size

    def render(self, number: int, size: tuple[int, int]) -> Image.Image:
        """Return a page, resampled to (width, height)."""
        self._turn_to(number)
        page_name = f"page {number} of {self._name}"
        return resized(finish_image(self._image, page_name, self._limits.max_pixels), size)

    def __enter__(self) -> TiffFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _count(self) -> int:
        count = 1
        try:
            while count < MAX_TIFF_PAGES:
                self._image.seek(count)
                count += 1
        except EOFError:  # the end
            pass
        except DECODE_ERRORS:  # a damaged page, behind which none is found
            count += 1
        return count

    def _turn_to(self, number: int) -> None:
        try:
            self._image.seek(number - 1)
        except DECODE_ERRORS as error:
            raise MediaError(
                f"page {number} of {self._name} is damaged or cut off ({error}); save or "
                "download it again"
            ) from error


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resample an RGB picture to (width, height), as the processors of the model do."""
    if image.size == size:
        return image
    # np.array copies: Pillow's buffer is read-only
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    small = resize(pixels, size[1], size[0]).permute(1, 2, 0).contiguous()
    return Image.fromarray(small.numpy())


def parse_page_ranges(text: str, page_count: int, name: str) -> tuple[int, ...]:
    """Read a choice of pages such as ``1-5, 9`` or ``3-`` (to the end); order stays, once each.

    Args:
        text: what the person wrote.
        page_count: pages of the document.
        name: of the document, for messages.

    Raises:
        MediaError: not a choice, backwards, or beyond the document.
    """
    chosen: dict[int, None] = {}
    cleaned = re.sub("[\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}]", "-", text)
    for part in filter(None, re.split(r"[,;\s]*[,;][,;\s]*|(?<=\d)\s+(?=\d)", cleaned.strip())):
        match = RANGE.fullmatch(part.strip())
        if match is None or not (match[1] or match[3]):
            raise MediaError(f"{part[:40]!r} is no choice of pages of {name}; {HOW_TO_CHOOSE}")
        first = int(match[1] or 1)
        last = int(match[3] or page_count) if match[2] else first
        if first > last and match[3]:
            raise MediaError(f"pages {first}-{last} of {name} run backwards; write {last}-{first}")
        for number in (first, last):
            if not 1 <= number <= page_count:
                pages = f"pages 1 to {page_count:,}" if page_count > 1 else "one page"
                raise MediaError(f"{name} has {pages}, so there is no page {number}; choose again")
        chosen.update(dict.fromkeys(range(first, last + 1)))
    if not chosen:
        raise MediaError(f"no page of {name} is chosen; {HOW_TO_CHOOSE}")
    return tuple(chosen)
