"""Take the README's picture of the page: ``python docs/screenshot.py`` while ``app.py`` runs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

URL = "http://127.0.0.1:7860"
PICTURE = Path(__file__).parent / "page.png"


def main() -> None:
    """Click the first example and save what the page shows then."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(URL)
        page.locator("#examples tbody tr").first.click()
        expect(page.locator("#table tbody tr")).to_be_visible()
        expect(page.locator("#start")).to_be_visible()
        page.evaluate("window.scrollTo(0, 0)")
        page.mouse.move(0, 0)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
