"""Layout and wiring of the chat tab."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr
from gradio.components.chatbot import ExampleMessage

from model.backends.base import ChatBackend
from ui.chat import Chat
from ui.markdown import LATEX_DELIMITERS
from ui.settings import PageSettings
from ui.wiring import AT_ONCE, PRIVATE, engine

EMPTY = "Attach one or more images and ask about them. Boxes in the answer are drawn for you."
EXAMPLES_SHOWN = 3


class _Parts(NamedTuple):
    conversation: gr.State
    log: gr.Chatbot
    notice: gr.Markdown
    prompt: gr.MultimodalTextbox
    thinking: gr.Checkbox
    clear: gr.Button


def build_chat_tab(backend: ChatBackend, settings: PageSettings) -> None:
    """Lay the chat out and wire it; call inside a tab."""
    chat = Chat(backend, settings.options)
    parts = _lay_out(settings)
    _wire(chat, parts, settings)
    gr.Button(visible=False).click(
        chat.call,
        [gr.MultimodalTextbox(visible=False), gr.JSON(visible=False), parts.thinking],
        gr.JSON(visible=False),
        api_name="chat",
        **engine(settings),
    )


def _lay_out(settings: PageSettings) -> _Parts:
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
        ][:EXAMPLES_SHOWN],
    )
    notice = gr.Markdown(
        latex_delimiters=LATEX_DELIMITERS, elem_id="chat-notice", elem_classes="notice"
    )
    prompt = gr.MultimodalTextbox(
        label="Message",
        show_label=False,
        placeholder="Ask about the images you attach",
        file_count="multiple",
        sources=["upload"],
        max_plain_text_length=1_000_000,  # long pastes stay text instead of becoming a file
        elem_id="prompt",
    )
    with gr.Row(elem_classes="controls"):
        thinking = gr.Checkbox(
            settings.thinking, label="Think first", container=False, min_width=110, scale=0
        )
        clear = gr.Button("New conversation", size="sm", scale=0, min_width=150)
    return _Parts(conversation, log, notice, prompt, thinking, clear)


def _wire(chat: Chat, parts: _Parts, settings: PageSettings) -> None:
    prompt, log, conversation = parts.prompt, parts.log, parts.conversation
    # before the question: the browser starts the events of a trigger one after the other
    prompt.submit(lambda: _show_button(stop=True), None, prompt, **AT_ONCE)
    sent = prompt.submit(
        chat.send,
        [prompt, conversation, parts.thinking],
        [prompt, log, conversation, parts.notice],
        show_progress="minimal",
        show_progress_on=log,
        **PRIVATE,
        **engine(settings),
    )
    # one after the other, so that neither undoes the other when both follow a cancelled answer
    in_turn: dict[str, Any] = {
        **PRIVATE,
        "show_progress": "hidden",
        "concurrency_id": "conversation",
        "concurrency_limit": 1,
    }
    # also after a stop: Gradio reports a cancelled event as complete once its generator is closed
    sent.then(chat.settle, conversation, [log, conversation], **in_turn).then(
        lambda: _show_button(stop=False), None, prompt, **AT_ONCE
    )
    prompt.stop(None, cancels=[sent])
    # the chat has a clear button of its own, which knows nothing of the conversation behind it
    for trigger in (parts.clear.click, log.clear):
        trigger(None, cancels=[sent])
        trigger(chat.clear, None, [prompt, log, conversation, parts.notice], **in_turn)
    log.example_select(chat.take_example, None, prompt, **AT_ONCE)


def _show_button(*, stop: bool) -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=not stop, stop_btn=stop)
