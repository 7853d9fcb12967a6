"""A button that takes a picture of a screen, a window or a tab, in the browser of the visitor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from ui.wiring import PRIVATE

ON_LOAD = Path(__file__).parents[1] / "assets" / "media" / "capture.js"
# shown by the program where the browser can do it
BUTTON = """<button type="button" hidden data-text="Take a screenshot"></button>
<span class="said" role="status"></span>"""

# (message, taken) => message with one more file
_ATTACH = """(message, taken) => ({
  text: message?.text ?? "", files: [...(message?.files ?? []), taken]
})"""


def make_capture(**settings: Any) -> gr.HTML:
    """Return the button; its value is the file that was taken last."""
    return gr.HTML(
        None,
        html_template=BUTTON,
        js_on_load=ON_LOAD.read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_classes="capture",
        **settings,
    )


def attach_taken(capture: gr.HTML, prompt: gr.MultimodalTextbox) -> Dependency:
    """Attach what is taken to the message, as an event; whatever else is in it stays."""
    return capture.capture(None, [prompt, capture], prompt, js=_ATTACH, **PRIVATE)


def show_taken(capture: gr.HTML, image: gr.Image) -> None:
    """Put what is taken in the place of the image."""
    capture.capture(None, capture, image, js="(taken) => taken", **PRIVATE)
