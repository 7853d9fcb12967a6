"""Layout and wiring of the agent's tab."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gradio as gr

from agent import PLATFORMS
from model.backends.base import ChatBackend
from ui.agent import Agent, Task, export, stop, undo
from ui.agent_view import AgentView, Shown, look, view
from ui.markdown import LATEX_DELIMITERS
from ui.settings import PageSettings
from ui.uploading import hand_on_unopened
from ui.wiring import AT_ONCE, PRIVATE, engine

WHOLE, BY_INSTRUCTION = "The whole goal at once", "One instruction a step"
MODES_INFO = (
    "The whole goal needs a model that plans, such as GLM-4.5V. With one instruction a step, each "
    "line of the goal is found and clicked by itself; Type: text, Press: Enter, Scroll: down, "
    "Wait: and Back: are done as written."
)
ELEMENTS_INFO = (
    "On the platform Web page the model answers with the numbers of elements: the screenshot must "
    "show them, and this says what they are."
)
VIEWPORTS = ("336 x 252", "448 x 336", "224 x 392", "412 x 915", "1024 x 768", "1280 x 720")
MOST_STEPS = 30


class _Question(NamedTuple):
    platform: gr.Radio
    mode: gr.Radio
    goal: gr.Textbox
    thinking: gr.Checkbox
    image: gr.Image
    elements: gr.Textbox
    start: gr.Button
    stop: gr.Button


class _Live(NamedTuple):
    address: gr.Textbox
    viewport: gr.Dropdown
    max_steps: gr.Slider
    start: gr.Button
    stop: gr.Button


class _Outcome(NamedTuple):
    """The fields of ``AgentView``, in its order."""

    shown: gr.State
    picture: gr.Image
    details: gr.HTML
    steps: gr.Gallery
    notice: gr.Markdown


class _Keeping(NamedTuple):
    undo: gr.Button
    new: gr.Button
    export: gr.Button
    files: gr.File


def build_agent_tab(backend: ChatBackend, settings: PageSettings) -> None:
    """Lay the agent out and wire it; call inside a tab."""
    agent = Agent(backend, settings.options, settings.browser_origins)
    with gr.Row():
        with gr.Column(min_width=320):
            question = _lay_out_question(settings)
            live = _lay_out_live(settings) if settings.browser_origins else None
        with gr.Column(min_width=320):
            outcome, keeping = _lay_out_outcome()
    _wire(agent, question, live, outcome, settings)
    _wire_keeping(outcome, keeping)


def _lay_out_question(settings: PageSettings) -> _Question:
    mode = gr.Radio(
        [WHOLE, BY_INSTRUCTION],
        value=BY_INSTRUCTION if settings.agent_by_instruction else WHOLE,
        label="How to ask the model",
        info=MODES_INFO,
        elem_id="agent-mode",
    )
    goal = gr.Textbox(
        label="Goal",
        lines=3,
        max_lines=10,
        placeholder=_suggest(mode.value),
        elem_id="agent-goal",
    )
    mode.change(lambda chosen: gr.Textbox(placeholder=_suggest(chosen)), mode, goal, **AT_ONCE)
    platform = gr.Radio(
        [(name, key) for key, name in PLATFORMS.items()],
        value="pc",
        label="Platform",
        elem_id="agent-platform",
    )
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
    with gr.Row(elem_classes="controls"):
        thinking = gr.Checkbox(
            settings.thinking, label="Think first", container=False, min_width=110, scale=0
        )
        stop_button = gr.Button("Stop", visible=False, min_width=90, elem_id="agent-stop")
        start = gr.Button("Next step", variant="primary", min_width=120, elem_id="agent-start")
    return _Question(platform, mode, goal, thinking, image, elements, start, stop_button)


def _lay_out_live(settings: PageSettings) -> _Live:
    with gr.Accordion("Live page", open=True, elem_id="live"):
        gr.Markdown(
            "The agent opens a page in a browser of its own and acts on it. It reaches only "
            + ", ".join(f"`{origin}`" for origin in settings.browser_origins)
            + "."
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
            max_steps = gr.Slider(1, MOST_STEPS, value=10, step=1, label="At most so many steps")
        with gr.Row(elem_classes="controls"):
            stop_button = gr.Button("Stop", visible=False, min_width=90, elem_id="live-stop")
            start = gr.Button("Start", variant="primary", min_width=120, elem_id="live-start")
    return _Live(address, viewport, max_steps, start, stop_button)


def _lay_out_outcome() -> tuple[_Outcome, _Keeping]:
    notice = gr.Markdown(
        latex_delimiters=LATEX_DELIMITERS, elem_id="agent-notice", elem_classes="notice"
    )
    picture = gr.Image(
        label="Step",
        show_label=False,
        format="png",
        type="filepath",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id="agent-picture",
        elem_classes="picture",
        alt_text="The screenshot, and on it the action",
        placeholder="The screenshot appears here, and on it what the agent does.",
    )
    details = gr.HTML(elem_id="agent-details")
    steps = gr.Gallery(
        label="Steps",
        columns=3,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        visible=False,
        elem_id="agent-steps",
    )
    with gr.Row():
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
    outcome = _Outcome(gr.State(None), picture, details, steps, notice)
    return outcome, _Keeping(undo_button, new, export_button, files)


def _suggest(mode: str) -> str:
    if mode == BY_INSTRUCTION:
        return "Click on Settings\nClick on the Name field\nType: Ada\nClick on Save"
    return "Switch the notifications off"


def _to_outputs(shown: AgentView) -> tuple[Any, ...]:
    """Return the view as the components take it: the list of steps is hidden while it is empty."""
    run, picture, details, steps, notice = shown
    return run, picture, details, gr.Gallery(steps, visible=bool(steps)), notice


def _toggle(*, running: bool) -> tuple[gr.Button, gr.Button]:
    """Show the button to start or the one to stop."""
    return gr.Button(visible=not running), gr.Button(visible=running)


def _wire(
    agent: Agent,
    question: _Question,
    live: _Live | None,
    outcome: _Outcome,
    settings: PageSettings,
) -> None:
    def to_task(platform: Any, mode: str, goal: str, thinking: bool) -> Task:
        return Task(platform, mode == BY_INSTRUCTION, goal, thinking)

    def next_step(shown: Shown | None, *inputs: Any) -> Iterator[tuple[Any, ...]]:
        *task, image, elements = inputs
        for step in agent.next_step(shown, to_task(*task), image, elements):
            yield _to_outputs(step)

    def go_live(*inputs: Any) -> Iterator[Any]:
        *task, address, viewport, max_steps = inputs
        width, _, height = viewport.partition(" x ")
        size = int(width), int(height)
        for step in agent.live(to_task(*task), address, size, int(max_steps)):
            yield gr.skip() if step is None else _to_outputs(step)

    shared: dict[str, Any] = {
        "outputs": [*outcome],
        "show_progress": "minimal",
        "show_progress_on": outcome.picture,
        **PRIVATE,
        **engine(settings),
    }
    task = [question.platform, question.mode, question.goal, question.thinking]
    running = [
        _start(
            question.start,
            question.stop,
            {"fn": next_step, "inputs": [outcome.shown, *task, question.image, question.elements]},
            shared,
        )
    ]
    stops = [question.stop]
    if live is not None:
        inputs = [*task, live.address, live.viewport, live.max_steps]
        running.append(_start(live.start, live.stop, {"fn": go_live, "inputs": inputs}, shared))
        stops.append(live.stop)
    for button in stops:
        button.click(
            lambda shown: _to_outputs(stop(shown)),
            outcome.shown,
            [*outcome],
            cancels=running,
            **AT_ONCE,
        )


def _start(
    start: gr.Button, stop_button: gr.Button, run: dict[str, Any], shared: dict[str, Any]
) -> Any:
    """Let a button run something, and show the one to stop it meanwhile."""
    buttons = [start, stop_button]
    # before the work: the browser starts the events of a trigger one after the other
    start.click(lambda: _toggle(running=True), None, buttons, **AT_ONCE)
    running = start.click(**run, **shared)
    # also after a stop: Gradio reports a cancelled event as complete
    running.then(lambda: _toggle(running=False), None, buttons, **AT_ONCE)
    return running


def _wire_keeping(outcome: _Outcome, keeping: _Keeping) -> None:
    def select(shown: Shown | None, chosen: gr.SelectData) -> tuple[str | None, str]:
        return look(shown, chosen.index)

    def show_files(shown: Shown | None) -> gr.File:
        files = export(shown)
        return gr.File(files, visible=bool(files))

    outcome.steps.select(select, outcome.shown, [outcome.picture, outcome.details], **AT_ONCE)
    keeping.undo.click(lambda shown: _to_outputs(undo(shown)), outcome.shown, [*outcome], **AT_ONCE)
    keeping.new.click(
        lambda: (*_to_outputs(view(None)), gr.File(visible=False)),
        None,
        [*outcome, keeping.files],
        **AT_ONCE,
    )
    keeping.export.click(show_files, outcome.shown, keeping.files, **AT_ONCE)
