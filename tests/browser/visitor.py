"""Somebody who opens pages in Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Browser, Page

TIMEOUT_MS = 30_000
# What Gradio's client says of streams that end because their page is left; how many are open then
# is a matter of speed.
CUT_STREAMS = ("AbortError: signal is aborted", "Unexpected error Connection errored out")


class Visitor:
    """Opens pages; in the end, none of them may have complained or asked another server."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._pages: list[Page] = []
        self.complaints: list[str] = []

    def open(self, url: str, *, width: int = 1280) -> Page:
        """Open ``url`` in a browser session of its own, as another person would."""
        page = self._browser.new_context(viewport={"width": width, "height": 900}).new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._check_address(url, request.url))
        page.goto(url)
        page.wait_for_selector("#start")
        self._pages.append(page)
        return page

    def reload(self, page: Page) -> None:
        """Open the page again; that its streams are cut is no complaint."""
        before = len(self.complaints)
        page.reload()
        self.complaints[before:] = [
            text for text in self.complaints[before:] if not text.startswith(CUT_STREAMS)
        ]

    def close(self) -> None:
        for page in self._pages:
            page.context.close()

    def _check_address(self, own: str, asked: str) -> None:
        if not asked.startswith((own, "data:", "blob:")):
            self.complaints.append(f"asked {asked}")


def ask(page: Page, text: str) -> None:
    """Send a question in the chat, with the files that are in the message box."""
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt textarea").press("Enter")


def wait_until(condition: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait for what the page does not show."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
