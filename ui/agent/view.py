"""What the agent's tab shows of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import NamedTuple

from PIL import Image

from agent import Run, Step
from agent.deciding import Said
from agent.steps import describe_action
from grounding import Result, draw, strip_markers
from ui.conversation import Picture
from ui.files import save_png
from ui.language import say, say_message
from ui.rendering.markdown import to_markdown
from ui.rendering.overlay import to_html
from ui.targets.target import list_targets

_STATES = {
    "open": "",
    "done": "The run is done.",
    "failed": "The run ended here without reaching its goal.",
    "stopped": "Stopped.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A run as the page has it: ``pictures`` are files with each step's action drawn upon it."""

    run: Run
    pictures: tuple[str, ...] = ()

    def append(self, run: Run) -> Shown:
        """Return ``run``, drawing only the steps that are new."""
        new = run.steps[len(self.pictures) :]
        return Shown(run, (*self.pictures, *(save_png(_draw(step)) for step in new)))


class AgentView(NamedTuple):
    """What the tab shows after a step."""

    shown: Shown | None
    overlay: str  # HTML of the screenshot and the action over it; "" before there is one
    details: str  # HTML
    steps: list[tuple[str, str]]  # files and captions
    notice: str  # Markdown


def view(shown: Shown | None) -> AgentView:
    """Return the tab with the newest step of a run."""
    if shown is None:
        return AgentView(None, "", "", [], "")
    run = shown.run
    if not run.steps:
        seen = show_screen(run.last_screen) if run.last_screen is not None else ""
        return AgentView(shown, seen, "", [], to_markdown(_tell(run)))
    captions = [
        f"{number}. {step.instruction or (describe_action(step.action) if step.action else '')}"
        for number, step in enumerate(run.steps, 1)
    ]
    steps = list(zip(shown.pictures, captions, strict=True))
    if run.last_screen is not None:
        caption = say("Now" if run.state == "open" else "After the last step")
        steps.append((save_png(run.last_screen), caption))
    details = _show_step(run.steps[-1], len(run.steps))
    overlay = _show_action(run.steps[-1], shown.pictures[-1])
    return AgentView(shown, overlay, details, steps, to_markdown(_tell(run)))


def show_screen(image: Image.Image) -> str:
    """Return HTML of a screenshot without anything over it."""
    return to_html([Picture("screenshot.png", image, save_png(image))], ())


def _show_action(step: Step, drawn: str) -> str:
    picture = Picture("screenshot.png", step.screenshot, save_png(step.screenshot))
    return to_html([picture], list_targets(_find(step)), [drawn])


def _tell(run: Run) -> str:
    notes = map(say_message, run.notes)
    return " ".join(part for part in (say(_STATES[run.state]), *notes) if part)


def look(shown: Shown | None, index: int) -> tuple[str, str]:
    """Return the overlay and the details of an earlier step, both HTML."""
    if shown is None or index > len(shown.pictures):
        return "", ""
    if index == len(shown.pictures):  # after the steps: how it ended
        last = shown.run.last_screen
        return show_screen(last) if last is not None else "", ""
    step = shown.run.steps[index]
    return _show_action(step, shown.pictures[index]), _show_step(step, index + 1)


def fail(shown: Shown | None, problem: str) -> AgentView:
    """Return the tab with a run that a problem ended, and the problem."""
    if shown is None:
        return view(None)._replace(notice=to_markdown(problem))
    failed = replace(shown, run=replace(shown.run, state="failed"))
    return view(failed)._replace(notice=to_markdown(problem))


def _draw(step: Step) -> Image.Image:
    return draw(step.screenshot, _find(step))


def _find(step: Step) -> Result:
    """Return what to draw: what was found, and where the action goes; the action has the name."""
    if step.action is None:
        return Result(boxes=list(step.boxes))
    if step.action.target is None and step.boxes:
        return Result(boxes=[replace(box, label=step.action.type) for box in step.boxes])
    return Result(boxes=[replace(box, label=None) for box in step.boxes], actions=[step.action])


def _show_step(step: Step, number: int) -> str:
    call = describe_action(step.action) if step.action else say("None that could be read")
    if step.action and step.action.target:
        x, y = step.action.target
        call = say("{action} at {x:.0f}, {y:.0f}", action=call.removesuffix("()"), x=x, y=y)
    parts = [
        ("Step", f"{number}. {step.instruction}" if step.instruction else str(number)),
        ("Page", step.address),
        ("Memory", step.memory),
        ("Reason", step.reason),
        ("Action", call),
        ("Thought", step.thinking),
        ("Notes", "\n".join(map(say_message, step.notes))),
        ("Reply", strip_markers(step.text)),
    ]
    return _as_list(parts)


def show_said(said: Said) -> str:
    """Return a growing reply as HTML."""
    return _as_list([("Thought", said.thinking), ("Reply", strip_markers(said.answer))])


def _as_list(parts: Sequence[tuple[str, str]]) -> str:
    """Return names and texts as HTML, everything escaped."""
    rows = "".join(
        f"<dt>{escape(say(name))}</dt><dd>{escape(text)}</dd>"
        for name, text in parts
        if text.strip()
    )
    return f'<dl class="step">{rows}</dl>' if rows else ""
