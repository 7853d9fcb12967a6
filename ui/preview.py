"""HTML of an answer -> a button that shows it as a page, closed off from this one.

The browser's half is in ``assets/media/preview.js``: frames that may do nothing but show.
"""

from __future__ import annotations

import json
import re
from html import escape

from ui.fences import split_blocks

_LANGUAGES = ("html", "htm", "xhtml")
_BEGINS = re.compile(r"\s*<(?:!doctype\s+html\b|html[\s>])", re.IGNORECASE)
_ENDS = re.compile(r"</html\s*>\s*$", re.IGNORECASE)


def is_bare_page(answer: str) -> bool:
    """Whether an answer is HTML from its beginning, without a fence around it."""
    return bool(_BEGINS.match(answer))


def find_pages(answer: str) -> list[str]:
    """Return the HTML that is complete: of blocks of code, or all of an answer that is a page."""
    if is_bare_page(answer):
        return [answer] if _ENDS.search(answer) else []
    return [
        block.code
        for block in split_blocks(answer)
        if block.is_closed
        and block.info is not None
        and block.info.lower().split(" ")[0] in _LANGUAGES
        and block.code.strip()
    ]


def to_preview_html(answer: str) -> str:
    """Return HTML that offers to show what an answer has of HTML; "" if it has none."""
    pages = find_pages(answer)
    if not pages:
        return ""
    data = escape(json.dumps(pages, ensure_ascii=False, separators=(",", ":")))
    return f'<sightline-preview data-pages="{data}"></sightline-preview>'
