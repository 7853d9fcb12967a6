"""The loop of a live run: screenshot -> model -> action -> page, until the goal or a limit."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

from agent.browser import BrowserError, LivePage
from agent.commands import NotPossible, to_commands
from agent.deciding import Ask, Said, Screen, decide
from agent.plan import read_plan
from agent.steps import Run, ending


def run_live(
    run: Run, page: LivePage, ask: Ask, *, max_steps: int
) -> Generator[Run | Said | None, None, None]:
    """Yield the run once the page is open and after every step, with the screen that comes next.

    What the model says meanwhile is yielded as it grows, and None while there is nothing new.

    Closing it ends the page. What ``ask`` raises passes through; a page that fails ends the run
    with a note instead.
    """
    with closing(page):
        try:
            screen = yield from page.open()
            run = replace(run, last_screen=screen.image)
            yield run
            while run.state == "open":
                run, screen = yield from _take_step(run, page, screen, ask)
                if run.state == "open" and len(run.steps) >= max_steps:
                    note = f"Ended after {max_steps} steps, the most that were asked for."
                    run = replace(run, state="stopped", notes=(note,))
                run = replace(run, last_screen=screen.image)
                yield run
        except BrowserError as error:
            yield replace(run, state="failed", notes=(str(error),))


def _take_step(
    run: Run, page: LivePage, screen: Screen, ask: Ask
) -> Generator[Said | None, None, tuple[Run, Screen]]:
    plan = read_plan(run.goal) if run.by_instruction else ()
    step = yield from decide(run, screen, ask, plan[len(run.steps)] if plan else None)
    if step.action is None:
        return replace(run, steps=(*run.steps, step), state="failed"), screen
    state = ending(step.action) or "open"
    if state == "open":
        try:
            commands = to_commands(step.action, step.size)
        except NotPossible as problem:
            step = replace(step, notes=(*step.notes, str(problem)))
            commands = ()
            # the rest of a plan would begin on the wrong screen; a model sees that and goes on
            state = "failed" if plan else "open"
        screen = yield from page.perform(commands)
        step = replace(step, notes=(*step.notes, *screen.notes))
    if state == "open" and plan and len(run.steps) + 1 == len(plan):
        state = "done"
    return replace(run, steps=(*run.steps, step), state=state), screen
