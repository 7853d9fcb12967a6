"""The agent's tab: its parts, and what happens on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from model.backends.base import ChatBackend
from ui.agent.handlers import Agent, Task, export, stop, undo
from ui.agent.layout import (
    BY_INSTRUCTION,
    EMPTY,
    MOST_STEPS,
    HandParts,
    KeepingParts,
    LiveParts,
    OutcomeParts,
    TaskParts,
    lay_out_hand,
    lay_out_live,
    lay_out_outcome,
    lay_out_task,
)
from ui.agent.view import AgentView, Shown, look, view
from ui.language import in_both
from ui.settings import PageSettings
from ui.wiring import AT_ONCE, PRIVATE, engine, live_run


def build_agent_tab(backend: ChatBackend, settings: PageSettings) -> None:
    """Lay the agent out and wire it; call inside a tab."""
    agent = Agent(backend, settings.options, settings.limits, settings.browser_origins)
    with gr.Row():
        with gr.Column(min_width=320):
            task = lay_out_task(settings)
            with gr.Tabs():
                live = None
                if settings.browser_origins:
                    with gr.Tab("Live page", id="live"):
                        live = lay_out_live(settings)
                with gr.Tab("Screenshots", id="by-hand"):
                    hand = lay_out_hand(task.platform)
        with gr.Column(min_width=320):
            outcome, keeping = lay_out_outcome()
    _wire(agent, (task, hand, live), outcome, keeping.files, settings)
    _wire_keeping(outcome, keeping)


def _to_outputs(shown: AgentView) -> tuple[Any, ...]:
    """Return the view as the components take it; what is empty is hidden."""
    run, overlay, details, steps, notice = shown
    return (
        run,
        gr.HTML(overlay, visible=bool(overlay)),
        details or ("" if overlay else f"<p>{in_both(EMPTY)}</p>"),
        gr.Gallery(steps, visible=bool(steps)),
        notice,
    )


def _toggle(*, running: bool) -> tuple[gr.Button, gr.Button]:
    """Show the button to start or the one to stop."""
    return gr.Button(visible=not running), gr.Button(visible=running)


def _wire(
    agent: Agent,
    parts: tuple[TaskParts, HandParts, LiveParts | None],
    outcome: OutcomeParts,
    files: gr.File,
    settings: PageSettings,
) -> None:
    given, hand, live = parts

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
        # a slider's ends hold on the page only
        most = min(int(max_steps), MOST_STEPS)
        for step in agent.live(to_task(*task), address, size, most):
            yield gr.skip() if step is None else _to_outputs(step)

    shared: dict[str, Any] = {
        "outputs": [*outcome],
        "show_progress": "minimal",
        "show_progress_on": outcome.overlay,
        **PRIVATE,
    }
    task = [*given]
    running = [
        _start(
            hand.start,
            hand.stop,
            {"fn": next_step, "inputs": [outcome.shown, *task, hand.image, hand.elements]},
            {**shared, **engine(settings)},
            files,
        )
    ]
    stops = [hand.stop]
    if live is not None:
        inputs = [*task, live.address, live.viewport, live.max_steps]
        run = {"fn": go_live, "inputs": inputs}
        alone = {**shared, **live_run(settings)}
        running.append(_start(live.start, live.stop, run, alone, files))
        stops.append(live.stop)
    for button in stops:
        # said afterwards: what the run showed last may still be on its way
        button.click(None, cancels=running).then(
            lambda shown: _to_outputs(stop(shown)), outcome.shown, [*outcome], **AT_ONCE
        )


def _start(
    start: gr.Button,
    stop_button: gr.Button,
    run: dict[str, Any],
    shared: dict[str, Any],
    files: gr.File,
) -> Any:
    """Let a button run something, and show the one to stop it meanwhile.

    Args:
        files: of the run before; they go.
    """
    buttons = [start, stop_button]
    # before the work: the browser starts the events of a trigger one after the other
    start.click(
        lambda: (*_toggle(running=True), gr.File(visible=False)),
        None,
        [*buttons, files],
        **AT_ONCE,
    )
    running = start.click(**run, **shared)
    # also after a stop: Gradio reports a cancelled event as complete
    running.then(lambda: _toggle(running=False), None, buttons, **AT_ONCE)
    return running


def _wire_keeping(outcome: OutcomeParts, keeping: KeepingParts) -> None:
    def select(shown: Shown | None, chosen: gr.SelectData) -> tuple[str, str]:
        return look(shown, chosen.index)

    def show_files(shown: Shown | None) -> gr.File:
        files = export(shown)
        return gr.File(files, visible=bool(files))

    outcome.steps.select(select, outcome.shown, [outcome.overlay, outcome.details], **AT_ONCE)
    keeping.undo.click(
        lambda shown: (*_to_outputs(undo(shown)), gr.File(visible=False)),
        outcome.shown,
        [*outcome, keeping.files],
        **AT_ONCE,
    )
    keeping.new.click(
        lambda: (*_to_outputs(view(None)), gr.File(visible=False)),
        None,
        [*outcome, keeping.files],
        **AT_ONCE,
    )
    keeping.export.click(show_files, outcome.shown, keeping.files, **AT_ONCE)
