"""Uploaded pictures on their way to the handlers."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import ImageData


def hand_on_unopened(image: gr.Image) -> None:
    """Let uploaded files reach the handlers as they are, to be opened once, by our own rules.

    Gradio's own would open them first, and fail on damaged ones without telling the user why. Not a
    subclass: Gradio writes a stub file beside the module of every subclass of a component.
    """
    open_by_gradio = image.preprocess

    def preprocess(payload: ImageData | None) -> Any:
        if payload is None or payload.path is None:
            return open_by_gradio(payload)  # nothing, or pixels in a data URL
        return payload.path

    image.preprocess = preprocess  # type: ignore[method-assign]
