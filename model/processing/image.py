"""Open one image from whatever a person or a program attached: upright, RGB, checked first."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from model.processing.media import HEAD_BYTES, MediaError, check_file, describe
from model.processing.resize import MAX_ASPECT_RATIO

# Pillow's own warning threshold: 256 MiB of RGB. It is checked from the header, before decoding.
MAX_IMAGE_PIXELS = 89_478_485

# Only these decoders run on uploads (Pillow's others include one that starts Ghostscript).
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO", "AVIF", "JPEG2000")

# What Pillow's decoders raise on damaged data.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, zlib.error)

ORIENTATION_TAG = 0x0112


def open_image(
    source: str | Path | bytes | Image.Image | np.ndarray,
    *,
    name: str | None = None,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Image.Image:
    """Open an image as the model must see it: RGB, EXIF orientation applied, alpha over white.

    Opening the result again changes nothing, so an orientation is never applied twice.

    Args:
        source: local path, encoded bytes, Pillow image, or an array (rows, columns[, 1, 3 or 4])
            of uint8, uint16 or bool.
        name: what to call the image in messages; by default the file name.
        max_pixels: larger images are refused from their header, without decoding. Pillow itself
            refuses more than twice the default.

    Raises:
        MediaError: missing, empty, not an image, damaged, too large, or longer than 200 times its
            width (what the vision tower's resize refuses).
    """
    if isinstance(source, Image.Image):
        return _finish(source, name or "the image", max_pixels)
    if isinstance(source, np.ndarray):
        return _finish(_from_array(source, name or "the array"), name or "the array", max_pixels)
    if isinstance(source, bytes):
        name = name or "the image"
        if not source:
            raise MediaError(f"{name} is empty (0 bytes); attach it again")
        return _decode(io.BytesIO(source), name, max_pixels)
    if not isinstance(source, (str, Path)):
        raise MediaError(
            f"an image of type {type(source).__name__} cannot be opened; "
            "give a path, bytes, a Pillow image or a uint8 array"
        )
    path = check_file(source, kind="image")
    try:
        with path.open("rb") as file:
            return _decode(file, name or path.name, max_pixels)
    except PermissionError as error:
        raise MediaError(f"{name or path.name} may not be read; check its permissions") from error


def _decode(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """Read the header, check it, then decode."""
    Image.init()
    formats = [f for f in FORMATS if f in Image.OPEN]
    try:
        image = Image.open(file, formats=formats)  # reads the header only
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\d+", str(error))
        pixels = f"{int(found[0]):,} pixels" if found else "too many pixels"
        raise MediaError(
            f"{name} has {pixels}, more than the {max_pixels:,} allowed; scale it down first"
        ) from error
    except DECODE_ERRORS as error:
        file.seek(0)
        what, remedy = describe(file.read(HEAD_BYTES))
        remedy = remedy or "attach a PNG, JPEG, WebP, GIF, BMP or TIFF image"
        if what.endswith("image"):
            what, remedy = f"{what} with a damaged header", "save or download it again"
        raise MediaError(f"{name} cannot be opened as an image: it is {what}; {remedy}") from error
    with image:
        return _finish(image, name, max_pixels)


def _finish(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """Check the size, decode, turn upright, convert to RGB."""
    width, height = image.size
    if not width or not height:
        raise MediaError(f"{name} has no pixels ({width}x{height}); attach another image")
    if width * height > max_pixels:
        raise MediaError(
            f"{name} is {width}x{height}, {width * height:,} pixels, more than the {max_pixels:,} "
            "allowed; scale it down first"
        )
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise MediaError(
            f"{name} is {width}x{height}: one side is more than {MAX_ASPECT_RATIO} times the "
            "other; crop it or cut it into pieces"
        )
    try:
        image.load()
        return _to_rgb(_upright(image))
    except MemoryError as error:
        raise MediaError(f"{name} ({width}x{height}) does not fit in memory") from error
    except DECODE_ERRORS as error:
        raise MediaError(
            f"{name} is damaged or cut off ({error}); save or download it again"
        ) from error


def _upright(image: Image.Image) -> Image.Image:
    """Apply EXIF orientations 2-8; Pillow removes the tag as it does so."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODE_ERRORS:
        return image  # unreadable metadata says nothing about the orientation
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB; 16-bit grey is scaled, not clipped; alpha lies on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        # a copy outlives the file; a picture in memory is passed on as it is
        return image.copy() if isinstance(image, ImageFile.ImageFile) else image
    if image.mode.startswith("I"):  # "I;16*" and "I": grey levels 0..65535
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        levels = np.nan_to_num(np.asarray(image, dtype=np.float64))
        # floating-point TIFFs hold either 0..1 or 0..255
        levels = levels * 255 if levels.max() <= 1 else levels
        return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    """Wrap an array (rows, columns[, 1, 3 or 4]); uint16 is scaled to 8 bits."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise MediaError(
            f"{name} has shape {array.shape}; expected (rows, columns) or (rows, columns, 3 or 4)"
        )
    if array.size == 0:
        raise MediaError(f"{name} has no pixels (shape {array.shape}); attach another image")
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise MediaError(
            f"{name} has dtype {array.dtype}; convert the pixels to uint8 (0..255) first"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(array))
