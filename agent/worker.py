"""The process around the live browser: reads requests on its input, answers with what it shows.

A process of its own, so that stopping a run ends everything at once, whatever the page or the
browser is doing. Lines of JSON both ways; see ``agent.browser``, which starts it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.gate import Gate
from agent.origins import is_allowed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

MISSING_PACKAGE = (
    "Live runs need the package playwright, which is not installed: pip install playwright"
)
MISSING_BROWSER = (
    "Live runs need Chromium, which was not found: install it (apt-get install chromium, or "
    "playwright install chromium)"
)
MAX_ADDRESS_CHARACTERS = 200
CLICK_TIMEOUT_MS = 5_000
SETTLE_TIMEOUT_MS = 3_000
SETTLE_S = 0.3  # for what a page shows a moment after a click, such as a menu
_MOST_RETURNS = 2
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    # names are looked up by the gate; the browser itself must not ask anybody
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # neither may it send anything that does not go through the gate
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",  # its name in older versions
    "--disable-quic",
    "--dns-prefetch-disable",
)
# What a person could click or type into, and how it is called.
_FIND_MARKS = """
() => {
  const usable = "a[href], button, input:not([type=hidden]), textarea, select, summary, [onclick],"
    + "[role=button], [role=link], [role=tab], [role=menuitem], [role=option], [role=checkbox],"
    + "[role=switch], [role=radio], [contenteditable=true]";
  const found = [];
  for (const element of document.querySelectorAll(usable)) {
    const box = element.getBoundingClientRect();
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    if (box.width < 4 || box.height < 4 || x < 0 || y < 0 || x >= innerWidth || y >= innerHeight)
      continue;
    const top = document.elementFromPoint(x, y);
    if (!top || !(element.contains(top) || top.contains(element))) continue;
    const text = element.innerText || element.getAttribute("aria-label") || element.value
      || element.placeholder || element.title || "";
    found.push({tag: element.tagName.toLowerCase(), text: text.trim().slice(0, 200),
      box: [Math.max(0, box.left), Math.max(0, box.top),
            Math.min(innerWidth, box.right), Math.min(innerHeight, box.bottom)]});
    if (found.length >= 100) break;
  }
  return found;
}
"""


class _LiveBrowser:
    """One page in one browser, which is closed with the process."""

    def __init__(self, playwright: Playwright, settings: dict[str, Any]) -> None:
        from playwright.sync_api import Error

        self._error = Error
        self._origins = settings["origins"]
        gate = Gate(self._origins)
        gate.start()
        self._notes: list[str] = []
        self._home = settings["address"]
        width, height = settings["viewport"]
        browser = _launch(playwright, gate.address)
        context = browser.new_context(
            viewport={"width": width, "height": height},
            accept_downloads=False,
            service_workers="block",
        )
        context.set_default_timeout(CLICK_TIMEOUT_MS)
        self._page: Page = context.new_page()
        self._page.on("download", lambda _: self._notes.append("A download was refused."))
        self._page.on("websocket", lambda socket: self._note_address(socket.url))
        context.on("request", lambda request: self._note_address(request.url))
        context.on("page", self._close_popup)
        self._context: BrowserContext = context

    def open(self) -> None:
        """Go to the address of the run; a server that does not answer is told in the notes."""
        try:
            self._page.goto(self._home, wait_until="domcontentloaded")
        except self._error as error:
            self._notes.append(f"{self._home} did not open: {_first_line(error)}")

    def perform(self, command: dict[str, Any]) -> None:
        """Do one command of ``agent.commands``, given as a dictionary."""
        mouse, kind = self._page.mouse, command["kind"]
        if kind == "click":
            mouse.click(
                *command["at"],
                button=command["button"],
                click_count=command["count"],
                delay=command["hold_s"] * 1000,
            )
        elif kind == "move":
            mouse.move(*command["at"])
        elif kind == "drag":
            mouse.move(*command["at"])
            mouse.down()
            mouse.move(*command["to"], steps=10)
            mouse.up()
        elif kind == "scroll":
            size = self._page.viewport_size or {"width": 0, "height": 0}
            mouse.move(*(command["at"] or (size["width"] / 2, size["height"] / 2)))
            mouse.wheel(*command["delta"])
        elif kind == "type":
            self._page.keyboard.type(command["text"])
        elif kind == "press":
            self._page.keyboard.press(command["text"])
        elif kind == "back":
            self._page.go_back(wait_until="domcontentloaded")
        elif kind == "home":
            self.open()
        elif kind == "wait":
            self._page.wait_for_timeout(command["hold_s"] * 1000)

    def show(self) -> dict[str, Any]:
        """Return what the page shows once it has settled, and what happened meanwhile."""
        self._settle()
        png = self._photograph()
        for _ in range(_MOST_RETURNS):
            if not self._is_astray():
                break
            self._notes.append("The page tried to leave the allowed addresses and was taken back.")
            self._return()
            png = self._photograph()
        if self._is_astray():  # it leads away by itself
            self._page.goto("about:blank")
            png = self._photograph()
        notes = list(dict.fromkeys(self._notes))
        self._notes.clear()
        return {
            "png": base64.b64encode(png).decode("ascii"),
            "address": self._page.url,
            "marks": self._find_marks(),
            "notes": notes,
        }

    def _settle(self) -> None:
        self._page.wait_for_timeout(SETTLE_S * 1000)
        try:
            self._page.wait_for_load_state("load", timeout=SETTLE_TIMEOUT_MS)
        except self._error:
            self._notes.append("The page was still loading.")

    def _find_marks(self) -> list[dict[str, Any]]:
        try:
            return self._page.evaluate(_FIND_MARKS)
        except self._error:
            return []  # the page went away at this moment

    def _photograph(self) -> bytes:
        return self._page.screenshot(animations="disabled", caret="initial")

    def _is_astray(self) -> bool:
        address = self._page.url
        return address != "about:blank" and not is_allowed(address, self._origins)

    def _return(self) -> None:
        try:
            self._page.go_back(wait_until="domcontentloaded")
        except self._error:
            pass  # nowhere to go back to, or a page that will not
        if self._is_astray():
            self.open()
        self._settle()

    def _note_address(self, address: str) -> None:
        """Tell of a request that the gate refuses (what the browser asks by itself is not told)."""
        is_local = address.startswith(("data:", "blob:", "about:"))
        if not is_local and not is_allowed(address, self._origins):
            self._notes.append(f"A request to {address[:MAX_ADDRESS_CHARACTERS]} was blocked.")

    def _close_popup(self, popup: Page) -> None:
        if popup is not self._page:
            self._notes.append("A second window was closed.")
            popup.close()


def _launch(playwright: Playwright, proxy: str) -> Browser:
    from playwright.sync_api import Error

    is_root = os.name == "posix" and os.geteuid() == 0
    try:
        return playwright.chromium.launch(
            executable_path=_find_chromium(playwright),
            args=list(_ARGUMENTS),
            # Chromium refuses to run as root with its sandbox
            chromium_sandbox=not is_root,
            proxy={"server": proxy},
        )
    except Error as error:
        raise RuntimeError(
            f"Chromium did not start ({_first_line(error)}). For its sandbox it needs a kernel "
            "that lets this user make namespaces."
        ) from error


def _find_chromium(playwright: Playwright) -> str:
    own = playwright.chromium.executable_path
    if Path(own).exists():
        return own
    for name in _CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    raise RuntimeError(MISSING_BROWSER)


def _answer(browser: _LiveBrowser, request: dict[str, Any]) -> dict[str, Any]:
    notes: list[str] = []
    if request["do"] == "open":
        browser.open()
    for command in request.get("commands", ()):
        try:
            browser.perform(command)
        except browser._error as error:
            notes.append(f"The page did not take the action: {_first_line(error)}")
            break
    shown = browser.show()
    return {**shown, "notes": [*notes, *shown["notes"]]}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def main() -> None:
    """Serve requests until the input ends."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write between the lines

    def say(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        say({"error": MISSING_PACKAGE})
        return
    settings = json.loads(sys.stdin.readline())
    started = time.monotonic()
    try:
        with sync_playwright() as playwright:
            browser = _LiveBrowser(playwright, settings)
            say({"ready_s": round(time.monotonic() - started, 2)})
            for line in sys.stdin:
                say(_answer(browser, json.loads(line)))
    except Exception as error:
        say({"error": _first_line(error)})


if __name__ == "__main__":
    main()
