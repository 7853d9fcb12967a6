"""The choice of a picture for boxes whose picture the answer does not name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.chat.dialogue import Dialogue
from ui.conversation import default_picture, pictures_in_question
from ui.rendering.marking import give_unnamed, has_unnamed
from ui.wiring import AT_ONCE


def make_choice() -> gr.Dropdown:
    """Return the select; it is shown only where there is something to choose."""
    return gr.Dropdown(
        label="Which picture are the boxes on?",
        info="The answer does not say",
        visible=False,
        elem_id="unnamed",
    )


def wire_choice(
    choice: gr.Dropdown,
    dialogue: gr.State,
    *,
    after: Sequence[Any],
) -> None:
    """Offer the choice for the newest answer.

    Args:
        after: events after which the newest answer is another one.
    """
    for event in after:
        event(offer, dialogue, choice, **AT_ONCE)


def offer(dialogue: Dialogue) -> gr.Dropdown:
    """Return the select for the newest answer."""
    path = dialogue.path
    pictures = pictures_in_question(path)
    if not path or not has_unnamed(path[-1], pictures):
        return gr.Dropdown(visible=False)
    return gr.Dropdown(
        choices=[(picture.name, index) for index, picture in enumerate(pictures)],
        value=default_picture(path[-1], pictures) or 0,
        visible=True,
    )


def choose(index: int, dialogue: Dialogue) -> Dialogue:
    """Return the dialogue with the newest answer read again for another picture."""
    path = dialogue.path
    return dialogue.put(give_unnamed(path[-1], pictures_in_question(path), index))
