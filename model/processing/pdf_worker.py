"""A program that opens one PDF and draws pages on request, for ``pdf.py`` to run and to end.

In a process of its own, a file made to exhaust memory, to draw forever or to crash the library
harms nobody else, and PDFium, which may be called by one thread at a time, needs no lock. Scripts
in a PDF never run: the library is built without an engine for them.

Requests are JSON lines on stdin, answers JSON lines on stdout, pixels follow theirs as raw bytes:

    {"path": ..., "memory": bytes, "seconds": s}
        -> {"page_count": n} or {"error": "password" | "damaged"}
    {"page": n} -> {"points": [width, height]} or {"error": ...}
    {"page": n, "size": [width, height]} -> {"stride": n, "bytes": n} + rows of RGB, or an error
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c


def limit_memory(limit: int) -> None:
    """Let allocations beyond ``limit`` bytes fail; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_computing(seconds: float) -> None:
    """End this process by SIGPROF after so many more seconds of computing; not on Windows.

    Time on the processor, not on the clock: a busy machine must not refuse an honest page. The
    library can be asked to pause, but only between the objects of a page, and one is enough to
    keep it busy.
    """
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


def open_document(path: str) -> pdfium.PdfDocument:
    """Open a PDF, with the means to draw the fields of a form."""
    document = pdfium.PdfDocument(path)
    # fields are drawn by a form's environment alone, which would start scripts if it could
    if document.get_formtype() and "V8" not in pdfium.PDFIUM_INFO.flags:
        document.init_forms()
    return document


def draw(
    document: pdfium.PdfDocument, number: int, width: int, height: int
) -> tuple[dict[str, Any], bytes]:
    """Draw a page over white, stretched to width x height pixels; return answer and pixels."""
    page = document[number - 1]
    bitmap = pdfium.PdfBitmap.new_native(width, height, pdfium_c.FPDFBitmap_BGR, rev_byteorder=True)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    flags = pdfium_c.FPDF_ANNOT | pdfium_c.FPDF_REVERSE_BYTE_ORDER
    place = (bitmap, page, 0, 0, width, height, 0, flags)
    pdfium_c.FPDF_RenderPageBitmap(*place)
    if document.formenv:
        pdfium_c.FPDF_FFLDraw(document.formenv, *place)
    pixels = bytes(bitmap.buffer)
    answer = {"stride": bitmap.stride, "bytes": len(pixels)}
    bitmap.close()
    page.close()
    return answer, pixels


def answer_request(
    document: pdfium.PdfDocument, request: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """Return the answer to one request about a page, and the pixels that follow it."""
    try:
        if "size" in request:
            return draw(document, request["page"], *request["size"])
        return {"points": document.get_page_size(request["page"] - 1)}, b""
    except pdfium.PdfiumError:
        return {"error": "damaged"}, b""


def main() -> None:
    """Serve one document until stdin ends."""

    def say(answer: dict[str, Any], pixels: bytes = b"") -> None:
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
        sys.stdout.buffer.flush()

    first = json.loads(sys.stdin.buffer.readline())
    limit_memory(first["memory"])
    limit_computing(first["seconds"])
    try:
        document = open_document(first["path"])
    except pdfium.PdfiumError as error:
        locked = error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY)
        say({"error": "password" if locked else "damaged"})
        return
    say({"page_count": len(document)})
    for line in sys.stdin.buffer:
        answer, pixels = answer_request(document, json.loads(line))
        say(answer, pixels)
        if pixels:  # opening, measuring and the first page share a budget; later pages have theirs
            limit_computing(first["seconds"])


if __name__ == "__main__":
    main()
