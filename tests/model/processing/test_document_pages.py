"""Documents: pages of PDFs and TIFFs, choices of pages, and what may go wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attachment_files import COLOURS, locked_pdf, pdf, pdf_from_objects, stream, tiff_pages

from model.processing import Limits, MediaError
from model.processing.document import TiffFile, parse_page_ranges
from model.processing.pdf import PdfFile

LIMITS = Limits()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1-5, 9", (1, 2, 3, 4, 5, 9)),
        ("3", (3,)),
        ("8-", (8, 9, 10)),
        ("-3", (1, 2, 3)),
        ("9, 2-3", (9, 2, 3)),
        ("2,2, 1-3", (2, 1, 3)),
        (" 4 - 5 ; 7 ", (4, 5, 7)),
        ("4\N{EN DASH}5", (4, 5)),
        ("1 2 3", (1, 2, 3)),
    ],
)
def test_choices_of_pages_are_read(text: str, wanted: tuple[int, ...]) -> None:
    assert parse_page_ranges(text, 10, "a.pdf") == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5-2", "pages 5-2 of a.pdf run backwards; write 2-5"),
        ("11", "a.pdf has pages 1 to 10, so there is no page 11"),
        ("0", "there is no page 0"),
        ("12-", "there is no page 12"),
        ("1-999999999", "there is no page 999999999"),
        ("9999999999999999", "is no choice of pages of a.pdf; write for example"),
        ("first", "'first' is no choice of pages of a.pdf; write for example \"1-5, 9\""),
        ("1-2-3", "'1-2-3' is no choice"),
        ("-", "'-' is no choice"),
        ("", "no page of a.pdf is chosen"),
        (" , ", "no page of a.pdf is chosen"),
    ],
)
def test_other_choices_are_refused(text: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        parse_page_ranges(text, 10, "a.pdf")


def test_a_document_of_one_page_says_so() -> None:
    with pytest.raises(MediaError, match="a.pdf has one page, so there is no page 2"):
        parse_page_ranges("2", 1, "a.pdf")


def test_pages_of_a_pdf_have_their_size_number_and_colour() -> None:
    with PdfFile(pdf(4), "a.pdf", LIMITS) as file:
        assert file.page_count == 4
        assert file.natural_size(1) == (1488, 2105)  # A4 at 180 dpi
        for number in (3, 1):
            picture = file.render(number, (83, 117))  # rows of 249 bytes are padded
            assert picture.size == (83, 117)
            assert np.unique(np.asarray(picture).reshape(-1, 3), axis=0).tolist() == [
                list(COLOURS[number - 1])
            ]


def test_a_path_and_its_content_give_the_same_page(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf())
    with (
        PdfFile(tmp_path / "a.pdf", "a.pdf", LIMITS) as stored,
        PdfFile(pdf(), "a.pdf", LIMITS) as content,
    ):
        assert stored.render(1, (28, 56)).tobytes() == content.render(1, (28, 56)).tobytes()


def test_what_is_written_in_the_fields_of_a_form_is_drawn() -> None:
    look = stream(b"1 0 0 rg 0 0 300 300 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 300 300]")
    field = (
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/F 4/Rect[0 0 300 300]/P 3 0 R"
        b"/AP<</N 5 0 R>>>>"
    )
    form = pdf_from_objects([
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Annots[4 0 R]>>",
        field, look,
    ])  # fmt: skip
    with PdfFile(form, "form.pdf", LIMITS) as file:
        red, green, blue = file.render(1, (60, 60)).getpixel((30, 30))
    assert red > 150
    assert green < 150


def test_scripts_of_a_pdf_do_not_run(tmp_path: Path) -> None:
    script = b"app.alert('x'); this.getField('a'); while (true) {}"
    opening = b"/OpenAction<</S/JavaScript/JS(%b)>>/AA<</WP<</S/JavaScript/JS(%b)>>>>"
    with PdfFile(pdf(catalogue=opening % (script, script)), "js.pdf", LIMITS) as file:
        assert file.render(1, (28, 28)).getpixel((5, 5)) == COLOURS[0]


def test_the_library_has_no_engine_for_scripts() -> None:
    import pypdfium2

    assert "V8" not in pypdfium2.PDFIUM_INFO.flags


def test_a_locked_pdf_asks_for_an_unlocked_copy() -> None:
    with pytest.raises(MediaError, match="^a.pdf is locked with a password; attach an unlocked"):
        PdfFile(locked_pdf(), "a.pdf", LIMITS)


def test_a_damaged_pdf_says_so() -> None:
    with pytest.raises(MediaError, match="^a.pdf is a PDF document that is damaged or cut off"):
        PdfFile(b"%PDF-1.7\nnothing", "a.pdf", LIMITS)


def test_a_document_ends_with_its_process() -> None:
    with PdfFile(pdf(), "a.pdf", LIMITS) as file:
        process = file._process
    assert process.poll() is not None


def test_pages_of_a_tiff_are_opened_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "scan.tiff").write_bytes(tiff_pages(3))
    with TiffFile(tmp_path / "scan.tiff", "scan.tiff", LIMITS) as file:
        assert file.page_count == 3
        assert file.natural_size(2) == (120, 80)
        assert file.render(2, (112, 84)).getpixel((50, 40)) == COLOURS[1]
        assert file.render(1, (120, 80)).getpixel((50, 40)) == COLOURS[0]
