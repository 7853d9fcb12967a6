"""Layout and wiring of the chat tab."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component
from gradio.components.chatbot import ExampleMessage

from model.backends.base import ChatBackend
from ui.capture import attach_taken, make_capture
from ui.chat import arranging
from ui.chat.attaching import describe_limits
from ui.chat.dialogue import Dialogue
from ui.chat.handlers import Chat, Newest
from ui.chat.history import (
    ASKED,
    History,
    HistoryParts,
    build_history,
    tell_browser,
    wire_history,
)
from ui.chat.http_api import ChatCall
from ui.chat.preferences import build_preferences
from ui.chat.turn_tools import make_turn_tools
from ui.chat.unnamed import make_choice, wire_choice
from ui.language import in_both
from ui.rendering.markdown import LATEX_DELIMITERS
from ui.settings import PageSettings
from ui.wiring import AT_ONCE, PRIVATE, engine

EMPTY = "Attach images, documents or videos and ask about them. Boxes are drawn for you."
EXAMPLES_SHOWN = 3
# once the message box has the example, as if somebody had pressed its button
SEND_EXAMPLE = """() => {
  let tries = 100;
  const send = () => {
    const text = document.querySelector("#prompt textarea")?.value.trim();
    if (text) document.querySelector("#prompt .submit-button")?.click();
    else if (tries--) setTimeout(send, 20);
  };
  setTimeout(send, 20);
}"""
# (what is in the message box) => [what is sent, what is left in the box]
SENDING = "(message) => [message, { text: '', files: [] }]"
# the conversation is not opened again, as assets/history/keeping.js would; the box is emptied
CLEARING = """() => {
  sessionStorage.removeItem("sightline.conversation");
  document.dispatchEvent(new Event("sightline:clearing"));
  return { text: "", files: [] };
}"""
OPENED_AT_ONCE = 2


class _Attaching(NamedTuple):
    drafts: gr.State
    strip: gr.HTML
    # what the strip depends on; only the browser writes these
    files: gr.Textbox  # paths of the files in the message box, to notice when they change
    choices: gr.JSON  # what was entered about each file
    version: gr.Number
    newest: gr.State  # the version that the server heard of last


class _Parts(NamedTuple):
    own: gr.State  # the visitor's own backend; None is the page's
    dialogue: gr.State
    history: HistoryParts
    log: gr.Chatbot
    unnamed: gr.Dropdown
    notice: gr.Markdown
    editing: gr.HTML  # the bar over the message box
    prompt: gr.MultimodalTextbox
    message: gr.MultimodalTextbox  # what was in it when it was sent
    attaching: _Attaching
    thinking: gr.Checkbox
    preferences: Component
    capture: gr.HTML
    clear: gr.Button


def build_chat_tab(backend: ChatBackend, settings: PageSettings, own: gr.State) -> None:
    """Lay the chat out and wire it; call inside a tab.

    Args:
        own: the visitor's own backend, or None in it: then ``backend`` answers.
    """
    chat = Chat(backend, settings)
    parts = _lay_out(backend, settings, own)
    _wire(chat, History(backend, settings), parts, settings)
    _wire_attaching(chat, parts)
    gr.Button(visible=False).click(
        ChatCall(backend, settings.options, settings.limits).call,
        [
            gr.MultimodalTextbox(visible=False),
            gr.JSON(visible=False),
            gr.Checkbox(settings.thinking, visible=False),
            gr.Textbox(visible=False),
            *(gr.Number(visible=False) for _ in range(3)),
            gr.Checkbox(visible=False),
        ],
        gr.JSON(visible=False),
        api_name="chat",
        **engine(settings),
    )


def _lay_out(backend: ChatBackend, settings: PageSettings, own: gr.State) -> _Parts:
    dialogue = gr.State(Dialogue())
    history = build_history()
    log = gr.Chatbot(
        label="Conversation",
        show_label=False,
        elem_id="log",
        height="clamp(20rem, calc(100dvh - 23rem), 60rem)",
        layout="panel",
        group_consecutive_messages=False,
        placeholder=EMPTY,
        latex_delimiters=LATEX_DELIMITERS,
        allow_tags=False,
        buttons=[],
        feedback_options=None,
        examples=[
            ExampleMessage(text=example.instruction, files=[example.file])
            for example in settings.examples
            if example.answered
        ][:EXAMPLES_SHOWN],
    )
    unnamed = make_choice()
    notice = gr.Markdown(
        latex_delimiters=LATEX_DELIMITERS, elem_id="chat-notice", elem_classes="notice"
    )
    editing = make_turn_tools()
    prompt = gr.MultimodalTextbox(
        label="Message",
        show_label=False,
        placeholder="Ask about the files you attach",
        file_count="multiple",
        sources=["upload"],
        max_plain_text_length=1_000_000,  # long pastes stay text instead of becoming a file
        elem_id="prompt",
    )
    with gr.Row(elem_classes="controls"):
        thinking = gr.Checkbox(
            settings.thinking, label="Think first", container=False, min_width=110, scale=0
        )
        capture = make_capture()
        clear = gr.Button(
            "New conversation", size="sm", scale=0, min_width=150, elem_id="new-conversation"
        )
    attaching = _lay_out_attaching(settings)
    preferences = build_preferences(backend, settings, thinking, own)
    return _Parts(
        own,
        dialogue,
        history,
        log,
        unnamed,
        notice,
        editing,
        prompt,
        gr.MultimodalTextbox(visible=False, file_count="multiple", elem_id="message"),
        attaching,
        thinking,
        preferences,
        capture,
        clear,
    )


def _lay_out_attaching(settings: PageSettings) -> _Attaching:
    strip = gr.HTML(
        arranging.to_value(""),
        html_template=arranging.TEMPLATE,
        js_on_load=arranging.ON_LOAD,
        max_bytes=settings.limits.max_bytes,
        elem_id="strip",
    )
    caution = in_both(settings.caution) if settings.caution else ""
    gr.HTML(f"<p>{describe_limits(settings.limits)} {caution}</p>", elem_id="limits")
    files = gr.Textbox(visible="hidden", container=False, elem_id="files")
    choices = gr.JSON(visible="hidden")
    version = gr.Number(0, visible="hidden", container=False, precision=0)
    return _Attaching(gr.State(()), strip, files, choices, version, gr.State(Newest()))


def _wire(chat: Chat, history: History, parts: _Parts, settings: PageSettings) -> None:
    prompt, log, dialogue = parts.prompt, parts.log, parts.dialogue
    attaching = parts.attaching
    view = [prompt, log, dialogue, parts.notice, parts.history.panel, parts.editing]
    asking = [prompt.submit, parts.editing.submit]
    # before the question: the browser starts the events of a trigger one after the other. The box
    # is emptied at once, so that what is typed from now on stays
    prompt.submit(None, prompt, [parts.message, prompt], js=SENDING, **PRIVATE)
    gr.on(
        asking,
        lambda: (_show_button(stop=True), gr.Dropdown(visible=False)),
        None,
        [prompt, parts.unnamed],
        **AT_ONCE,
    )
    # one event for all that asks the model, so that none begins while another is under way
    sent = gr.on(
        asking,
        chat.ask,
        [
            parts.message,
            attaching.drafts,
            dialogue,
            parts.preferences,
            attaching.choices,
            parts.own,
        ],
        view,
        js=ASKED,
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
    # a refused message comes back with fewer files and the same text, which is no change to Gradio
    sent.then(**_list_files(parts))
    # also after a stop: Gradio reports a cancelled event as complete once its generator is closed
    sent.then(chat.settle, [dialogue, parts.own], view, **in_turn).then(
        lambda: _show_button(stop=False), None, prompt, **AT_ONCE
    ).then(None, [prompt, attaching.version], attaching.version, js=arranging.SETTLE, **PRIVATE)
    prompt.stop(None, cancels=[sent])
    opening, restored = wire_history(
        parts.history,
        history,
        own=parts.own,
        log=log,
        notice=parts.notice,
        running=sent,
        settle={"fn": chat.settle, "inputs": [dialogue, parts.own], "outputs": view, **in_turn},
        refresh={"fn": chat.refresh, "inputs": [dialogue, parts.own], "outputs": view, **in_turn},
        take={
            "fn": chat.come_back,
            "inputs": [parts.own, dialogue],
            "outputs": view,
            **in_turn,
        },
    )
    parts.clear.click(None, cancels=[sent, opening])
    parts.clear.click(None, None, prompt, js=CLEARING, **PRIVATE)
    cleared = parts.clear.click(chat.clear, None, view, **in_turn)
    cleared.then(**tell_browser("cleared"))
    cleared.then(**_list_files(parts))
    cleared.then(None, None, attaching.choices, js="() => null", **PRIVATE)
    # the chat has a clear button of its own, which knows nothing of the conversation behind it; the
    # next message, which may be half written, stays
    log.clear(None, cancels=[sent, opening])
    log.clear(None, None, None, js=CLEARING, **PRIVATE)
    log.clear(chat.clear_log, dialogue, view, **in_turn).then(**tell_browser("cleared"))
    log.example_select(chat.take_example, None, prompt, **AT_ONCE).then(
        None, None, None, js=SEND_EXAMPLE, **PRIVATE
    )
    altered = parts.editing.edit(
        chat.alter,
        [prompt, dialogue, attaching.choices, parts.own],
        [*view, attaching.choices],
        **AT_ONCE,
    )
    altered.then(**_list_files(parts))
    ends = [sent.then, cleared.then, log.clear, altered.then, restored.then]
    wire_choice(parts.unnamed, dialogue, after=ends)
    parts.unnamed.input(chat.choose_picture, [parts.unnamed, dialogue, parts.own], view, **AT_ONCE)


def _wire_attaching(chat: Chat, parts: _Parts) -> None:
    """Keep the strip true when files come or go and when another choice of them is made."""
    attaching, prompt = parts.attaching, parts.prompt
    strip, choices, version = attaching.strip, attaching.choices, attaching.version
    prompt.change(**_list_files(parts))
    strip.arrange(None, [prompt, strip], prompt, js=arranging.ARRANGE, **PRIVATE).then(
        **_list_files(parts)
    )
    attach_taken(parts.capture, prompt).then(**_list_files(parts))
    strip.choose(
        None, [choices, strip, version], [choices, version], js=arranging.CHOOSE, **PRIVATE
    )
    strip.retell(None, version, version, js=arranging.RETELL, **PRIVATE)
    strip.refuse(chat.refuse, None, parts.notice, **AT_ONCE)
    version.change(chat.note_version, [attaching.newest, version], None, **AT_ONCE)
    version.change(
        chat.attach,
        [
            prompt,
            attaching.drafts,
            parts.dialogue,
            choices,
            attaching.newest,
            version,
            parts.own,
        ],
        [strip, attaching.drafts],
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_id="opening",
        concurrency_limit=OPENED_AT_ONCE,
        **PRIVATE,
    )


def _list_files(parts: _Parts) -> dict[str, Any]:
    """Return the arguments of an event after which the message may have other files."""
    attaching = parts.attaching
    return {
        "fn": None,
        "inputs": [parts.prompt, attaching.files, attaching.version],
        "outputs": [attaching.files, attaching.version],
        "js": arranging.LIST_FILES,
        **PRIVATE,
    }


def _show_button(*, stop: bool) -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=not stop, stop_btn=stop)
