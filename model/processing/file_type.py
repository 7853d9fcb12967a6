"""What a file is, told from its content; names and declared types are claims."""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from model.processing.media import HEAD_BYTES, is_text
from model.processing.text_file import guess_encoding

Kind = Literal["image", "pdf", "office", "text", "video", "other"]

AS_IMAGE = "attach it as an image"
AS_VIDEO = "attach it as a video"
AS_PNG = "export it as PNG"
UNPACK = "unpack it and attach the files in it"


@dataclass(frozen=True, slots=True)
class FileType:
    """What a file was recognised as.

    Attributes:
        what: in words, with its article: "a PDF document".
        remedy: what to do where such a file is not taken; None if there is nothing to say.
        suffix: the extension that LibreOffice expects on an Office document.
    """

    kind: Kind
    what: str
    remedy: str | None = None
    suffix: str = ""


# (offset, signature) -> type; the first match counts
SIGNATURES: tuple[tuple[int, bytes, FileType], ...] = (
    (0, b"\x89PNG", FileType("image", "a PNG image", AS_IMAGE)),
    (0, b"\xff\xd8\xff", FileType("image", "a JPEG image", AS_IMAGE)),
    (8, b"WEBP", FileType("image", "a WebP image", AS_IMAGE)),
    (0, b"GIF8", FileType("image", "a GIF image", AS_IMAGE)),
    (0, b"II*\0", FileType("image", "a TIFF image", AS_IMAGE)),
    (0, b"MM\0*", FileType("image", "a TIFF image", AS_IMAGE)),
    (0, b"II+\0", FileType("image", "a TIFF image", AS_IMAGE)),
    (0, b"MM\0+", FileType("image", "a TIFF image", AS_IMAGE)),
    (0, b"\0\0\1\0", FileType("other", "an icon", AS_PNG)),
    (0, b"\0\0\0\x0cjP  ", FileType("image", "a JPEG 2000 image", AS_IMAGE)),
    (0, b"\xff\x4f\xff\x51", FileType("image", "a JPEG 2000 image", AS_IMAGE)),
    (0, b"%PDF", FileType("pdf", "a PDF document", "export the page as a PNG image")),
    (0, b"%!PS", FileType("other", "text in PostScript", "convert it to PDF")),
    (0, b"{\\rtf", FileType("office", "a rich text document", "export it as PDF", ".rtf")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
     FileType("office", "an old Office document", "save it as DOCX, PPTX or XLSX", ".doc")),
    (0, b"PK\x03\x04",
     FileType("other", "a ZIP archive or an Office document", "unpack it or export it as PNG")),
    (0, b"PK\x05\x06", FileType("other", "an empty ZIP archive", "attach the files themselves")),
    (0, b"\x1a\x45\xdf\xa3", FileType("video", "a WebM or Matroska video", AS_VIDEO)),
    (8, b"AVI ", FileType("video", "an AVI video", AS_VIDEO)),
    (0, b"FLV\1", FileType("video", "a Flash video", AS_VIDEO)),
    (0, b"\0\0\1\xba", FileType("video", "an MPEG video", AS_VIDEO)),
    (4, b"moov", FileType("video", "a QuickTime video", AS_VIDEO)),
    (4, b"mdat", FileType("video", "a QuickTime video", AS_VIDEO)),
    (4, b"wide", FileType("video", "a QuickTime video", AS_VIDEO)),
    (0, b"0&\xb2u\x8ef\xcf\x11", FileType("video", "a Windows Media video", AS_VIDEO)),
    (8, b"WAVE", FileType("other", "a WAV recording", "attach an image or a video")),
    (0, b"ID3", FileType("other", "an MP3 recording", "attach an image or a video")),
    (0, b"OggS", FileType("other", "an Ogg recording", "convert it to an H.264 MP4")),
    (0, b"fLaC", FileType("other", "a FLAC recording", "attach an image or a video")),
    (0, b"\x1f\x8b", FileType("other", "a gzip archive", UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", FileType("other", "a 7-Zip archive", UNPACK)),
    (0, b"Rar!", FileType("other", "a RAR archive", UNPACK)),
    (257, b"ustar", FileType("other", "a tar archive", UNPACK)),
    (0, b"8BPS", FileType("other", "a Photoshop file", AS_PNG)),
    (0, b"MZ", FileType("other", "a Windows program", None)),
    (0, b"\x7fELF", FileType("other", "a Linux program", None)),
)  # fmt: skip

# Documents that are text themselves. All other signatures made of letters may begin a text as well;
# in the formats that they stand for, control characters follow.
TEXT_SIGNATURES = (b"%PDF", b"%!PS", b"{\\rtf")

PNM = re.compile(rb"P[1-6]\s")
# A PNM that reads as text: its size follows, in the forms P1 to P3 a pixel or the greatest value
# too; all of them numbers, among comments.
_GAP = r"(?:\s|#[^\r\n]*[\r\n])+"
PNM_AS_TEXT = re.compile(
    rf"P(?:[1-3]{_GAP}\d+{_GAP}\d+{_GAP}\d|[4-6]{_GAP}\d+{_GAP}\d+\s)".encode()
)

# What may stand in front of the root of an XML document.
XML_PROLOGUE = re.compile(
    r"\s*(?:<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*(?:\[.*?\]\s*)?>)", re.DOTALL | re.IGNORECASE
)
SVG_ROOT = re.compile(r"\s*<(?:\w+:)?svg[\s/>]", re.IGNORECASE)

# Brands of the ISO base media format (ISO/IEC 23000-22 for HEIF); all others are videos.
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
AUDIO_BRANDS = {b"M4A ", b"M4B "}

# Extension -> what people expect behind it, to say so when it is something else.
CLAIMS: dict[str, Kind] = {
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic",
         ".heif", ".jp2"), "image"),
    ".pdf": "pdf",
    **dict.fromkeys(
        (".docx", ".pptx", ".xlsx", ".odt", ".odp", ".ods", ".doc", ".ppt", ".xls", ".rtf"),
        "office"),
    **dict.fromkeys((".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"), "video"),
    **dict.fromkeys((".txt", ".md", ".csv", ".json"), "text"),
}  # fmt: skip

CLAIM_WORDS = {
    "image": "an image",
    "pdf": "a PDF",
    "office": "a document",
    "text": "a text file",
    "video": "a video",
}

# The end record of an archive and the longest comment after it; a list for 10,000s of files.
MAX_ARCHIVE_END_BYTES = 22 + 20 + 65535
MAX_DIRECTORY_BYTES = 4 * 1024 * 1024

# What reading a damaged archive raises.
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    ValueError,
    RuntimeError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)

# A file that only Office programs write -> its kind.
OFFICE_PARTS = (
    ("word/document.xml", FileType("office", "a Word document", "export it as PDF", ".docx")),
    ("ppt/presentation.xml", FileType("office", "a PowerPoint file", "export it as PDF", ".pptx")),
    ("xl/workbook.xml", FileType("office", "an Excel workbook", "export it as PDF", ".xlsx")),
)
ODF_TYPES = {
    b"application/vnd.oasis.opendocument.text": ("an OpenDocument text", ".odt"),
    b"application/vnd.oasis.opendocument.presentation": ("an OpenDocument presentation", ".odp"),
    b"application/vnd.oasis.opendocument.spreadsheet": ("an OpenDocument spreadsheet", ".ods"),
    b"application/vnd.oasis.opendocument.graphics": ("an OpenDocument drawing", ".odg"),
}


def identify(path: Path) -> FileType:
    """Recognise a file; of a ZIP archive the list of contents is read, else the first bytes."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        # the PDF standard allows other bytes first; readers look through the first kilobyte
        if not is_text(head) and b"%PDF-" in head:
            return identify_head(b"%PDF")
    found = identify_head(head)
    return _identify_archive(path) or found if head.startswith(b"PK\x03\x04") else found


def identify_head(head: bytes) -> FileType:
    """Recognise a file by its first bytes; in a text, words do not count as signatures."""
    encoding = guess_encoding(head, is_excerpt=True)
    if encoding is None and head[4:8] == b"ftyp":
        return _identify_iso_media(head)
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return FileType("image", "a BMP image", AS_IMAGE)
    if (PNM if encoding is None else PNM_AS_TEXT).match(head):
        return FileType("image", "a PNM image", AS_IMAGE)
    for offset, signature, found in SIGNATURES:
        if head[offset : offset + len(signature)] == signature and (
            encoding is None or signature in TEXT_SIGNATURES or not _is_words(signature)
        ):
            return found
    if encoding is None:
        start = head[:4].hex(" ")
        return FileType("other", f"not a known format (it begins with the bytes {start})")
    text = head.decode(encoding, "ignore").strip("\ufeff")
    if _is_svg(text):
        return FileType("other", "an SVG drawing", AS_PNG)
    opening = text.split("\n")[0].strip()[:20]
    return FileType("text", f"text (it begins with {opening!r})")


def mislabelled(name: str, found: FileType) -> str | None:
    """Return what the name claims ("an image") when the content is of another kind."""
    claim = CLAIMS.get(PurePath(name).suffix.lower())
    return CLAIM_WORDS[claim] if claim is not None and claim != found.kind else None


def _is_words(signature: bytes) -> bool:
    return signature.isascii() and signature.decode().isprintable()


def _is_svg(text: str) -> bool:
    """Whether the root of an XML document is a drawing."""
    at = 0
    while prologue := XML_PROLOGUE.match(text, at):
        at = prologue.end()
    return SVG_ROOT.match(text, at) is not None


def _identify_iso_media(head: bytes) -> FileType:
    """Tell photos from videos: a file of a general brand lists the special ones after it."""
    size = int.from_bytes(head[:4], "big")
    main = head[8:12]
    brands = {main} | {head[at : at + 4] for at in range(16, min(size, len(head) - 3), 4)}
    if main in HEIF_BRANDS | AVIF_BRANDS:
        if brands & AVIF_BRANDS:
            return FileType("image", "an AVIF image", AS_IMAGE)
        return FileType("image", "a HEIC image", AS_IMAGE)
    if main in AUDIO_BRANDS:
        return FileType("other", "an M4A recording", "attach an image or a video")
    return FileType("video", "an MP4 or QuickTime video", AS_VIDEO)


def _has_small_directory(path: Path) -> bool:
    """True when listing an archive takes little memory: Python's reader trusts the stated size."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - MAX_ARCHIVE_END_BYTES))
        end = file.read()
    # as zipfile looks for it: a record at the very end without a comment, else the last one
    at = len(end) - 22
    if at < 0 or end[at : at + 4] != b"PK\5\6" or end[-2:] != b"\0\0":
        at = end.rfind(b"PK\5\6")
    if at < 0 or end[max(0, at - 20) :].startswith(b"PK\6\7"):  # none, or the 64-bit form
        return False
    return int.from_bytes(end[at + 12 : at + 16], "little") <= MAX_DIRECTORY_BYTES


def _identify_archive(path: Path) -> FileType | None:
    """Recognise Office documents by the parts that make them up; nothing is unpacked but a name."""
    if not _has_small_directory(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            for part, found in OFFICE_PARTS:
                if part in names:
                    return found
            if "mimetype" in names:
                with archive.open("mimetype") as file:
                    what = ODF_TYPES.get(file.read(HEAD_BYTES).strip())
                if what is not None:
                    return FileType("office", what[0], "export it as PDF", what[1])
    except ARCHIVE_ERRORS:
        return None  # a damaged archive stays an archive
    return FileType("other", "a ZIP archive", UNPACK)
