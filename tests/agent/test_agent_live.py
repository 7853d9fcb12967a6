"""The loop of a live run, with a page that only remembers what was done to it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from agent import Run
from agent.browser import BrowserError
from agent.commands import Command
from agent.deciding import Said, Screen
from agent.live import run_live
from agent.marks import Mark
from agent.prompts import Message

SCREEN = Image.new("RGB", (100, 100), "white")
MARKS = (Mark("button", "Save", (10, 10, 30, 20)),)
DONE = "All set.\nDONE()\nMemory:\n[]"


@dataclass
class FakePage:
    done: list[tuple[Command, ...]] = field(default_factory=list)
    fails_at: int | None = None
    closed: bool = False

    def open(self) -> Generator[None, None, Screen]:
        yield
        return Screen(SCREEN, "http://a/", MARKS)

    def perform(self, commands: Sequence[Command]) -> Generator[None, None, Screen]:
        if len(self.done) == self.fails_at:
            raise BrowserError("The browser has ended.")
        self.done.append(tuple(commands))
        yield
        return Screen(SCREEN, f"http://a/{len(self.done)}", MARKS, notes=("Hm.",))

    def close(self) -> None:
        self.closed = True


@dataclass
class Model:
    replies: list[str]
    asked: list[list[dict[str, Any]]] = field(default_factory=list)
    closed: int = 0

    def ask(self, messages: list[Message]) -> Generator[Said, None, Said]:
        self.asked.append(messages[0]["content"])
        try:
            yield Said("", "...")
            return Said("", self.replies[min(len(self.asked), len(self.replies)) - 1])
        finally:
            self.closed += 1


def finish(run: Run, page: FakePage, model: Model, max_steps: int = 9) -> Run:
    events = run_live(run, page, model.ask, max_steps=max_steps)  # type: ignore[arg-type]
    return [event for event in events if isinstance(event, Run)][-1]


def click(x: int) -> str:
    return f"Now. left_click(start_box='[{x},500]', element_info='')\nMemory:\n[{x}]"


def test_a_run_goes_on_until_the_model_is_done() -> None:
    page, model = FakePage(), Model([click(100), click(200), DONE])
    run = finish(Run("pc", "Save it"), page, model)
    assert run.state == "done"
    assert page.done == [(Command("click", (10, 50)),), (Command("click", (20, 50)),)]
    assert [step.address for step in run.steps] == ["http://a/", "http://a/1", "http://a/2"]
    assert run.steps[0].notes == ("Hm.",)
    assert page.closed


def test_each_step_is_told_the_ones_before_and_the_newest_memory() -> None:
    model = Model([click(100), click(200), DONE])
    finish(Run("pc", "Save it"), FakePage(), model)
    text = "".join(part.get("text", "<image>") for part in model.asked[2])
    assert (
        "step 2: Screenshot:<image> Thought: Now.\nAction: left_click(start_box='[200,500]'" in text
    )
    assert "\nMemory:\n[200]\n" in text


def test_a_run_ends_after_its_most_steps() -> None:
    page = FakePage()
    run = finish(Run("pc", "Save it"), page, Model([click(100)]), max_steps=3)
    assert (run.state, len(run.steps), len(page.done)) == ("stopped", 3, 3)
    assert "3 steps" in run.notes[0]


def test_a_model_that_gives_up_or_says_nothing_fails_the_run() -> None:
    assert finish(Run("pc", "x"), FakePage(), Model(["FAIL()"])).state == "failed"
    run = finish(Run("pc", "x"), FakePage(), Model(["Hello."]))
    assert (run.state, run.steps[0].action) == ("failed", None)


def test_what_a_page_cannot_do_is_noted_and_the_model_goes_on() -> None:
    page = FakePage()
    replies = ['Memory: None\nReason: x\nAction: {"action_type": "open_app", "app_name": "A"}',
               'Memory: None\nReason: x\nAction: {"action_type": "status", '
               '"goal_status": "complete"}']  # fmt: skip
    run = finish(Run("mobile", "x"), page, Model(replies))
    assert run.state == "done"
    assert "open_app is not possible" in run.steps[0].notes[0]
    assert page.done == [()]


def test_on_the_web_the_model_sees_numbers_and_clicks_what_they_stand_for() -> None:
    page = FakePage()
    frame = "Thought: x\nAction: %s\nMemory_Updated: {}"
    model = Model([frame % "Click [0]", frame % "ANSWER; <content>ok</content>"])
    run = finish(Run("web", "x"), page, model)
    assert page.done == [(Command("click", (20, 15)),)]
    assert model.asked[0][0]["image"].getcolors() != SCREEN.getcolors()
    assert '[0]: <button> "Save";' in model.asked[0][1]["text"]
    assert run.steps[0].screenshot is model.asked[0][0]["image"]


PLAN = Run("pc", "Click on Save\nType: Ada\nClick on Done", by_instruction=True)
BOX = "<|begin_of_box|>[[100,100,300,300]]<|end_of_box|>"


def test_a_plan_is_asked_line_by_line_and_done_with_its_last() -> None:
    page, model = FakePage(), Model([BOX])
    run = finish(PLAN, page, model)
    assert (run.state, [step.instruction for step in run.steps]) == ("done", PLAN.goal.split("\n"))
    assert [content[1]["text"] for content in model.asked] == ["Click on Save", "Click on Done"]
    assert page.done == [
        (Command("click", (20, 20)),),
        (Command("type", text="Ada"),),
        (Command("click", (20, 20)),),
    ]


def test_a_plan_stops_where_a_line_finds_nothing() -> None:
    page = FakePage()
    run = finish(PLAN, page, Model(["not found"]))
    assert (run.state, len(run.steps), page.done) == ("failed", 1, [])


def test_a_page_that_breaks_ends_the_run_and_keeps_its_steps() -> None:
    page = FakePage(fails_at=1)
    run = finish(Run("pc", "x"), page, Model([click(100)]))
    assert (run.state, run.notes, len(run.steps)) == ("failed", ("The browser has ended.",), 1)
    assert page.closed


def test_closing_a_run_closes_the_question_and_the_page() -> None:
    page, model = FakePage(), Model([click(100)])
    events = run_live(Run("pc", "x"), page, model.ask, max_steps=9)  # type: ignore[arg-type]
    while not isinstance(next(events), Said):
        pass
    events.close()
    assert (page.closed, model.closed) == (True, 1)


def test_what_asking_raises_passes_through_and_closes_the_page() -> None:
    page = FakePage()

    def ask(messages: list[Message]) -> Generator[Said, None, Said]:
        raise ValueError("no")
        yield

    with pytest.raises(ValueError, match="no"):
        list(run_live(Run("pc", "x"), page, ask, max_steps=9))  # type: ignore[arg-type]
    assert page.closed
