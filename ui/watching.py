"""The status line: whether the model can answer, watched for as long as the page is open."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from model.backends.base import ChatBackend, Status
from ui.language import say, say_message
from ui.wiring import AT_ONCE

PROGRAM = Path(__file__).parents[1] / "assets" / "page" / "status.js"
# How often the browser asks: a hundred open pages are ten small requests a second.
INTERVALS_MS = {"loading": 1_000, "ready": 10_000}
SPOKEN = {
    "loading": "The model cannot answer yet.",
    "ready": "The model is ready.",
    "failed": "The model cannot answer.",
}


def build_status(backend: ChatBackend) -> gr.HTML:
    """Put the status line on the page; ``watch_status`` keeps it true."""
    return gr.HTML(
        show_status(backend.name, backend.status()),
        js_on_load=PROGRAM.read_text(encoding="utf-8"),
        intervals=INTERVALS_MS,
        elem_id="status",
    )


def watch_status(backend: ChatBackend, own: gr.State, line: gr.HTML) -> None:
    """Have the line tell about the visitor's own backend, or about ``backend`` where none is."""

    def look(own: ChatBackend | None, shown: str) -> Any:
        answering = own or backend
        line = show_status(answering.name, answering.status())
        return gr.skip() if line == shown else line

    for event in (line.look, own.change):
        event(look, [own, line], line, **AT_ONCE)


def show_status(name: str, status: Status) -> str:
    """Return the status line as HTML.

    What a screen reader says of itself is short and changes with the state alone: loading tells how
    far it is every second.
    """
    return (
        f'<span class="light {status.state}"></span><strong>{escape(say_message(name))}</strong> '
        f'<span class="detail">{escape(say_message(status.detail))}</span>'
        f'<span role="status" class="spoken">{escape(say(SPOKEN[status.state]))}</span>'
    )
