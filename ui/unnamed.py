"""The choice of a picture for boxes whose picture the answer does not name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.conversation import Conversation, pictures_in_question
from ui.log import show
from ui.marking import give_unnamed, has_unnamed
from ui.wiring import AT_ONCE

# the first picture, as the rules of reading have it
DEFAULT_IMAGE = 0


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
    conversation: gr.State,
    log: gr.Chatbot,
    *,
    after: Sequence[Any],
) -> None:
    """Offer the choice for the newest answer, and read that again when it is made.

    Args:
        after: events after which the newest answer is another one.
    """
    for event in after:
        event(offer, conversation, choice, **AT_ONCE)
    choice.input(choose, [choice, conversation], [log, conversation], **AT_ONCE)


def offer(conversation: Conversation) -> gr.Dropdown:
    """Return the select for the newest answer."""
    pictures = pictures_in_question(conversation)
    if not conversation or not has_unnamed(conversation[-1], pictures):
        return gr.Dropdown(visible=False)
    chosen = conversation[-1].default_image
    return gr.Dropdown(
        choices=[(picture.name, index) for index, picture in enumerate(pictures)],
        value=DEFAULT_IMAGE if chosen is None else chosen,
        visible=True,
    )


def choose(index: int, conversation: Conversation) -> tuple[Any, Any]:
    """Return log and conversation with the newest answer read again, or leave them."""
    if not conversation or conversation[-1].state == "running":
        return gr.skip(), gr.skip()
    pictures = pictures_in_question(conversation)
    conversation = (*conversation[:-1], give_unnamed(conversation[-1], pictures, index))
    return show(conversation), conversation
