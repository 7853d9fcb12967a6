"""What a file is: words at the beginning of a text do not make it a picture or a program."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from model.processing import MediaError, open_attachment, open_image
from model.processing.file_type import identify, identify_head

TEXTS = (
    "The wide gap between rich and poor",
    "The moov atom of a film",
    "See mdat, the box of pixels",
    "The ftyp box comes first",
    "the new WAVE of things",
    "A better AVI player",
    "Today: WEBP pictures",
    "P1 incident: the server is down",
    "P1 24 7 support",
    "P2 2024 was a good year",
    "P6 # 5 people came",
    "ID3 tags explained",
    "MZ Wallace bags",
    "Rar! said the bear",
    "GIF89a is a format of pictures",
    "OggS begins every page",
    "fLaC in lower case",
    "8BPS is what Photoshop writes",
    "BM25 ranks documents",
    f"{'x' * 257}ustar",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("end", ["\n", "\nGrün – ja\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_text_is_a_text_whatever_its_first_words(text: str, end: str, encoding: str) -> None:
    assert identify_head((text + end).encode(encoding)).kind == "text"


@pytest.mark.parametrize(
    "content",
    [
        b"P1 4 2\n1 0 1 0\n0 1 0 1\n",
        b"P1\n# a sign\n4 2\n10100101\n",
        b"P2 2 2 255\n0 1 2 3\n",
        b"P3\n# colours\n#and more\n1 1\r\n255\n0 0 0",
        b"P4 8 2\nAZ",
        b"P5 2 2 255\nABCD",
        b"P6 2 1 255\n\xc8\xc8\xc8\xc8\xc8\xc8",
    ],
)
def test_a_pnm_whose_pixels_read_as_text_stays_an_image(content: bytes) -> None:
    assert identify_head(content).what == "a PNM image"


@pytest.mark.parametrize(
    ("head", "what"),
    [
        ("%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "a PDF document"),
        ("%!PS-Adobe-3.0\n/Helvetica findfont\n", "text in PostScript"),
        ("{\\rtf1\\ansi Dear all}\n", "a rich text document"),
    ],
)
def test_a_document_that_is_text_itself_stays_a_document(head: str, what: str) -> None:
    assert identify_head(head.encode()).what == what


DOCTYPE = (
    '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
    '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" '
    '[ <!ENTITY ns "http://www.w3.org/2000/svg"> ]>'
)


@pytest.mark.parametrize(
    "text",
    [
        "<svg xmlns='x'></svg>",
        "\n<SVG>",
        "<svg/>",
        "<svg:svg xmlns:svg='x'>",
        f'<?xml version="1.0"?>\n<?xml-stylesheet href="a.css"?>\n{DOCTYPE}\n<!-- a -->\n<svg\n>',
        "<!-- <html> --><!doctype svg><svg >",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_drawing_is_known_by_its_root(text: str, encoding: str) -> None:
    assert identify_head(text.encode(encoding)).what == "an SVG drawing"


@pytest.mark.parametrize(
    "text",
    [
        "<!doctype html><html><body><svg></svg>hi</body></html>",
        '<?xml version="1.0"?><note><svg/></note>',
        "<!-- <svg> -->\n<html>",
        "<svgs></svgs>",
        "Use <svg> for drawings.",
        "<?" + "?><?" * 126 + "?>",
    ],
)
def test_a_page_with_a_drawing_in_it_is_a_text(text: str) -> None:
    assert identify_head(text.encode()).kind == "text"


def test_a_text_that_begins_like_a_format_can_be_attached(tmp_path: Path) -> None:
    (tmp_path / "news.md").write_text("The wide gap\n")
    attachment = open_attachment(tmp_path / "news.md")
    assert (attachment.kind, attachment.notes) == ("text", ())


def test_a_plain_photo_of_printable_bytes_is_opened(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (65, 66, 67)).save(tmp_path / "a.ppm")
    assert identify(tmp_path / "a.ppm").what == "a PNM image"
    assert open_image(tmp_path / "a.ppm").getpixel((5, 5)) == (65, 66, 67)


def test_no_decoder_reads_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow would go through an endless comment byte by byte
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(MediaError, match="^a.ppm cannot be opened as an image: it is text .*'P6 #"):
        open_image(io.BytesIO(b"P6 #" + b" " * 9000).getvalue(), name="a.ppm")
