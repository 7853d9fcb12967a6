"""Layout and wiring of the grounding tab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr

from model.backends.base import ChatBackend
from ui.capture import make_capture, show_taken
from ui.language import in_both
from ui.locate.handlers import Locate
from ui.rendering.markdown import LATEX_DELIMITERS
from ui.rendering.overlay import make_overlay
from ui.settings import Example, PageSettings
from ui.uploading import hand_on_unopened
from ui.wiring import AT_ONCE, PRIVATE, engine

EMPTY = "The screenshot appears here, with a box around what the model found."

# The panel that will hold the picture comes into view; on a phone it is below the question.
SHOW_PICTURE = "() => document.querySelector('#picture')?.scrollIntoView({block: 'start'})"

RIGHT, MISSED = "known to find", "known to miss"


class _Question(NamedTuple):
    image: gr.Image
    instruction: gr.Textbox
    thinking: gr.Checkbox
    look_twice: gr.Checkbox
    start: gr.Button
    stop: gr.Button
    examples: gr.Dataset


class _Outcome(NamedTuple):
    overlay: gr.HTML
    answer: gr.Markdown
    thought: gr.Markdown
    table: gr.HTML
    notice: gr.Markdown
    fold: gr.Accordion  # around the thought


def build_locate_tab(backend: ChatBackend, settings: PageSettings, own: gr.State) -> None:
    """Lay the grounding demo out and wire it; call inside a tab.

    Args:
        own: the visitor's own backend, or None in it: then ``backend`` answers.
    """
    locate = Locate(backend, settings.options, settings.limits)
    with gr.Row():
        with gr.Column(min_width=320):
            question = _lay_out_question(settings)
        with gr.Column(min_width=320):
            outcome = _lay_out_outcome()
    # below both columns: on a phone, what was found comes right under the button
    question.examples.render()
    _wire(locate, question, outcome, settings, own)
    # of its own: programs are told the labels, which the page has in the visitor's language
    image = gr.Image(label="image", type="filepath", visible=False)
    hand_on_unopened(image)
    gr.Button(visible=False).click(
        locate.call,
        [
            image,
            gr.Textbox(label="instruction", visible=False),
            gr.Checkbox(settings.thinking, label="thinking", visible=False),
            gr.Checkbox(settings.look_twice, label="look_twice", visible=False),
        ],
        [gr.JSON(visible=False), gr.Image(format="png", type="filepath", visible=False)],
        api_name="locate",
        **engine(settings),
    )


def _lay_out_question(settings: PageSettings) -> _Question:
    image = gr.Image(
        label="Screenshot",
        show_label=False,
        type="filepath",
        sources=["upload", "clipboard"],
        height=300,
        buttons=[],
        elem_id="screenshot",
        placeholder="Drop a screenshot here, paste one, or click to choose a file",
    )
    hand_on_unopened(image)
    show_taken(make_capture(), image)
    instruction = gr.Textbox(
        label="Instruction",
        placeholder="Click on Save",
        info="Sent to the model as you type it. With Look twice, it is asked again about the part "
        "around its first answer.",
        elem_id="instruction",
        max_lines=4,
    )
    with gr.Row(elem_classes="controls"):
        thinking = gr.Checkbox(
            settings.thinking, label="Think first", container=False, min_width=110, scale=0
        )
        look_twice = gr.Checkbox(
            settings.look_twice, label="Look twice", container=False, min_width=110, scale=0
        )
        stop = gr.Button("Stop", visible=False, min_width=90, elem_id="stop")
        start = gr.Button("Locate", variant="primary", min_width=120, elem_id="start")
    return _Question(
        image, instruction, thinking, look_twice, start, stop, _make_examples(settings.examples)
    )


def _lay_out_outcome() -> _Outcome:
    overlay = make_overlay(elem_id="picture")
    notice = gr.Markdown(
        latex_delimiters=LATEX_DELIMITERS, elem_id="locate-notice", elem_classes="notice"
    )
    answer = gr.Markdown(in_both(EMPTY), latex_delimiters=LATEX_DELIMITERS, elem_id="answer")
    table = gr.HTML(elem_id="table")
    with gr.Accordion("Thought", open=False, visible=False, elem_id="thought") as fold:
        thought = gr.Markdown(latex_delimiters=LATEX_DELIMITERS)
    return _Outcome(overlay, answer, thought, table, notice, fold)


def _toggle(*, running: bool) -> tuple[gr.Button, gr.Button]:
    """Show the button to start or the one to stop."""
    return gr.Button(visible=not running), gr.Button(visible=running)


def _make_examples(examples: Sequence[Example]) -> gr.Dataset:
    """Return a table of pictures and instructions, to be put on the page later."""
    return gr.Dataset(
        label="Examples: click one to run it",
        components=[gr.Image(visible=False), gr.Textbox(visible=False), gr.HTML(visible=False)],
        headers=["Screenshot", "Instruction", "This model"],
        samples=[
            [example.file, example.instruction, in_both(RIGHT if example.answered else MISSED)]
            for example in examples
        ],
        type="index",
        visible=bool(examples),
        elem_id="examples",
        render=False,
    )


def _wire(
    locate: Locate, question: _Question, outcome: _Outcome, settings: PageSettings, own: gr.State
) -> None:
    image, instruction, thinking, look_twice, start, stop, examples = question

    def show(*inputs: Any) -> Iterator[tuple[Any, ...]]:
        for view in locate.show(*inputs):
            yield *view, gr.Accordion(visible=bool(view.thought))

    run: dict[str, Any] = {
        "fn": show,
        "inputs": [image, instruction, thinking, look_twice, own],
        "outputs": [*outcome],
        "show_progress": "minimal",
        "show_progress_on": outcome.overlay,
        **PRIVATE,
        **engine(settings),
    }
    # before the work: the browser starts the events of a trigger one after the other
    for trigger in (start.click, instruction.submit, examples.click):
        trigger(lambda: _toggle(running=True), None, [start, stop], **AT_ONCE)
    chosen = examples.click(
        lambda index: (settings.examples[index].file, settings.examples[index].instruction),
        examples,
        [image, instruction],
        **AT_ONCE,
    )
    # a table of examples is taller than a window: its last rows are far below the picture
    examples.click(None, js=SHOW_PICTURE)
    running = [start.click(**run), instruction.submit(**run), chosen.then(**run)]
    for event in running:
        # also after a stop: Gradio reports a cancelled event as complete
        event.then(lambda: _toggle(running=False), None, [start, stop], **AT_ONCE)
    stop.click(None, cancels=running)
