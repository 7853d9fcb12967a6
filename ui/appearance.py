"""Light and dark, keys and first steps: what the page has beside its tabs.

The programs are in ``assets/page``; what they keep stays in the browser.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.language import in_both, named

FOLDER = Path(__file__).parents[1] / "assets" / "page"
PROGRAMS = ("theme.js", "shortcuts.js", "room.js", "naming.js")

_HALF_MOON = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.5" fill="none" '
    'stroke="currentColor"/><path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/></svg>'
)
# what a key does, what it is called, and what it is called on a Mac
KEYS = (
    ("Send the message", "Enter", "Enter"),
    ("Begin a new line", "Shift+Enter", "Shift+Enter"),
    ("Stop the answer", "Esc", "Esc"),
    ("Go to the message box", "Alt+M", "Option+M"),
    ("Start a new conversation", "Alt+N", "Option+N"),
)
HINTS = {
    "grounding": "New here? Click an example to see where its answer is. Then drop a screenshot of "
    "your own and say what to click.",
    "chat": "New here? Click an example, or attach a picture and ask about it.",
    "agent": "New here? Write what is to be done, drop a picture of your screen, and press Next "
    "step: you are told where to click.",
}


def build_tools() -> gr.HTML:
    """Put the buttons of the top bar on the page: the theme, and which keys there are."""
    rows = "".join(
        f'<tr><th scope="row">{in_both(what)}</th>'
        f'<td><kbd data-mac="{on_mac}">{key}</kbd></td></tr>'
        for what, key, on_mac in KEYS
    )
    programs = [(FOLDER / name).read_text(encoding="utf-8") for name in PROGRAMS]
    return gr.HTML(
        '<div class="tools">'
        f'<button type="button" id="theme" {named("Light or dark", hint=True)}>'
        f"{_HALF_MOON}</button>"
        f'<button type="button" id="keyboard" {named("Keyboard", hint=True)}>?</button>'
        '<dialog id="keyboard-help" aria-labelledby="keyboard-title"><h2 id="keyboard-title">'
        f"{in_both('Keyboard')}</h2><table>{rows}</table>"
        f'<button type="button">{in_both("Close")}</button></dialog></div>',
        js_on_load="\n".join(f"{{\n{program}\n}}" for program in programs),
        apply_default_css=False,
        elem_id="tools",
    )


def build_hint(tab: str) -> gr.HTML:
    """Put a note for first-time visitors on the page, until they close it."""
    return gr.HTML(
        f'<div class="hint" data-hint="{tab}" hidden><p>{in_both(HINTS[tab])}</p>'
        f'<button type="button" {named("Close this note", hint=True)}>×</button></div>',
        js_on_load=(FOLDER / "hint.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_classes="hint-block",
    )


def theme_first() -> Middleware:
    """Return what puts the chosen theme into effect before the page is drawn."""
    return Middleware(_ThemeFirst)


class _ThemeFirst:
    """Adds a program to the head of the page: what ``launch`` takes as ``head`` comes too late."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        program = (FOLDER / "early.js").read_text(encoding="utf-8")
        self._added = f"<script>{{\n{program}}}</script>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def pass_on(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is None or message["type"] != "http.response.body":
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    body = body.replace(b"<head>", b"<head>" + self._added, 1)
                    await send(_with_length(start, len(body)))
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, pass_on)


def _is_page(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/html")
        for name, value in message["headers"]
    )


def _with_length(message: Message, length: int) -> Message:
    headers = [(n, v) for n, v in message["headers"] if n.lower() != b"content-length"]
    return {**message, "headers": [*headers, (b"content-length", str(length).encode())]}
