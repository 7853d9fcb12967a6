"""Files made to deceive, to crash or to exhaust: each ends in its message, most undecoded."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from attachment_files import (
    COLOURS,
    animated_gif,
    archive,
    docx,
    image_bytes,
    locked_pdf,
    pdf,
    pdf_from_objects,
    tiff_pages,
    write_clip,
)
from PIL import Image, ImageFile

from model.processing import Choice, Limits, MediaError, ProcessingCache, open_attachment

ROOT = Path(__file__).parents[3]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(chunks: bytes) -> bytes:
    photo = image_bytes("PNG")
    return photo[:33] + chunks + photo[33:]


def tiff_of_long_tags() -> bytes:
    """Forty tags that share their values, which Pillow reads for each."""
    values = bytes(1_000_000)
    entries = b"".join(struct.pack("<HHII", 1000 + i, 1, len(values), 8) for i in range(40))
    return b"II*\0" + struct.pack("<I", 8 + len(values)) + values + b"\x28\0" + entries + bytes(4)


def png_header(width: int, height: int) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff_header(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (278, height),
            (279, 1)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def bmp_header(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def jpeg_header(width: int, height: int) -> bytes:
    jpeg = bytearray(image_bytes("JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(jpeg)


def webp_header(width: int, height: int) -> bytes:
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    frame = image_bytes("WEBP", lossless=True)[12:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_header() -> bytes:
    size = b"\xff" * 4
    return b"GIF89a" + size + b"\0\0\0," + bytes(4) + size + b"\0\x08\0;"


def lying_docx() -> bytes:
    """A document whose list says that it unpacks to 4 GiB."""
    content = bytearray(docx())
    at = content.index(b"PK\1\2")
    content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    return bytes(content)


def icon(inside: bytes) -> bytes:
    """An icon that lists a picture of 16 x 16 and holds another one."""
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inside), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inside


def heic() -> bytes:
    from pillow_heif import from_pillow

    buffer = io.BytesIO()
    from_pillow(Image.effect_noise((320, 240), 90).convert("RGB")).save(buffer, quality=90)
    return buffer.getvalue()


def heic_header(width: int, height: int) -> bytes:
    photo = bytearray(heic())
    at = photo.index(b"ispe")
    photo[at + 8 : at + 16] = struct.pack(">II", width, height)
    return bytes(photo)


def avif_without_picture() -> bytes:
    """A photo whose primary item, by its number, is one that is not there."""
    photo = bytearray(image_bytes("AVIF"))
    photo[photo.index(b"pitm") + 9] = 9
    return bytes(photo)


def avif_of_damaged_pixels() -> bytes:
    photo = bytearray(image_bytes("AVIF"))
    at = photo.index(b"mdat") + 4
    photo[at : at + 40] = bytes(40)
    return bytes(photo)


def zip_with_long_list() -> bytes:
    content = bytearray(docx())
    at = content.rindex(b"PK\5\6")
    content[at + 12 : at + 16] = struct.pack("<I", 2**31)
    return bytes(content)


def endless_page_tree() -> bytes:
    return pdf_from_objects([
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>",
    ])  # fmt: skip


def two_page_tiff_with_bomb() -> bytes:
    content = bytearray(tiff_pages(2))
    # the second directory follows the first; its ImageWidth and ImageLength are made huge
    first = struct.unpack_from("<I", content, 4)[0]
    entries = struct.unpack_from("<H", content, first)[0]
    second = struct.unpack_from("<I", content, first + 2 + 12 * entries)[0]
    for i in range(struct.unpack_from("<H", content, second)[0]):
        at = second + 2 + 12 * i
        if struct.unpack_from("<H", content, at)[0] in (256, 257):
            struct.pack_into("<HII", content, at + 2, 4, 1, 60000)
    return bytes(content)


def jpeg_of_many_scans() -> bytes:
    """Three hundred scans over a million pixels, of which each takes a few bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(buffer, "JPEG", progressive=True)
    photo = buffer.getvalue()
    at = photo.rindex(b"\xff\xda")
    return photo[:at] + photo[at:-2] * 300 + photo[-2:]


def jpeg_of_much_metadata(
    segment: bytes = b"\xff\xe1\xff\xff" + b"Exif\0\0" + bytes(65527),
) -> bytes:
    photo = image_bytes("JPEG")
    return photo[:2] + segment * 300 + photo[2:]


def large_jpeg2000() -> bytes:
    photo = bytearray(image_bytes("JPEG2000"))
    for box, at in ((b"ihdr", 4), (b"\xff\x51", 6)):
        start = photo.index(box) + at
        photo[start : start + 8] = struct.pack(">II", 5000, 5000)
    return bytes(photo)


HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
ELF = b"\x7fELF\2\1\1" + bytes(200)

# name -> content, message; none of these may be decoded, rendered or converted
UNDECODED: dict[str, tuple[Callable[[], bytes] | bytes, str]] = {
    "zero.png": (b"", r"is empty \(0 bytes\); attach the file again"),
    "zero.pdf": (b"", "is empty"),
    "zero.mp4": (b"", "is empty"),
    "bomb.png": (lambda: png_header(30000, 30000), "900,000,000 pixels, more than the 89,478,485"),
    "large.png": (lambda: png_header(10000, 9500), "is 10000x9500, 95,000,000 pixels, more than"),
    "bomb.gif": (gif_header, "4,294,836,225 pixels.*scale it down"),
    "bomb.bmp": (lambda: bmp_header(40000, 40000), "1,600,000,000 pixels.*scale it down"),
    "bomb.tiff": (lambda: tiff_header(60000, 60000), "3,600,000,000 pixels.*scale it down"),
    "bomb2.tiff": (two_page_tiff_with_bomb, "^page 2 of bomb2.tiff.*3,600,000,000 pixels"),
    "bomb.jpg": (lambda: jpeg_header(65000, 65000), "4,225,000,000 pixels.*scale it down"),
    "bomb.webp": (lambda: webp_header(16000, 16000), "256,000,000 pixels|is .*damaged"),
    "scans.jpg": (jpeg_of_many_scans, "JPEG of 309 scans over 1,000,000 pixels.*; save it again"),
    "notes.jpg": (jpeg_of_much_metadata, "more than 16 MiB or 10,000 pieces of metadata; save it"),
    "fill.jpg": (lambda: b"\xff\xd8" + b"\xff" * 20_000, "10,000 pieces of metadata; save it"),
    "notes.png": (lambda: png_with(chunk(b"tEXt", b"a\0x") * 20_000), "10,000 pieces of metadata"),
    "long.png": (lambda: png_with(chunk(b"tEXt", b"a\0" + bytes(2**25))), "more than 16 MiB or"),
    "tags.tiff": (tiff_of_long_tags, "a TIFF image with more than 16 MiB"),
    "text.ppm": (b"P3 90 90 255\n" + b"1 " * 24_300, "PNM image in text form.*; save it as"),
    "comment.ppm": (b"P6 #" + b" " * 9000 + b"\n9 9 255\n" + bytes(243), "but holds other data"),
    "large.jp2": (large_jpeg2000, "is 5000x5000, 25,000,000 pixels, more than the 16,777,216"),
    "large.ico": (lambda: icon(png_header(10000, 9500)), "it is an icon; export it as PNG"),
    "bomb.heic": (lambda: heic_header(30000, 30000), "900,000,000 pixels|is .*damaged"),
    "thin.png": (lambda: png_header(1, 5000), "1x5000: .* 200 times .*; crop it"),
    "none.png": (lambda: png_header(0, 0), "no pixels|is a PNG image with a damaged header"),
    "header.png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "is a PNG image with a damaged header; save"),
    "header.jpg": (b"\xff\xd8\xff\xe0" + bytes(9), "is a JPEG image with a damaged header"),
    "header.avif": (b"\0\0\0\x1cftypavif" + bytes(40), "is an AVIF image with a damaged header"),
    "item.avif": (avif_without_picture, "is an AVIF image with a damaged header; save or"),
    "page.png": (HTML, "is text .*'<!DOCTYPE html><html'.*, not an image; download it again"),
    "page.pdf": (HTML, "is text .*, not a PDF; download it again"),
    "page.docx": (HTML, "is text .*, not a document; download it again"),
    "page.mp4": (HTML, "is text .*, not a video; download it again"),
    "list.mp4": (b"#EXTM3U\nfile:///etc/passwd\n", "is text .*'#EXTM3U'.*, not a video"),
    "drawing.svg": (b"<svg xmlns='x'></svg>", "it is an SVG drawing; export it as PNG"),
    "drawing.png": (b"<?xml?><svg onload='x'/>", "it is an SVG drawing; export it as PNG"),
    "drawing.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is text in PostScript; convert it to PDF"),
    "files.zip": (lambda: archive({"a.txt": b"a"}), "it is a ZIP archive; unpack it"),
    "files.docx": (lambda: archive({"a.txt": b"a"}), "it is a ZIP archive; unpack it"),
    "empty.zip": (b"PK\5\6" + bytes(18), "it is an empty ZIP archive"),
    "list.docx": (zip_with_long_list, "it is a ZIP archive or an Office document"),
    "bomb.docx": (lying_docx, r"unpacks to 4,294,\d{3},\d{3} bytes, more than the 536,870,912"),
    "cut.docx": (lambda: docx()[:200], "it is a ZIP archive or an Office document"),
    "files.tar.gz": (b"\x1f\x8b\x08" + bytes(20), "it is a gzip archive; unpack it"),
    "files.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(20), "it is a 7-Zip archive; unpack it"),
    "files.rar": (b"Rar!\x1a\7\0", "it is a RAR archive; unpack it"),
    "program.png": (ELF, "it is a Linux program; attach an image, a PDF"),
    "program.pdf": (b"MZ\x90\0" + bytes(60), "it is a Windows program; attach an image"),
    "song.mp3": (b"ID3\4" + bytes(60), "it is an MP3 recording"),
    "song.wav": (b"RIFF\0\0\0\0WAVEfmt " + bytes(60), "it is a WAV recording"),
    "song.m4a": (b"\0\0\0\x18ftypM4A " + bytes(60), "it is an M4A recording"),
    "noise.bin": (b"\x00\x01\xfe\xff" * 9, "begins with the bytes 00 01 fe ff"),
    "null.txt": (b"hello\0world", "not a known format"),
    "turns.txt": (b"hello\n" * 200 + b"\0\1\2", "begins as text but holds other data too"),
    "long.txt": (b"word " * 300_000, "has 1,500,000 bytes of text, more than the 1,048,576"),
    "dear.txt": (b"a b c d e " * 100_000, "takes .* tokens, more than the 49,152 allowed; attach"),
    "locked.pdf": (locked_pdf, "is locked with a password; attach an unlocked copy"),
    "cut.pdf": (lambda: pdf(3)[:60], "is a PDF document that is damaged or cut off"),
    "noise.pdf": (b"%PDF-1.7\n" + bytes(range(256)), "is a PDF document that is damaged"),
    "empty.pdf": (lambda: pdf(0), "has no pages|is a PDF document that is damaged"),
    "loop.pdf": (endless_page_tree, "is damaged|has no pages"),
    "thin.pdf": (lambda: pdf(size=(2, 4000)), "^page 1 of thin.pdf cannot be used.* 200 times"),
    "cut.mp4": (b"\0\0\0\x20ftypisom" + bytes(100), "cut.mp4.*convert it to an H.264 MP4"),
    "cut.webm": (b"\x1a\x45\xdf\xa3" + bytes(100), "cut.webm.*convert it to an H.264 MP4"),
}  # fmt: skip


@pytest.fixture
def never_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for decoder in (
        "PIL.ImageFile.ImageFile.load",
        "model.processing.pdf.PdfFile.render",
        "model.processing.clip.Clip.read",
        "model.processing.office._run",
    ):
        monkeypatch.setattr(decoder, lambda *_: pytest.fail("decoded"))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", UNDECODED)
def test_what_cannot_be_used_is_refused_before_it_is_decoded(
    name: str, tmp_path: Path, never_decodes: None
) -> None:
    content, message = UNDECODED[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content())
    with pytest.raises(MediaError, match=f"(?s){message}") as refusal:
        open_attachment(tmp_path / name)
    assert name in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_file_cut_off_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    content = image_bytes(kind, size=(300, 200))
    (tmp_path / "photo").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaError, match="^photo .*damaged.*; save or download it again"):
        open_attachment(tmp_path / "photo")


def test_a_photo_of_damaged_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.avif").write_bytes(avif_of_damaged_pixels())
    with pytest.raises(MediaError, match="^photo.avif is damaged or cut off .*; save or download"):
        open_attachment(tmp_path / "photo.avif")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_scan_cut_off_within_a_later_page_names_that_page(tmp_path: Path) -> None:
    content = tiff_pages(3)
    pixels = len(content) - 120 * 80 * 3  # of the third page; its tags are in front of them
    for end in (pixels - 60, pixels + 300):
        (tmp_path / "scan.tiff").write_bytes(content[:end])
        with pytest.raises(MediaError, match="^page 3 of scan.tiff is damaged or cut off .*; save"):
            list(open_attachment(tmp_path / "scan.tiff").pictures())
    first_two = open_attachment(tmp_path / "scan.tiff", Choice(pages="1-2"))
    assert [page.getpixel((9, 9)) for page in first_two.pictures()] == COLOURS[:2]


@pytest.mark.parametrize("as_video", [False, True])
def test_an_animation_cut_off_is_its_first_frame_or_refused(as_video: bool, tmp_path: Path) -> None:
    content = animated_gif()
    seen = set()
    for end in range(20, len(content)):
        (tmp_path / "a.gif").write_bytes(content[:end])
        try:
            opened = open_attachment(tmp_path / "a.gif", Choice(animation_as_video=as_video))
            assert next(opened.pictures()).getpixel((9, 9)) == COLOURS[0]
            seen.add(opened.kind)
        except MediaError as refusal:
            assert "a.gif" in str(refusal)
    assert seen == ({"image", "video"} if as_video else {"image"})


def test_a_heic_photo_cut_off_is_refused(tmp_path: Path) -> None:
    content = heic()
    (tmp_path / "photo.heic").write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match="^photo.heic .*damaged.*; save or download it again"):
        open_attachment(tmp_path / "photo.heic")


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\win.ini": "win.ini",
    "/etc/shadow": "shadow",
    "a\nb\r\0c.md": "a b c.md",
    "gnp\N{RIGHT-TO-LEFT OVERRIDE}.exe": "gnp .exe",
    "in\N{ZERO WIDTH SPACE}visible.txt": "in visible.txt",
    "   ": "the file",
    "..": "the file",
    "": "the file",
    "x" * 5000 + ".md": "x" * 60 + "..." + "x" * 14 + ".md",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_without_tricks(name: str, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"hello")
    attachment = open_attachment(tmp_path / "upload", name=name)
    assert attachment.name == NAMES[name]
    assert attachment.content()[0]["text"].startswith(f"{NAMES[name]}:\n```")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nowhere/at/all.png", "^all.png is no longer here; attach it again"),
        ("/", "is not a file"),
        ("/dev/zero", "^zero is not a file"),
        ("https://example.org/cat.png", "is an address, not a file; download"),
        ("file:///etc/passwd", "is an address, not a file"),
        ("data:text/plain,hello", "is an address, not a file"),
        ("a\0b.png", "is not a usable path"),
        ("x" * 5000, "is not a usable path"),
    ],
)
def test_what_is_no_file_is_refused(path: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        open_attachment(path)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(MediaError, match="^pipe.png is not a file"):
        open_attachment(tmp_path / "pipe.png")


def test_an_animation_of_huge_frames_is_no_video(tmp_path: Path) -> None:
    frame = b"\x21\xf9\4\0\1\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    head = b"GIF89a" + struct.pack("<HH", 9000, 9000) + b"\x80\0\0\0\0\0\xff\xff\xff"
    (tmp_path / "a.gif").write_bytes(head + frame * 1000 + b";")
    with pytest.raises(
        MediaError, match="^a.gif is 9000x9000, .* more than the 35,389,440 allowed"
    ):
        open_attachment(tmp_path / "a.gif", Choice(animation_as_video=True))


def test_an_honest_progressive_photo_is_opened(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 1500)).save(tmp_path / "a.jpg", progressive=True, exif=b"Exif\0\0x")
    assert open_attachment(tmp_path / "a.jpg").items[0].original_size == (2000, 1500)


def test_a_large_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.write(image_bytes())
        file.truncate(600 * 1024 * 1024)  # sparse: takes no room
    monkeypatch.setattr("model.processing.opening.fingerprint_file", lambda _: pytest.fail("read"))
    with pytest.raises(MediaError, match="^huge.png has 600 MiB, more than the 512 MiB allowed"):
        open_attachment(tmp_path / "huge.png")


def test_ten_thousand_pages_are_counted_not_drawn(tmp_path: Path, never_decodes: None) -> None:
    (tmp_path / "book.pdf").write_bytes(pdf(10_000))
    book = open_attachment(tmp_path / "book.pdf")
    assert (book.page_count, len(book.items)) == (10_000, 50)
    assert book.tokens <= Limits().max_tokens
    assert book.notes == ("book.pdf has 10,000 pages; the first 50 are used unless you choose.",)
    with pytest.raises(MediaError, match="^10,000 pages of book.pdf are chosen, more than the 50"):
        open_attachment(tmp_path / "book.pdf", Choice(pages="1-10000"))


def test_a_page_of_any_size_is_drawn_within_the_budget(tmp_path: Path) -> None:
    (tmp_path / "poster.pdf").write_bytes(pdf(size=(14_400_000, 14_400_000)))
    poster = open_attachment(tmp_path / "poster.pdf")
    width, height = next(poster.pictures()).size
    assert width * height <= 9_633_792 // 2


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("photo.png", pdf(), "photo.png is not an image but a PDF document; it is used as that."),
        ("paper.pdf", image_bytes(), "paper.pdf is not a PDF but a PNG image; it is used as that."),
        (
            "notes.txt",
            pdf(),
            "notes.txt is not a text file but a PDF document; it is used as that.",
        ),
        ("clip.mp4", image_bytes("GIF"), "clip.mp4 is not a video but a GIF image; it is used as"),
    ],
)
def test_a_wrong_name_is_noticed_and_the_content_counts(
    name: str, content: bytes, note: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    attachment = open_attachment(tmp_path / name)
    assert attachment.notes[0].startswith(note)


def test_the_operators_limits_count_for_everything(tmp_path: Path) -> None:
    tight = replace(Limits(), max_pixels=1000, max_pages=1, max_duration_s=1.0)
    (tmp_path / "a.png").write_bytes(image_bytes())
    (tmp_path / "a.gif").write_bytes(animated_gif())
    write_clip(tmp_path / "a.mp4", frames=96)
    for name, message in (
        ("a.png", "160x96, 15,360 pixels, more than the 1,000"),
        ("a.gif", "64x48, 3,072 pixels"),
        ("a.mp4", "a.mp4 is 160x96"),
    ):
        with pytest.raises(MediaError, match=message):
            open_attachment(tmp_path / name, limits=tight)
    with pytest.raises(MediaError, match="^a.mp4 runs 4.0 s, more than the 1.0 s allowed; cut it"):
        open_attachment(tmp_path / "a.mp4", limits=replace(Limits(), max_duration_s=1.0))


def test_a_refused_file_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    cache = ProcessingCache()
    (tmp_path / "cut.png").write_bytes(image_bytes()[:900])
    with pytest.raises(MediaError):
        open_attachment(tmp_path / "cut.png", cache=cache)
    assert len(cache) == 0


MEASURE = """
import resource, sys
from model.processing import MediaError, open_attachment
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        for picture in open_attachment(path).pictures():
            pass
    except MediaError as error:
        print(error, file=sys.stderr)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bombs_take_little_memory(tmp_path: Path) -> None:
    bombs = {
        "bomb.png": png_header(30000, 30000),
        "bomb.tiff": tiff_header(60000, 60000),
        "book.pdf": pdf(10_000, size=(50, 50)),
    }
    for name, content in bombs.items():
        (tmp_path / name).write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in bombs)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stderr.count("; ") == 2
    assert int(run.stdout) < 200  # MiB


def test_unreadable_images_of_other_programs_stay_unreadable() -> None:
    # Pillow can be told to accept files cut off; the refusals above rely on that it was not
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
