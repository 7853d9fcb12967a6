"""HTML of an answer -> a button that shows it as a page, closed off from this one.

The browser's half is in ``assets/media/preview.js``: frames that may do nothing but show.
"""

from __future__ import annotations

import json
import re
from html import escape

from ui.rendering.fences import split_blocks

_LANGUAGES = ("html", "htm", "xhtml")
_BEGINS = re.compile(r"\s*<(?:!doctype\s+html\b|html[\s>])", re.IGNORECASE)
_ENDS = re.compile(r"</html\s*>", re.IGNORECASE)


def fence_bare_page(answer: str) -> str:
    """Return an answer that begins as a page of HTML, without a fence around it, with one."""
    if not _BEGINS.match(answer):
        return answer
    end = _end_of_page(answer)
    longest = max(map(len, re.findall(r"`+", answer)), default=0)
    fence = "`" * max(3, longest + 1)
    page, rest = (answer, "") if end is None else (answer[:end], answer[end:])
    return f"{fence}html\n{page.strip()}" + ("" if end is None else f"\n{fence}\n{rest}")


def _end_of_page(answer: str) -> int | None:
    ends = [found.end() for found in _ENDS.finditer(answer)]
    return ends[-1] if ends else None


def find_pages(answer: str) -> list[str]:
    """Return the HTML in an answer that is complete: in blocks of code, or as it is."""
    return [
        block.code
        for block in split_blocks(fence_bare_page(answer))
        if block.is_closed
        and block.info is not None
        and block.info.lower().split(" ")[0] in _LANGUAGES
        and block.code.strip()
    ]


def to_preview_html(answer: str) -> str:
    """Return HTML that offers to show what an answer has of HTML; "" if it has none."""
    # asked for again with each piece of an answer, and hardly any has HTML
    pages = find_pages(answer) if "htm" in answer.lower() else []
    if not pages:
        return ""
    data = escape(json.dumps(pages, ensure_ascii=False, separators=(",", ":")))
    return f'<sightline-preview data-pages="{data}"></sightline-preview>'
