"""Layout and wiring of the chat tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components.chatbot import ExampleMessage

from model.backends.base import ChatBackend
from ui.chat import Chat
from ui.markdown import LATEX_DELIMITERS
from ui.settings import PageSettings

EMPTY = "Attach one or more images and ask about them. Boxes in the answer are drawn for you."


def build_chat_tab(backend: ChatBackend, settings: PageSettings) -> None:
    """Lay the chat out and wire it; call inside a tab."""
    chat = Chat(backend, settings.options)
    conversation = gr.State(())
    log = gr.Chatbot(
        label="Conversation",
        show_label=False,
        elem_id="log",
        height="clamp(20rem, calc(100dvh - 21rem), 60rem)",
        layout="panel",
        group_consecutive_messages=False,
        placeholder=EMPTY,
        latex_delimiters=LATEX_DELIMITERS,
        allow_tags=False,
        buttons=["copy"],
        feedback_options=None,
        examples=[
            ExampleMessage(text=example.instruction, files=[example.file])
            for example in settings.examples
            if example.answered
        ][:3],
    )
    notice = gr.Markdown(latex_delimiters=[], elem_id="chat-notice", elem_classes="notice")
    prompt = gr.MultimodalTextbox(
        label="Message",
        show_label=False,
        placeholder="Ask about the images you attach",
        file_count="multiple",
        sources=["upload"],
        # long pastes stay text instead of becoming a file
        max_plain_text_length=1_000_000,
        elem_id="prompt",
    )
    with gr.Row(elem_classes="controls"):
        thinking = gr.Checkbox(
            settings.thinking, label="Think first", container=False, min_width=110, scale=0
        )
        clear = gr.Button(
            "New conversation", size="sm", variant="secondary", scale=0, min_width=150
        )

    wiring: dict[str, Any] = {"api_visibility": "private"}
    at_once: dict[str, Any] = {**wiring, "queue": False, "show_progress": "hidden"}
    # before the question: the browser starts the events of a trigger one after the other
    prompt.submit(
        lambda: gr.MultimodalTextbox(submit_btn=False, stop_btn=True), None, prompt, **at_once
    )
    sent = prompt.submit(
        chat.send,
        [prompt, conversation, thinking],
        [prompt, log, conversation, notice],
        show_progress="minimal",
        show_progress_on=log,
        concurrency_limit=settings.max_conversations,
        concurrency_id="model",
        **wiring,
    )
    # one after the other, so that neither undoes the other when both follow a cancelled answer
    in_turn: dict[str, Any] = {
        **wiring,
        "show_progress": "hidden",
        "concurrency_id": "conversation",
        "concurrency_limit": 1,
    }
    # also after a stop: Gradio reports a cancelled event as complete once its generator is closed
    sent.then(chat.settle, [conversation], [log, conversation], **in_turn).then(
        lambda: gr.MultimodalTextbox(submit_btn=True, stop_btn=False), None, prompt, **at_once
    )
    prompt.stop(None, cancels=[sent])
    # the chat has a clear button of its own, which knows nothing of the conversation behind it
    for trigger in (clear.click, log.clear):
        trigger(None, cancels=[sent])
        trigger(chat.clear, None, [prompt, log, conversation, notice], **in_turn)
    log.example_select(chat.take_example, None, [prompt], **at_once)

    message = gr.MultimodalTextbox(visible=False)
    history = gr.JSON(visible=False)
    reply = gr.JSON(visible=False)
    gr.Button(visible=False).click(
        chat.call,
        [message, history, thinking],
        [reply],
        api_name="chat",
        concurrency_id="model",
        concurrency_limit=settings.max_conversations,
    )
