"""PDFs made to keep the machine busy or to fill its memory: each ends in its message."""

from __future__ import annotations

import os
import signal
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Timer

import pytest
from attachment_files import pdf, pdf_from_objects, stream

from model.processing import Limits, MediaError
from model.processing.limits import MIB
from model.processing.pdf import PdfFile

# A fraction of what operators allow, so that the tests are quick.
HURRIED = replace(Limits(), max_page_s=0.3)

CURVE = b"0 0 m 595 842 l 300 0 200 500 100 842 c S\n"
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]"
GROUP = FORM + b"/Group<</S/Transparency/I true/CS/DeviceGray>>"


def page(content: bytes, resources: bytes = b"", objects: Sequence[bytes] = ()) -> bytes:
    """A PDF of one page; the ``objects`` are numbered from 5 on."""
    return pdf_from_objects([
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<<%b>>>>"
        % resources,
        stream(zlib.compress(content), b"/Filter/FlateDecode"),
        *objects,
    ])  # fmt: skip


def nested_forms(entries: bytes, depth: int, copies: int) -> bytes:
    """Forms that each draw the next one several times: copies ** depth in all."""
    inner = b"/Resources<</XObject<</F %d 0 R>>>>"
    forms = [stream(b"/F Do " * copies, entries + inner % (6 + i)) for i in range(depth)]
    last = stream(b"0 0 500 500 re f", entries)
    return page(b"/F Do", b"/XObject<</F 5 0 R>>", [*forms, last])


def tiles() -> bytes:
    """A pattern of four thousand million tiles."""
    tile = stream(
        b"0 0 1 1 re f " * 20_000,
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 5000 5000]"
        b"/XStep 0.01/YStep 0.01/Resources<<>>",
    )
    return page(b"/Pattern cs /P scn 0 0 595 842 re f", b"/Pattern<</P 5 0 R>>", [tile])


def slow_shading() -> bytes:
    """A colour at each pixel computed by a program of 180,000 steps."""
    program = stream(
        b"{ " + b"1 1 1 pop pop pop " * 30_000 + b" dup }",
        b"/FunctionType 4/Domain[0 1 0 1]/Range[0 1 0 1 0 1]",
    )
    shading = (
        b"<</ShadingType 1/ColorSpace/DeviceRGB/Domain[0 1 0 1]/Matrix[595 0 0 842 0 0]"
        b"/Function 5 0 R>>"
    )
    return page(b"/S sh", b"/Shading<</S 6 0 R>>", [program, shading])


def many_images() -> bytes:
    image = stream(
        zlib.compress(bytes(3 * 4000 * 4000)),
        b"/Type/XObject/Subtype/Image/Width 4000/Height 4000/BitsPerComponent 8"
        b"/ColorSpace/DeviceRGB/Filter/FlateDecode",
    )
    content = b"q 595 0 0 842 0 0 cm " + b"/I Do " * 3000 + b"Q"
    return page(content, b"/XObject<</I 5 0 R>>", [image])


def soft_masks() -> bytes:
    mask = stream(CURVE * 3000, GROUP)
    states = b"/ExtGState<</G<</SMask<</S/Luminosity/G 5 0 R>>>>>>"
    return page(b"/G gs 0 0 595 842 re f " * 3000, states, [mask])


def marks(kind: bytes, form: bytes = b"") -> bytes:
    """Twenty thousand annotations over one page, with a thousand curves each."""
    look = b"<</Type/Annot%b/F 4/Rect[0 0 595 842]/P 3 0 R/AP<</N 6 0 R>>>>" % kind
    return pdf_from_objects([
        b"<</Type/Catalog/Pages 2 0 R%b>>" % form,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Annots[%b]>>" % (b"5 0 R " * 20_000),
        b"<<>>", look, stream(CURVE * 1000, FORM),
    ])  # fmt: skip


def letters() -> bytes:
    font = b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    return page(b"BT /F 300 Tf " + b"(MMMMMMMMMMMMMMMM) Tj 0 0 Td\n" * 200_000 + b" ET", font)


BUSY_PAGES: dict[str, Callable[[], bytes]] = {
    "strokes": lambda: page(CURVE * 120_000),
    "dashes": lambda: page(b"[1 2] 0 d 3 w " + CURVE * 60_000),
    "one stroke": lambda: page(b"0 0 m " + CURVE.replace(b"S", b"")[5:] * 150_000 + b"S"),
    "one area": lambda: page(b"0 0 m " + CURVE.replace(b"S", b"")[5:] * 150_000 + b"f*"),
    "clips": lambda: page(b"q " + CURVE.replace(b"S", b"W n q ") * 30_000),
    "letters": letters,
    "forms": lambda: nested_forms(FORM, depth=10, copies=10),
    "groups": lambda: nested_forms(GROUP, depth=6, copies=6),
    "tiles": tiles,
    "shading": slow_shading,
    "images": many_images,
    "soft masks": soft_masks,
    "stamps": lambda: marks(b"/Subtype/Stamp"),
    "form fields": lambda: marks(
        b"/Subtype/Widget/FT/Tx/T(a)/V(x)", b"/AcroForm<</Fields[5 0 R]>>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BUSY_PAGES)
def test_a_page_made_to_keep_the_machine_busy_is_given_up(what: str) -> None:
    with (
        PdfFile(BUSY_PAGES[what](), "a.pdf", HURRIED) as file,
        pytest.raises(MediaError) as refusal,
    ):
        file.render(1, (588, 840))
    assert str(refusal.value) == (
        "page 1 of a.pdf takes more than 0.3 s of computing to draw; choose other pages, or attach "
        "it as an image"
    )


def test_a_page_made_to_fill_the_memory_is_given_up() -> None:
    tight = replace(Limits(), max_memory_bytes=256 * MIB)
    with (
        PdfFile(page(b" " * 400_000_000), "a.pdf", tight) as file,
        pytest.raises(MediaError, match=r"^page 1 of a.pdf takes more than 256 MiB of memory to d"),
    ):
        file.render(1, (588, 840))


def test_operators_allow_a_page_less_than_two_seconds_and_a_gibibyte_by_default() -> None:
    assert Limits().max_page_s < 2
    assert Limits().max_memory_bytes <= 1024 * MIB


def long_cross_references() -> bytes:
    catalogue = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    entries = b"0000000009 00000 n \n" * 500_000
    trailer = b"trailer\n<</Size 500000/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(catalogue)
    return catalogue + b"xref\n0 500000\n" + entries + trailer


BUSY_FILES: dict[str, Callable[[], bytes]] = {
    "long cross references": long_cross_references,
    "no cross references": lambda: b"%PDF-1.7\n" + b"1 0 obj<</Pages 1 0 R>>endobj\n" * 500_000,
}


@pytest.mark.parametrize("what", BUSY_FILES)
def test_a_file_made_to_be_opened_for_long_is_given_up(what: str) -> None:
    hurried = replace(Limits(), max_page_s=0.05)
    with pytest.raises(MediaError) as refusal:
        PdfFile(BUSY_FILES[what](), "a.pdf", hurried)
    assert str(refusal.value) == (
        "a.pdf takes more than 0.05 s of computing to open; print it to a new PDF, or attach its "
        "pages as images"
    )


def deep_page_tree(depth: int = 10_000) -> bytes:
    nodes = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (3 + i) for i in range(depth)]
    return pdf_from_objects([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, b"<</Type/Page>>"])


def bushy_page_tree(depth: int = 8) -> bytes:
    """A tree in which every node has the next one ten times as its child."""
    nodes = [
        b"<</Type/Pages/Kids[%b]/Count %d>>" % (b"%d 0 R " % (3 + i) * 10, 10 ** (depth - i))
        for i in range(depth)
    ]
    return pdf_from_objects([b"<</Type/Catalog/Pages 2 0 R>>", *nodes, b"<</Type/Page>>"])


def crossing_page_trees() -> bytes:
    return pdf_from_objects([
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 3 0 R]/Count 1000000>>",
        b"<</Type/Pages/Parent 2 0 R/Kids[2 0 R 2 0 R]/Count 500000>>",
    ])  # fmt: skip


def huge_bitmap() -> bytes:
    """A JBIG2 picture of four thousand million pixels in a hundred bytes."""
    head = struct.pack(">IBBBI", 0, 48, 0, 1, 19) + struct.pack(">IIIIBH", 65000, 65000, 0, 0, 0, 0)
    region = struct.pack(">IIIIB", 65000, 65000, 0, 0, 0) + b"\0\3\xff\xfd\xff\2\xfe\xfe\xfe"
    data = head + struct.pack(">IBBBI", 1, 38, 0, 1, len(region)) + region
    image = stream(
        data,
        b"/Type/XObject/Subtype/Image/Width 65000/Height 65000/BitsPerComponent 1"
        b"/ColorSpace/DeviceGray/Filter/JBIG2Decode",
    )
    return page(b"595 0 0 842 0 0 cm /I Do", b"/XObject<</I 5 0 R>>", [image])


# Files whose trick PDFium sees through: without a page it gives up, or it draws what there is.
SEEN_THROUGH: dict[str, Callable[[], bytes]] = {
    "deep page tree": deep_page_tree,
    "bushy page tree": bushy_page_tree,
    "crossing page trees": crossing_page_trees,
    "page tree with a lying count": lambda: pdf(1).replace(b"/Count 1", b"/Count 2000000000"),
    "loop of cross references": lambda: pdf(1, trailer=b"/Prev 9 "),
    "nested states": lambda: page(b"q " * 1_000_000),
    "nested lists": lambda: page(b"[" * 1_000_000),
    "nested dictionaries": lambda: page(b"/A <<" + b"/B <<" * 500_000),
    "huge bitmap": huge_bitmap,
}


@pytest.mark.parametrize("what", SEEN_THROUGH)
def test_a_trick_that_is_seen_through_ends_in_a_page_or_a_message(what: str) -> None:
    # a large bitmap takes a second of computing, twice that on a machine with other work
    patient = replace(Limits(), max_page_s=15)
    try:
        with PdfFile(SEEN_THROUGH[what](), "a.pdf", patient) as file:
            file.natural_size(1)
            assert file.render(1, (56, 84)).size == (56, 84)
    except MediaError as refusal:
        assert "damaged" in str(refusal)


def test_each_page_has_its_own_time() -> None:
    heavy = replace(Limits(), max_page_s=0.5)
    with PdfFile(page(CURVE * 500), "a.pdf", heavy) as file:
        for _ in range(16):  # more than half a second in all
            file.render(1, (588, 840))


def test_waiting_for_the_machine_is_not_computing() -> None:
    with PdfFile(pdf(), "a.pdf", HURRIED) as file:
        process = file._process
        os.kill(process.pid, signal.SIGSTOP)  # as when others have the processor
        resumed = Timer(2 * HURRIED.max_page_s, os.kill, (process.pid, signal.SIGCONT))
        resumed.start()
        assert file.render(1, (56, 84)).size == (56, 84)


def test_a_worker_that_never_goes_on_is_ended() -> None:
    with PdfFile(pdf(), "a.pdf", replace(Limits(), max_page_s=0.05)) as file:
        os.kill(file._process.pid, signal.SIGSTOP)
        with pytest.raises(MediaError, match="^page 1 of a.pdf takes more than 0.05 s"):
            file.render(1, (56, 84))
