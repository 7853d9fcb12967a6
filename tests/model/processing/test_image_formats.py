"""Every format that cameras and programs write: orientation, inks, depth, animation."""

from __future__ import annotations

import builtins
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.processing import MediaError, open_image

WIDTH, HEIGHT = 160, 96
TARGET = (24, 10, 71, 33)  # of the upright picture, right and bottom exclusive

# how an upright picture is stored under each EXIF orientation (EXIF 2.32, tag 0x0112)
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    if kind == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def upright() -> np.ndarray:
    """A grey picture with a red target in it."""
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[TARGET[1] : TARGET[3], TARGET[0] : TARGET[2]] = (230, 20, 20)
    return pixels


def find_target(image: Image.Image) -> tuple[int, int, int, int]:
    pixels = np.asarray(image).astype(int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 1] > 100)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_target_lies_within_a_pixel_whatever_the_orientation(kind: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "HEIF":
        stored.info["exif"] = exif.tobytes()  # its writer turns this into the container's rotation
        options: dict[str, Any] = {"quality": 95}
    else:
        options = {"exif": exif} if kind == "TIFF" else {"exif": exif, "quality": 95}
    opened = open_image(encoded(stored, kind, **options))
    assert opened.size == (WIDTH, HEIGHT)
    np.testing.assert_allclose(find_target(opened), TARGET, atol=1)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_alpha_of_modern_formats_lies_on_white(kind: str) -> None:
    clear = Image.new("RGBA", (64, 64), (10, 10, 10, 0))
    assert min(open_image(encoded(clear, kind, quality=95)).getpixel((32, 32))) > 250


def without_adobe_mark(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


@pytest.mark.parametrize("orientation", [1, 6])
def test_inks_are_right_with_and_without_adobes_inversion(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    plain_red = Image.new("CMYK", (16, 16), (255, 0, 0, 255))  # Pillow stores 255 - ink
    adobe = encoded(red, "JPEG", quality=95, exif=exif)
    plain = without_adobe_mark(encoded(plain_red, "JPEG", quality=95, exif=exif))
    for jpeg in (adobe, plain):
        np.testing.assert_allclose(open_image(jpeg).getpixel((8, 8)), (255, 0, 0), atol=12)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_sixteen_bit_grey_files_are_scaled(kind: str) -> None:
    levels = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    opened = open_image(encoded(Image.fromarray(levels), kind))
    assert np.asarray(opened)[0, :, 1].tolist() == [0, 100, 255]


def test_big_endian_sixteen_bit_tiffs_are_scaled() -> None:
    raw = np.array([[0, 257 * 100, 65535]], dtype=">u2")
    image = Image.frombytes("I;16B", (3, 1), raw.tobytes())
    opened = open_image(encoded(image, "TIFF"))
    assert np.asarray(opened)[0, :, 1].tolist() == [0, 100, 255]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_every_depth_keep_their_colours(bits: int) -> None:
    colours = [(250, 0, 0), (0, 0, 250)]
    image = Image.new("P", (8, 8), 1)
    image.putpalette([v for c in colours for v in c])
    image.putpixel((0, 0), 0)
    opened = open_image(encoded(image, "PNG", bits=bits))
    assert [opened.getpixel((i, i)) for i in (0, 1)] == colours


def test_other_programs_do_not_get_the_heic_decoder() -> None:
    heic = encoded(Image.new("RGB", (64, 64), "red"), "HEIF")
    registered = Image.OPEN.pop("HEIF")
    try:
        assert open_image(heic).size == (64, 64)
        assert "HEIF" not in Image.OPEN
    finally:
        Image.OPEN["HEIF"] = registered


def test_a_heic_photo_without_its_package_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    heic = encoded(Image.new("RGB", (64, 64), "red"), "HEIF")
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("pi_heif"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MediaError, match="^photo.heic is a HEIC photo.* pi-heif; install it"):
        open_image(heic, name="photo.heic")


def test_the_decoder_of_heic_photos_brings_no_encoder() -> None:
    # the usual one, x265, is under the GPL
    import pi_heif

    assert set(pi_heif.libheif_info()["encoders"]) <= {"mask"}


def test_a_large_heic_photo_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    heic = encoded(Image.new("RGB", (640, 480), "red"), "HEIF")
    from pi_heif.as_plugin import HeifImageFile

    monkeypatch.setattr(HeifImageFile, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(MediaError, match="is 640x480, 307,200 pixels, more than the 1,000"):
        open_image(heic, max_pixels=1000)
