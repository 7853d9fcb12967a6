"""Open one image from whatever a person or a program attached: upright, RGB, checked first."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops, ImageFile, ImageOps

from model.processing.file_type import FileType, identify_head
from model.processing.image_header import check_header
from model.processing.limits import MAX_IMAGE_PIXELS
from model.processing.media import HEAD_BYTES, MediaError, check_file, shown_name
from model.processing.resize import MAX_ASPECT_RATIO

# Only these decoders run on uploads. Of Pillow's others, one starts Ghostscript, and that of icons
# decodes while it reads the header.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
REMEDY = "attach a PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC image"

# What Pillow's decoders raise on damaged data; RuntimeError that of AVIF, TypeError that of TIFF.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    struct.error,
    zlib.error,
)

ORIENTATION_TAG = 0x0112

# JPEG 2000 takes 1 s and 170 MB for ten million pixels, even of one colour.
MAX_JPEG2000_PIXELS = 4096 * 4096

# A progressive JPEG may go over all of its pixels as often as it likes, in 30 bytes each time.
# Encoders write 10 scans, at most 64; at the greatest size, 12 take a second or two.
MAX_JPEG_SCANS = 100
MAX_SCANNED_PIXELS = 12 * MAX_IMAGE_PIXELS

# Rows converted at a time, so that intermediate copies stay small.
STRIP_ROWS = 256


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
    name = None if name is None else shown_name(name)
    if isinstance(source, Image.Image):
        return finish_image(source, name or "the image", max_pixels)
    if isinstance(source, np.ndarray):
        array = _from_array(source, name or "the array")
        return finish_image(array, name or "the array", max_pixels)
    if isinstance(source, bytes):
        name = name or "the image"
        if not source:
            raise MediaError(f"{name} is empty (0 bytes); attach it again")
        with read_header(io.BytesIO(source), name, max_pixels) as image:
            return finish_image(image, name, max_pixels)
    if not isinstance(source, (str, Path)):
        raise MediaError(
            f"an image of type {type(source).__name__} cannot be opened; "
            "give a path, bytes, a Pillow image or a uint8 array"
        )
    path = check_file(source, kind="image", name=name)
    name = name or shown_name(path)
    try:
        with path.open("rb") as file, read_header(file, name, max_pixels) as image:
            return finish_image(image, name, max_pixels)
    except PermissionError as error:
        raise MediaError(f"{name} may not be read; check its permissions") from error


def read_header(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """Open an encoded image without decoding it; ``finish_image`` checks and decodes.

    Args:
        file: positioned at the start; must stay open until the image is decoded.
        name: for messages.
        max_pixels: for the message about an image that Pillow refuses by itself.

    Raises:
        MediaError: not an image, or of a size that Pillow refuses.
    """
    found = identify_head(file.read(HEAD_BYTES))
    if found.kind == "text":  # Pillow's reader of PNM goes through comments byte by byte
        raise _not_an_image(name, found)
    check_header(file, found, name)
    file.seek(0)
    open_heif = _heif_opener(name) if found.what == "a HEIC image" else None
    try:
        if open_heif is not None:
            return open_heif(file)
        Image.init()
        return Image.open(file, formats=[f for f in FORMATS if f in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        digits = re.search(r"\d+", str(error))
        pixels = f"{int(digits[0]):,} pixels" if digits else "too many pixels"
        raise MediaError(
            f"{name} has {pixels}, more than the {max_pixels:,} allowed; scale it down first"
        ) from error
    except DECODE_ERRORS as error:
        raise _not_an_image(name, found) from error


def _not_an_image(name: str, found: FileType) -> MediaError:
    what, remedy = found.what, found.remedy or REMEDY
    if found.kind == "image":
        what, remedy = f"{what} with a damaged header", "save or download it again"
    return MediaError(f"{name} cannot be opened as an image: it is {what}; {remedy}")


def moves(image: Image.Image) -> bool:
    """Return whether an open image has more than one frame; where the second is damaged, False."""
    try:
        return bool(getattr(image, "is_animated", False))
    except DECODE_ERRORS:
        return False


def finish_image(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """Check the size, decode, turn upright, convert to RGB.

    Raises:
        MediaError: too large, too long and thin, or damaged.
    """
    try:
        if image.format == "JPEG2000":
            max_pixels = min(max_pixels, MAX_JPEG2000_PIXELS)
        check_size(image.size, name, max_pixels)
        _check_scans(image, name)
        image.load()
        has_plain_inks = _has_plain_inks(image)
        image = _upright(image)
        return _to_rgb(ImageChops.invert(image) if has_plain_inks else image)
    except MemoryError as error:
        width, height = image.size
        raise MediaError(f"{name} ({width}x{height}) does not fit in memory") from error
    except MediaError:
        raise
    except DECODE_ERRORS as error:
        reason = " ".join(str(error).split())
        raise MediaError(
            f"{name} is damaged or cut off ({reason}); save or download it again"
        ) from error


def _check_scans(image: Image.Image, name: str) -> None:
    """Refuse a JPEG that goes over its pixels too often; reads the rest of the file.

    A start of scan, FF DA, cannot occur within the coded pixels, where FF is followed by 00.
    """
    if image.format not in ("JPEG", "MPO") or not isinstance(image, ImageFile.ImageFile):
        return
    assert image.fp is not None
    position = image.fp.tell()
    image.fp.seek(0)
    scans = image.fp.read().count(b"\xff\xda")
    image.fp.seek(position)
    pixels = image.width * image.height
    if scans > MAX_JPEG_SCANS or (scans > 1 and scans * pixels > MAX_SCANNED_PIXELS):
        raise MediaError(
            f"{name} is a JPEG of {scans:,} scans over {pixels:,} pixels, which would take too "
            "long to decode; save it again as a baseline JPEG"
        )


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Check the (width, height) that a header announces.

    Raises:
        MediaError: no pixels, too many, or one side more than 200 times the other.
    """
    width, height = size
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


def _heif_opener(name: str) -> Callable[[BinaryIO], Image.Image]:
    """Return what opens HEIC photos; it is not registered with Pillow, where others would get it.

    Its pictures come upright: the container's own rotation counts, EXIF's copy of it does not.
    pi-heif is the decoder alone (LGPL); pillow-heif's wheels bring an encoder under the GPL.
    """
    try:
        from pi_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise MediaError(
            f"{name} is a HEIC photo, which takes the Python package pi-heif; install it, or "
            "save the photo as JPEG"
        ) from error
    return HeifImageFile


def _has_plain_inks(image: Image.Image) -> bool:
    """True for a CMYK JPEG without the mark of Adobe's programs, which store inks inverted.

    Pillow inverts either kind, so that the plain one must be inverted again.
    """
    return image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info


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
        return _in_strips(image, _from_16_bits)
    if image.mode == "F":
        # floating-point TIFFs hold either 0..1 or 0..255
        scale = 255 if np.nanmax(np.asarray(image), initial=0) <= 1 else 1
        return _in_strips(image, lambda strip: _from_floats(strip, scale))
    if image.has_transparency_data:
        return _in_strips(image, _over_white)
    return image.convert("RGB")


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert an image to RGB some rows at a time."""
    converted = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, image.height)
        converted.paste(convert(image.crop((0, top, image.width, bottom))), (0, top))
    return converted


def _from_16_bits(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")


def _from_floats(image: Image.Image, scale: int) -> Image.Image:
    levels = np.nan_to_num(np.asarray(image, dtype=np.float64)) * scale
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


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
