"""Renders pages with Chromium and measures them: pages -> screens."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from training.screens import Character, Element, Screen
from training.tasks.names import COLORED
from training.web.colors import name_color
from training.web.pages import Page

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

MISSING_PACKAGE = "Web pages need the package playwright: pip install playwright"
MISSING_BROWSER = (
    "Web pages need Chromium, which was not found: install it (apt-get install chromium, or "
    "playwright install chromium)"
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",  # it opens only what this program has written
    "--host-resolver-rules=MAP * ~NOTFOUND",  # style sheets that want web fonts get none
    "--allow-file-access-from-files",  # fonts lie in another folder than the page
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--hide-scrollbars",
)
_ATTEMPTS = 3  # a browser that has shown hundreds of pages now and then refuses to take a picture
_LEAST_DEVIATION = 4.0  # of pixel values inside a box, where something can be read


class BrowserError(RuntimeError):
    """Pages cannot be rendered here; the message says why, or what to install."""


class Browser:
    """An open Chromium; ``show`` renders one page after the other."""

    def __init__(self, open_tab: Callable[[], Tab], folder: Path) -> None:
        self._open_tab, self._tab = open_tab, open_tab()
        self._file = folder / "page.html"
        self._measure = Path(__file__).with_name("measure.js").read_text(encoding="utf-8")

    def show(self, page: Page) -> Screen:
        """Return the page as a screen; its elements are those that a person sees."""
        self._file.write_text(page.html, encoding="utf-8")
        png, measured = self._take(page.size)
        image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        elements = tuple(e for e in map(_element, measured["elements"]) if _is_drawn(image, e))
        headings = [element.name for element in elements if element.role == "heading"]
        return Screen(
            image=image,
            elements=elements,
            characters=tuple(Character(*values) for values in measured["characters"]),
            kind=page.kind.replace("_", " "),
            title=headings[0] if headings else "",
            is_dark=bool(image.mean() < 110),
        )

    def _take(self, size: tuple[int, int]) -> tuple[bytes, dict[str, Any]]:
        """Return the picture of the file as PNG and what ``measure.js`` says of it."""
        from playwright.sync_api import Error

        for attempt in range(_ATTEMPTS):
            try:
                self._tab.set_viewport_size({"width": size[0], "height": size[1]})
                self._tab.goto(self._file.as_uri())
                self._tab.evaluate("document.fonts.ready.then(() => true)")
                png = self._tab.screenshot(animations="disabled", caret="hide")
                return png, self._tab.evaluate(self._measure)
            except Error as error:
                if attempt == _ATTEMPTS - 1:
                    raise BrowserError(f"A page could not be shown: {error.message}") from error
                self._tab.close()
                self._tab = self._open_tab()
        raise AssertionError


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium and end it.

    Raises:
        BrowserError: Playwright or Chromium is not installed.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise BrowserError(MISSING_PACKAGE) from error
    with tempfile.TemporaryDirectory(prefix="pages-") as folder, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, _NAMES)), None)
        try:
            browser = playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS])
        except Error as error:
            raise BrowserError(MISSING_BROWSER) from error
        with browser:
            yield Browser(browser.new_page, Path(folder))


def _is_drawn(image: np.ndarray, element: Element) -> bool:
    """Whether there is something to see: a kit may draw white text on white."""
    x0, y0, x1, y1 = (round(value) for value in element.box)
    return bool(image[y0:y1, x0:x1].std(axis=(0, 1)).max() > _LEAST_DEVIATION)


def _element(values: dict[str, Any]) -> Element:
    role = values["role"]
    color = ""
    if role in COLORED:
        # an icon that is no button has no ground of its own
        color = name_color(_rgb(values["background"])) or (
            name_color(_rgb(values["foreground"])) if role == "icon" else ""
        )
    return Element(
        role=role,
        box=tuple(values["box"]),
        name=values["name"],
        label=values["label"],
        value=values["value"],
        color=color,
        state=values["state"],
        icon=values["icon"],
    )


def _rgb(css: str) -> tuple[int, int, int] | None:
    """Read a computed colour; None if nothing is seen of it."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", css)]
    if not css.startswith("rgb") or len(numbers) < 3 or (len(numbers) > 3 and numbers[3] < 0.5):
        return None
    return (round(numbers[0]), round(numbers[1]), round(numbers[2]))
