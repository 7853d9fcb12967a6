"""Small real files of several kinds, made where a test needs them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pypdfium2
from PIL import Image

PAGE_SIZES = ((200, 300), (300, 200), (250, 250))  # points; each page is known by its shape


def make_image(path: Path, size: tuple[int, int] = (200, 100)) -> str:
    """Write a white image."""
    Image.new("RGB", size, "white").save(path)
    return str(path)


def make_pdf(path: Path, pages: int = 3) -> str:
    """Write a PDF of blank pages, the first three of different shapes."""
    document = pypdfium2.PdfDocument.new()
    for index in range(pages):
        document.new_page(*PAGE_SIZES[index % len(PAGE_SIZES)])
    document.save(path)
    return str(path)


def make_rtf(path: Path) -> str:
    """Write a rich text document of two pages."""
    path.write_text(r"{\rtf1\ansi The first page.\page The second page.}")
    return str(path)


def make_animation(path: Path, frames: int = 10) -> str:
    """Write an animated GIF, PNG or WebP, five frames a second."""
    pictures = [Image.new("RGB", (128, 96), (20 * i, 0, 200 - 20 * i)) for i in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200, loop=0)
    return str(path)


def make_clip(path: Path, *, frames: int = 16, fps: int = 8) -> str:
    """Write a video whose frames get brighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (128, 96))
    for index in range(frames):
        writer.write(np.full((96, 128, 3), 10 * index % 256, np.uint8))
    writer.release()
    return str(path)
