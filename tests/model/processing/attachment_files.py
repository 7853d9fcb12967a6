"""Real files for the tests of attachments, written by hand where a library would not."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

COLOURS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (180, 160, 20)]


def pdf_from_objects(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Return a PDF of numbered objects, of which the first is the catalogue."""
    out = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R%b>>\n"
        b"startxref\n%d\n%%%%EOF" % (size, table, size, trailer, len(out))
    )


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (entries, len(data), data)


def pdf(
    pages: int = 1,
    *,
    size: tuple[float, float] = (595, 842),
    catalogue: bytes = b"",
    trailer: bytes = b"",
) -> bytes:
    """Return a PDF whose pages are filled with the COLOURS in turn."""
    contents = [
        stream(b"%.3f %.3f %.3f rg 0 0 99999 99999 re f" % tuple(v / 255 for v in colour))
        for colour in COLOURS
    ]
    first = 3 + len(contents)
    kids = b" ".join(b"%d 0 R" % (first + i) for i in range(pages))
    leaves = [
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %g %g]/Contents %d 0 R>>"
        % (*size, 3 + i % len(contents))
        for i in range(pages)
    ]
    tree = b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, pages)
    head = b"<</Type/Catalog/Pages 2 0 R%b>>" % catalogue
    return pdf_from_objects([head, tree, *contents, *leaves], trailer)


def locked_pdf() -> bytes:
    key = b"<" + b"ab" * 32 + b">"
    lock = b"/Encrypt<</Filter/Standard/V 1/R 2/O%b/U%b/P -4>>/ID[%b%b]" % (key, key, key, key)
    return pdf(trailer=lock)


def image_bytes(kind: str = "PNG", size: tuple[int, int] = (160, 96), **options: object) -> bytes:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated_gif(frames: int = 4) -> bytes:
    pictures = [Image.new("RGB", (64, 48), colour) for colour in COLOURS[:frames]]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=250)
    return buffer.getvalue()


def tiff_pages(count: int = 3) -> bytes:
    pictures = [Image.new("RGB", (120, 80), colour) for colour in COLOURS[:count]]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "TIFF", save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return buffer.getvalue()


RELATIONS = b"http://schemas.openxmlformats.org/package/2006/relationships"
WORD = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(text: str = "Hello") -> bytes:
    kind = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    target = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    return archive({
        "[Content_Types].xml":
            b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            b'<Default Extension="rels" ContentType='
            b'"application/vnd.openxmlformats-package.relationships+xml"/>'
            b'<Override PartName="/word/document.xml" ContentType="%b"/></Types>' % kind,
        "_rels/.rels":
            b'<Relationships xmlns="%b"><Relationship Id="r1" Type="%b" '
            b'Target="word/document.xml"/></Relationships>' % (RELATIONS, target),
        "word/document.xml":
            b'<w:document xmlns:w="%b"><w:body><w:p><w:r><w:t>%b</w:t></w:r></w:p></w:body>'
            b"</w:document>" % (WORD, text.encode()),
    })  # fmt: skip


def odt(manifest: bytes = b"<manifest/>") -> bytes:
    return archive({
        "mimetype": b"application/vnd.oasis.opendocument.text",
        "META-INF/manifest.xml": manifest,
        "content.xml": b"<office/>",
    })  # fmt: skip


def write_clip(path: Path, frames: int = 48, fps: float = 24.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (160, 96))
    for i in range(frames):
        writer.write(np.full((96, 160, 3), 5 * i % 256, np.uint8))
    writer.release()
    return path
