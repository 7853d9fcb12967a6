"""Photographs the pages of this folder, `NAME.html` -> `NAME.png`, and prints their elements.

The size of a screenshot stands in the page's first comment. Run from the repository root:
    python assets/examples/make_examples.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
FIND_ELEMENTS = """
() => [...document.querySelectorAll("[data-name]")].map(element => {
    const box = element.getBoundingClientRect();
    return [`${element.dataset.name} ${element.dataset.role}`,
            [box.left, box.top, box.right, box.bottom].map(Math.round)];
})
"""


def page_size(html: str) -> tuple[int, int]:
    """Read the (width, height) that a page wants to be photographed in."""
    size = re.search(r"<!-- (\d+)x(\d+) -->", html)
    if size is None:
        raise ValueError("the page lacks a comment with its size, such as <!-- 336x252 -->")
    return int(size[1]), int(size[2])


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for path in sorted(FOLDER.glob("*.html")):
            width, height = page_size(path.read_text(encoding="utf-8"))
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(path.as_uri())
            page.screenshot(path=path.with_suffix(".png"))
            print(path.stem, json.dumps(dict(page.evaluate(FIND_ELEMENTS)), ensure_ascii=False))
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
