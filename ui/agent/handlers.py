"""Handlers of the agent's tab: plain values in, plain values out, nothing kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from agent import Run, Step, read_plan, to_html, to_json
from agent.browser import BrowserError, LivePage
from agent.deciding import Ask, Said, Screen, decide
from agent.live import run_live
from agent.prompts import Message
from agent.steps import Platform, ending
from model.backends.base import BackendError, ChatBackend, Reply, SamplingOptions
from model.processing import Limits, MediaError, open_image
from ui.agent.view import AgentView, Shown, fail, show_said, show_screen, view
from ui.answering import MIN_INTERVAL_S, Refused, as_sentence
from ui.conversation import explain_ending
from ui.files import save
from ui.language import say, say_message
from ui.rendering.markdown import to_markdown

logger = logging.getLogger(__name__)

FAILED = "Something went wrong. The server's log has the details."


@dataclass(frozen=True, slots=True)
class Task:
    """What the person set, apart from what is on the screen."""

    platform: Platform
    by_instruction: bool
    goal: str
    thinking: bool

    def begin(self) -> Run:
        """Return a run without steps; ``Refused`` if there is no goal."""
        if not self.goal.strip():
            raise Refused(
                say(
                    "Write one instruction a line, for example: Click on Save."
                    if self.by_instruction
                    else "Say what is to be done."
                )
            )
        return Run(self.platform, self.goal.strip(), self.by_instruction)


class Agent:
    """Takes steps on screenshots by hand, or on a live page by itself."""

    def __init__(
        self,
        backend: ChatBackend,
        options: SamplingOptions,
        limits: Limits,
        origins: Sequence[str] = (),
    ) -> None:
        self._backend = backend
        self._options = options
        self._limits = limits
        self._origins = tuple(origins)

    def next_step(
        self, shown: Shown | None, task: Task, image: str | None, elements: str
    ) -> Iterator[AgentView]:
        """Take one step on an uploaded screenshot; yield the tab as the reply grows.

        Args:
            shown: the run so far; None begins one.
            elements: what the numbers on the screenshot stand for (web).
        """
        try:
            shown = _go_on(shown, task)
            screen = _open_screen(image, elements, self._limits)
            plan = read_plan(task.goal) if task.by_instruction else ()
            # a line that led to nothing is asked again
            done = sum(step.action is not None for step in shown.run.steps)
            if plan and done >= len(plan):
                raise Refused(say("All instructions are done. Add a line, or begin a new run."))
            seen = view(shown)._replace(overlay=show_screen(screen.image), details="")
            yield seen
            steps = decide(shown.run, screen, self._asking(task), plan[done] if plan else None)
            step = yield from self._follow(steps, seen)
            yield view(shown.append(_add(shown.run, step, is_last=done + 1 == len(plan))))
        except Refused as problem:
            yield view(shown)._replace(notice=to_markdown(str(problem)))
        except Exception:
            logger.exception("the step failed")
            yield view(shown)._replace(notice=say(FAILED))

    def live(
        self, task: Task, address: str, viewport: tuple[int, int], max_steps: int
    ) -> Iterator[AgentView | None]:
        """Let the agent act on a live page; yield the tab as it goes on, None while waiting."""
        shown: Shown | None = None
        try:
            shown = Shown(task.begin())
            # before the browser starts: nothing would hold it while the run waits here
            yield view(shown)._replace(notice=say("Opening the page."))
            page = LivePage(address.strip(), origins=self._origins, viewport=viewport)
            events = run_live(shown.run, page, self._asking(task), max_steps=max_steps)
            spoken, seen = 0.0, view(shown)
            with closing(events):
                for event in events:
                    if isinstance(event, Run):
                        shown = shown.append(event)
                        yield view(shown)
                        seen = _look_ahead(shown)
                    elif event is not None and time.monotonic() - spoken > MIN_INTERVAL_S:
                        spoken = time.monotonic()
                        yield seen._replace(details=show_said(event))
                    else:
                        yield None
        except (Refused, BrowserError) as problem:
            yield fail(shown, say_message(str(problem)))
        except Exception:
            logger.exception("the live run failed")
            yield fail(shown, say(FAILED))

    def _asking(self, task: Task) -> Ask:
        def ask(messages: list[Message]) -> Generator[Said, None, Said]:
            reply = Reply()
            stream = self._backend.stream(
                messages, enable_thinking=task.thinking, options=self._options
            )
            try:
                with closing(stream):
                    for event in stream:
                        reply.add(event)
                        yield Said(reply.thinking, reply.answer)
            except (BackendError, MediaError) as error:
                raise Refused(as_sentence(error)) from error
            return Said(reply.thinking, reply.answer, explain_ending(reply))

        return ask

    def _follow(
        self, deciding: Generator[Said, None, Step], seen: AgentView
    ) -> Generator[AgentView, None, Step]:
        """Yield the tab as a reply grows; return the step."""
        spoken = 0.0
        with closing(deciding):
            while True:
                try:
                    said = next(deciding)
                except StopIteration as end:
                    step: Step = end.value
                    return step
                if time.monotonic() - spoken > MIN_INTERVAL_S:
                    spoken = time.monotonic()
                    yield seen._replace(details=show_said(said))


def undo(shown: Shown | None) -> AgentView:
    """Take the last step back."""
    if shown is None or not shown.run.steps:
        return view(shown)._replace(notice=say("There is no step to take back."))
    run = replace(shown.run, steps=shown.run.steps[:-1], state="open", last_screen=None, notes=())
    return view(Shown(run, shown.pictures[:-1]))


def stop(shown: Shown | None) -> AgentView:
    """Say that the run was stopped, keeping its steps."""
    if shown is None:
        return view(None)._replace(notice=say("Stopped."))
    return view(replace(shown, run=replace(shown.run, state="stopped")))


def export(shown: Shown | None) -> list[str]:
    """Write the run as a report and as JSON; return the files."""
    if shown is None or not shown.run.steps:
        return []
    return [
        save("agent-run.html", to_html(shown.run).encode()),
        save("agent-run.json", to_json(shown.run).encode()),
    ]


def _go_on(shown: Shown | None, task: Task) -> Shown:
    """Return the run with what the person set now; its steps stay."""
    begun = task.begin()
    if shown is None:
        return Shown(begun)
    return replace(shown, run=replace(begun, steps=shown.run.steps))


def _open_screen(image: str | None, elements: str, limits: Limits) -> Screen:
    if not image:
        raise Refused(say("Attach a screenshot first."))
    try:
        return Screen(open_image(image, max_pixels=limits.max_pixels), elements=elements.strip())
    except MediaError as error:
        raise Refused(as_sentence(error)) from error


def _look_ahead(shown: Shown) -> AgentView:
    """Return the tab with the screen that the model looks at now, not the step before."""
    screen = shown.run.last_screen
    return view(shown)._replace(overlay=show_screen(screen)) if screen else view(shown)


def _add(run: Run, step: Step, *, is_last: bool) -> Run:
    state = (ending(step.action) or "open") if step.action else "open"
    if is_last and step.action:
        state = "done"
    return replace(run, steps=(*run.steps, step), state=state)
