"""The whole page: a status line, and under it the tabs."""

from __future__ import annotations

import gradio as gr

from model.backends.base import ChatBackend
from ui.agent.tab import build_agent_tab
from ui.api.parsing import build_parse_endpoint
from ui.appearance import build_hint, build_tools
from ui.chat.history import wire_tabs
from ui.chat.tab import build_chat_tab
from ui.files import CLEANING_INTERVAL_S, KEEP_FILES_S, SAVED
from ui.language import (
    build_language_choice,
    in_both,
    mark_texts,
    translate_blocks,
    wire_language,
)
from ui.locate.tab import build_locate_tab
from ui.settings import PageSettings
from ui.visitors.admission import admit
from ui.watching import build_status, watch_status

SUBTITLE = "Ask about a screen, and see where the answer is."


def build_ui(backend: ChatBackend, settings: PageSettings) -> gr.Blocks:
    """Lay the page out and wire it to ``backend``; loads nothing and starts nothing."""
    backend = admit(backend, settings)
    with gr.Blocks(
        title="Sightline", analytics_enabled=False, delete_cache=(CLEANING_INTERVAL_S, KEEP_FILES_S)
    ) as page:
        with gr.Row(elem_id="top"):
            gr.HTML(f"<h1>Sightline</h1><p>{in_both(SUBTITLE)}</p>")
            status = build_status(backend)
            build_tools()
            language = build_language_choice()
        if settings.about:
            with gr.Accordion(settings.summary or "About this model", open=False, elem_id="about"):
                gr.Markdown(settings.about, elem_classes="in-english")
                gr.Markdown(translate_blocks(settings.about), elem_classes="in-chinese")
        own = build_own(settings)
        with gr.Tabs():
            with gr.Tab("Grounding", id="grounding", elem_id="grounding"):
                build_hint("grounding")
                build_locate_tab(backend, settings, own)
            with gr.Tab("Chat", id="chat", elem_id="chat"):
                build_hint("chat")
                build_chat_tab(backend, settings, own)
            with gr.Tab("Agent", id="agent", elem_id="agent"):
                build_hint("agent")
                build_agent_tab(backend, settings)
        build_parse_endpoint()
        watch_status(backend, own, status)
        wire_language(page, language)
        wire_tabs(page)
        mark_texts(page)
    page.temp_file_sets.append(SAVED)
    return page


def build_own(settings: PageSettings) -> gr.State:
    """Offer visitors endpoints of their own, if any; return the one that answers instead."""
    if not settings.visitor_endpoints:
        return gr.State(None)
    # only here: a client of such servers takes a second to import
    from ui.connection import build_connection

    return build_connection(settings.visitor_endpoints)
