"""Attachments: what opens, how it looks, and what the refusals say."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.processing import MAX_IMAGE_PIXELS, MediaError, open_image


def corners() -> Image.Image:
    """A 4 x 3 picture whose corners are red, green, blue, white; the rest is black."""
    image = Image.new("RGB", (4, 3))
    for at, colour in (((0, 0), "red"), ((3, 0), "lime"), ((0, 2), "blue"), ((3, 2), "white")):
        image.putpixel(at, {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}.get(
            colour, (255, 255, 255)))  # fmt: skip
    return image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "PNG", exif=exif)


# what a viewer does to the stored picture before showing it (EXIF 2.32, table of tag 0x0112)
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_exactly_once(orientation: int) -> None:
    opened = open_image(with_orientation(corners(), orientation))
    np.testing.assert_array_equal(np.asarray(opened), SHOWN[orientation](np.asarray(corners())))
    np.testing.assert_array_equal(np.asarray(open_image(opened)), np.asarray(opened))


def test_orientation_of_an_already_opened_pillow_image_is_applied() -> None:
    lazy = Image.open(io.BytesIO(with_orientation(corners(), 6)))
    assert open_image(lazy).size == (3, 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_lies_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (2, 1), (10, 10, 10, 0))
    clear.putpixel((1, 0), (10, 10, 10, 255))
    image = clear.convert("LA") if mode == "LA" else clear
    if mode == "PA":
        image = Image.open(io.BytesIO(encoded(clear.quantize(4), "PNG")))
        assert image.mode == "P"
    assert [open_image(image).getpixel((x, 0)) for x in (0, 1)] == [(255,) * 3, (10,) * 3]


def test_a_transparent_colour_of_an_rgb_png_lies_on_white() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    opened = open_image(encoded(image, "PNG", transparency=(1, 2, 3)))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 0)) == (9, 9, 9)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    png = encoded(Image.fromarray(levels), "PNG")
    assert Image.open(io.BytesIO(png)).mode == "I;16"
    for source in (png, levels):
        assert np.asarray(open_image(source))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("mode", "colour", "wanted"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("P", 5, (40, 50, 60)),
        ("F", 0.5, (128, 128, 128)),
    ],
)
def test_other_modes_become_rgb(mode: str, colour: object, wanted: tuple[int, int, int]) -> None:
    image = Image.new(mode, (3, 2), colour)
    if mode == "P":
        image.putpalette([0] * 15 + [40, 50, 60])
    opened = open_image(image)
    assert opened.mode == "RGB"
    assert opened.getpixel((1, 1)) == wanted


def test_an_rgb_picture_in_memory_is_passed_on_unchanged() -> None:
    image = corners()
    assert open_image(image) is image


def test_path_bytes_and_array_give_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    corners().save(path)
    for source in (path, str(path), path.read_bytes(), np.asarray(corners())):
        np.testing.assert_array_equal(np.asarray(open_image(source)), np.asarray(corners()))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_every_lossless_format_opens(kind: str) -> None:
    image = Image.new("RGB", (32, 32), (255, 0, 0))
    options = {"lossless": True} if kind == "WEBP" else {}
    opened = open_image(encoded(image, kind, **options))
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(image))


def test_the_first_frame_of_an_animation_is_taken() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    gif = encoded(first, "GIF", save_all=True, append_images=[second])
    assert open_image(gif).getpixel((4, 4)) == (255, 0, 0)


def test_a_cmyk_jpeg_opens() -> None:
    jpeg = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = open_image(jpeg).getpixel((8, 8))
    assert red > 240
    assert green < 15
    assert blue < 15


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing: a decompression bomb's beginning."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + crc.to_bytes(4, "big")

    ihdr = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )  # fmt: skip


REFUSALS = {
    "notes.png": (b"Dear all,\nplease find", "notes.png .* text .*'Dear all,'.* attach a PNG"),
    "drawing.png": (b"<svg xmlns='x'></svg>", "drawing.png .* SVG drawing; export it as PNG"),
    "paper.png": (b"%PDF-1.7 \x00\xff", "paper.png .* a PDF document; export the page"),
    "clip.png": (b"\0\0\0 ftypisom\0\0", "clip.png .* an MP4 .*; attach it as a video"),
    "photo.png": (b"\0\0\0 ftypheic\0\0", "photo.png .* a HEIC image with a damaged header"),
    "zeros.png": (b"", r"zeros.png is empty \(0 bytes\); attach the image again"),
    "noise.png": (b"\x00\x01\xfe\xff" * 9, "noise.png .* begins with the bytes 00 01 fe ff"),
    "header.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "header.png .* PNG image with a damaged"),
    "huge.png": (png_header(30000, 30000), "huge.png has 900,000,000 pixels.*scale it down"),
    "big.png": (png_header(10000, 9500), "big.png is 10000x9500, 95,000,000 pixels.*scale it"),
    "thin.png": (png_header(1, 5000), "thin.png is 1x5000: .*200 times.*crop it"),
    "cut.png": (encoded(Image.effect_noise((64, 64), 90))[:900], "cut.png is damaged or cut off"),
    "cut.jpg": (
        encoded(Image.effect_noise((64, 64), 90), "JPEG")[:900],
        "cut.jpg is damaged or cut off .*; save or download it again",
    ),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_names_the_file_what_it_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    content, message = REFUSALS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=f"(?s)^{message}"):
        open_image(tmp_path / name)


def test_bytes_are_called_by_the_given_name() -> None:
    with pytest.raises(MediaError, match="^screen.png cannot be opened as an image: it is text"):
        open_image(b"hello there", name="screen.png")
    with pytest.raises(MediaError, match="^screen.png is empty"):
        open_image(b"", name="screen.png")


def test_a_bomb_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Image.Image) -> None:
        raise AssertionError("decoded")

    big = Image.open(io.BytesIO(png_header(3000, 3000)))
    monkeypatch.setattr(type(big), "load", never)
    with pytest.raises(MediaError, match="9,000,000 pixels, more than the 8,000,000 allowed"):
        open_image(big, max_pixels=8_000_000)


def test_the_default_limit_is_where_pillow_begins_to_warn() -> None:
    assert MAX_IMAGE_PIXELS == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere/at/all.png", "does not exist; check the path"),
        ("/", "is not a file"),
        ("https://example.org/cat.png", "is an address, not a file; download the image"),
        ("data:image/png;base64," + "A" * 500, "AAA... is an address"),
        ("x" * 5000 + ".png", "is not a usable path"),
        ("a\0b.png", "is not a usable path"),
        (np.zeros((2, 2, 2), np.uint8), r"shape \(2, 2, 2\)"),
        (np.zeros((2, 2, 3), np.float32), "dtype float32; convert the pixels to uint8"),
        (np.zeros((0, 2, 3), np.uint8), "no pixels"),
        (7, "type int cannot be opened"),
    ],
)
def test_unusable_sources_are_refused(source: object, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        open_image(source)


def test_dangerous_decoders_do_not_run_on_uploads() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    with pytest.raises(MediaError, match="it is text"):
        open_image(eps)
