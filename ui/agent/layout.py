"""Layout of the agent's tab."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from agent import PLATFORMS
from ui.language import in_both, mark
from ui.rendering.markdown import LATEX_DELIMITERS
from ui.rendering.overlay import make_overlay
from ui.settings import PageSettings
from ui.uploading import hand_on_unopened
from ui.wiring import AT_ONCE

EMPTY = "Each step appears here: the screenshot, on it the action, and what the model says."
WHOLE, BY_INSTRUCTION = "The whole goal at once", "One instruction a step"
MODES_INFO = (
    "The whole goal needs a model that plans, such as GLM-4.5V. With one instruction a step, each "
    "line of the goal is found and clicked by itself; Type: text, Press: Enter, Scroll: down, "
    "Wait: and Back: are done as written."
)
NO_PLANNER = "The model here finds what it is told, and does not plan."
ELEMENTS_INFO = (
    "On the platform Web page the model answers with the numbers of elements: the screenshot must "
    "show them, and this says what they are."
)
VIEWPORTS = ("336 x 252", "448 x 336", "224 x 392", "412 x 915", "1024 x 768", "1280 x 720")
MOST_STEPS = 30


class TaskParts(NamedTuple):
    """What the person sets; arguments of ``ui.agent.handlers.Task``, in the order of the page."""

    platform: gr.Radio
    mode: gr.Radio
    goal: gr.Textbox
    thinking: gr.Checkbox


class HandParts(NamedTuple):
    """Steps on uploaded screenshots."""

    image: gr.Image
    elements: gr.Textbox
    start: gr.Button
    stop: gr.Button


class LiveParts(NamedTuple):
    """A live page."""

    address: gr.Textbox
    viewport: gr.Dropdown
    max_steps: gr.Slider
    start: gr.Button
    stop: gr.Button


class OutcomeParts(NamedTuple):
    """The fields of ``AgentView``, in its order."""

    shown: gr.State
    overlay: gr.HTML
    details: gr.HTML
    steps: gr.Gallery
    notice: gr.Markdown


class KeepingParts(NamedTuple):
    """What can be done with the steps."""

    undo: gr.Button
    new: gr.Button
    export: gr.Button
    files: gr.File


def lay_out_task(settings: PageSettings) -> TaskParts:
    mode = gr.Radio(
        [WHOLE, BY_INSTRUCTION],
        value=BY_INSTRUCTION if settings.agent_by_instruction else WHOLE,
        label="How to ask the model",
        info=f"{MODES_INFO} {NO_PLANNER}" if settings.agent_by_instruction else MODES_INFO,
        elem_id="agent-mode",
    )
    goal = gr.Textbox(
        "",
        label="Goal",
        lines=3,
        max_lines=10,
        placeholder=_suggest(mode.value),
        elem_id="agent-goal",
    )
    platform = gr.Radio(
        [(name, key) for key, name in PLATFORMS.items()],
        value="pc",
        label="Platform",
        info="GLM-4.5V knows an agent's language for each",
        visible=not settings.agent_by_instruction,
        elem_id="agent-platform",
    )
    thinking = gr.Checkbox(settings.thinking, label="Think first", elem_id="agent-thinking")
    mode.change(
        lambda chosen: (
            gr.Textbox(placeholder=mark(_suggest(chosen))),
            gr.Radio(visible=chosen == WHOLE),
        ),
        mode,
        [goal, platform],
        **AT_ONCE,
    )
    return TaskParts(platform, mode, goal, thinking)


def lay_out_hand(platform: gr.Radio) -> HandParts:
    image = gr.Image(
        label="Screenshot",
        show_label=False,
        type="filepath",
        sources=["upload", "clipboard"],
        height=220,
        buttons=[],
        elem_id="agent-screenshot",
        placeholder="Drop a screenshot here, paste one, or click to choose a file",
    )
    hand_on_unopened(image)
    elements = gr.Textbox(
        "",  # unless somebody has typed, the value of a hidden box would be None
        label="Numbered elements",
        info=ELEMENTS_INFO,
        placeholder='[0]: <button> "Search";',
        lines=2,
        max_lines=8,
        visible=False,
    )
    platform.change(
        lambda chosen: gr.Textbox(visible=chosen == "web"), platform, elements, **AT_ONCE
    )
    gr.HTML(in_both("After each step, do it on your device and give the next screenshot."))
    start, stop_button = _lay_out_buttons("Next step", "agent")
    return HandParts(image, elements, start, stop_button)


def _lay_out_buttons(what: str, name: str) -> tuple[gr.Button, gr.Button]:
    stop_button = gr.Button("Stop", visible=False, elem_id=f"{name}-stop")
    return gr.Button(what, variant="primary", elem_id=f"{name}-start"), stop_button


def lay_out_live(settings: PageSettings) -> LiveParts:
    gr.HTML(
        in_both(
            "The agent opens a page in a browser of its own and acts on it. It reaches only "
            "{origins}.",
            origins=", ".join(settings.browser_origins),
        )
    )
    address = gr.Textbox(
        settings.browser_origins[0], label="Address", max_lines=1, elem_id="live-address"
    )
    with gr.Row():
        # small screens are what the bundled model, which takes single instructions, was shown
        viewport = gr.Dropdown(
            VIEWPORTS,
            value=VIEWPORTS[1 if settings.agent_by_instruction else -1],
            label="Size of the page",
            min_width=140,
        )
        max_steps = gr.Slider(1, MOST_STEPS, value=10, step=1, label="Most steps", min_width=140)
    start, stop_button = _lay_out_buttons("Start", "live")
    return LiveParts(address, viewport, max_steps, start, stop_button)


def lay_out_outcome() -> tuple[OutcomeParts, KeepingParts]:
    notice = gr.Markdown(
        latex_delimiters=LATEX_DELIMITERS, elem_id="agent-notice", elem_classes="notice"
    )
    overlay = make_overlay(elem_id="agent-picture", visible=False)
    details = gr.HTML(f"<p>{in_both(EMPTY)}</p>", elem_id="agent-details")
    steps = gr.Gallery(
        label="Steps",
        columns=2,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        visible=False,
        elem_id="agent-steps",
    )
    with gr.Row(elem_id="agent-keeping"):
        undo_button = gr.Button("Undo last step", size="sm", min_width=100, elem_id="agent-undo")
        new = gr.Button("New run", size="sm", min_width=100, elem_id="agent-new")
        export_button = gr.Button("Export", size="sm", min_width=100, elem_id="agent-export")
    files = gr.File(
        label="Report (HTML) and data (JSON)",
        file_count="multiple",
        interactive=False,
        visible=False,
        elem_id="agent-files",
    )
    outcome = OutcomeParts(gr.State(None), overlay, details, steps, notice)
    return outcome, KeepingParts(undo_button, new, export_button, files)


def _suggest(mode: str) -> str:
    if mode == BY_INSTRUCTION:
        return "Click on Settings\nClick on the Name field\nType: Ada\nClick on Save"
    return "Switch the notifications off"
