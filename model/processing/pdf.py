"""Pages of a PDF as pictures, drawn by a process that ends with the document."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

from model.processing.limits import MIB, Limits
from model.processing.media import MediaError, check_file

WORKER = Path(__file__).with_name("pdf_worker.py")

# The resolution at which the vendor's own demo renders pages.
RENDER_DPI = 180
POINTS_PER_INCH = 72

# A worker that waits instead of computing, for a file on a network drive or for other programs on a
# busy machine, has this many times its computing time; so has any on Windows, which counts none.
PATIENCE = 10

# What Python needs to start and to find its packages; the rest may hold keys.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "HOME", "SYSTEMROOT")


class PdfFile:
    """An open PDF; a context manager that closes it. Pages are numbered from 1.

    Opening takes 0.2 s, for the process to start. Not to be shared between threads.

    Args:
        source: path, or the content of the file.
        name: for messages.

    Raises:
        MediaError: gone, encrypted, damaged, without pages, or takes more time or memory to open
            than a page may.
    """

    def __init__(self, source: Path | bytes, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._content = None
        if isinstance(source, bytes):
            self._content = tempfile.NamedTemporaryFile(prefix="sightline-", suffix=".pdf")
            self._content.write(source)
            self._content.flush()
            source = Path(self._content.name)
        check_file(source, kind="file", name=name)
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={key: os.environ[key] for key in ENVIRONMENT if key in os.environ},
        )
        try:
            request = {
                "path": str(source.absolute()),
                "memory": limits.max_memory_bytes,
                "seconds": limits.max_page_s,
            }
            self.page_count = self._open(request)
        except MediaError:
            self._close()
            raise

    def natural_size(self, number: int) -> tuple[int, int]:
        """Return the (width, height) in pixels that a page has at 180 dpi.

        Raises:
            MediaError: the page is damaged.
        """
        answer, _ = self._ask({"page": number}, f"page {number} of {self.name}")
        points = answer.get("points", (0, 0))
        if not all(0 < side < math.inf for side in points):
            raise self._damaged(number)
        width, height = (max(1, round(side * RENDER_DPI / POINTS_PER_INCH)) for side in points)
        return width, height

    def render(self, number: int, size: tuple[int, int]) -> Image.Image:
        """Draw a page over white, stretched to (width, height) pixels.

        Raises:
            MediaError: the page is damaged, or takes more time or memory than allowed.
        """
        what = f"page {number} of {self.name}"
        answer, pixels = self._ask({"page": number, "size": size}, what)
        if "error" in answer:
            raise self._damaged(number)
        image = Image.frombuffer("RGB", size, pixels, "raw", "RGB", answer["stride"], 1)
        return image.copy()

    def __enter__(self) -> PdfFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _open(self, request: dict[str, Any]) -> int:
        answer, _ = self._ask(request, self.name)
        if answer.get("error") == "password":
            raise MediaError(f"{self.name} is locked with a password; attach an unlocked copy")
        if "error" in answer:
            raise MediaError(
                f"{self.name} is a PDF document that is damaged or cut off; "
                "save or download it again"
            )
        if not answer["page_count"]:
            raise MediaError(f"{self.name} has no pages; attach another PDF")
        return answer["page_count"]

    def _ask(self, request: dict[str, Any], what: str) -> tuple[dict[str, Any], bytes]:
        """Return the worker's answer and the pixels after it; end the worker when it is late."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(self._limits.max_page_s * PATIENCE, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            pixels = self._process.stdout.read(answer.get("bytes", 0))
            if len(pixels) == answer.get("bytes", 0):
                return answer, pixels
        except (OSError, json.JSONDecodeError):
            pass  # it is gone, for the reason below
        finally:
            timer.cancel()
        raise self._gone(what)

    def _gone(self, what: str) -> MediaError:
        """Say why the worker ended: the system ended it for its time, or PDFium for its memory."""
        ended_by = -self._process.wait()
        if ended_by in (getattr(signal, "SIGPROF", None), signal.SIGTERM, signal.SIGKILL):
            taken = f"more than {self._limits.max_page_s:g} s of computing"
        else:
            taken = f"more than {self._limits.max_memory_bytes / MIB:,.0f} MiB of memory"
        doing, remedy = "draw", "choose other pages, or attach it as an image"
        if what == self.name:
            doing, remedy = "open", "print it to a new PDF, or attach its pages as images"
        return MediaError(f"{what} takes {taken} to {doing}; {remedy}")

    def _close(self) -> None:
        self._process.kill()
        self._process.communicate()
        if self._content is not None:
            self._content.close()

    def _damaged(self, number: int) -> MediaError:
        return MediaError(f"page {number} of {self.name} is damaged; choose other pages")
