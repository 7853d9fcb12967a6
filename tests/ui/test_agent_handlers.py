"""The agent's handlers: plain values in, plain values out."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scripted_backend import END, ScriptedBackend

from agent.commands import Command
from agent.deciding import Screen
from model.backends.base import AnswerDelta, BackendError, SamplingOptions, ThinkingDelta
from model.processing import Limits
from ui.agent import handlers
from ui.agent.handlers import FAILED, Agent, Task, export, stop, undo
from ui.agent.view import AgentView, Shown, look, view

BOX = AnswerDelta("<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>")
CLICK = AnswerDelta(
    "I click it. left_click(start_box='[100,200]', element_info='<b>')\nMemory:\n[]"
)
GOAL = Task("pc", False, "Save it", False)
PLAN = Task("pc", True, "Click on Save\nClick on Done", False)


def agent(*script: Any) -> Agent:
    return Agent(ScriptedBackend(script), SamplingOptions(), Limits())


@dataclass
class OpenPage:
    """A page whose browser runs until it is closed."""

    is_closed: bool = False

    def open(self) -> Generator[None, None, Screen]:
        yield
        return Screen(Image.new("RGB", (100, 100)))

    def perform(self, commands: Sequence[Command]) -> Generator[None, None, Screen]:
        return self.open()

    def close(self) -> None:
        self.is_closed = True


def targets(overlay: str) -> list[dict[str, Any]]:
    """Return what is drawn over the one picture of an overlay."""
    (data,) = re.findall(r'data-view="([^"]*)"', overlay)
    (page,) = json.loads(unescape(data))["pages"]
    return page["targets"]


def last(views: Iterator[AgentView]) -> AgentView:
    return [*views][-1]


def take_steps(task: Task, screenshot: str, count: int, *script: Any) -> AgentView:
    shown: Shown | None = None
    for _ in range(count):
        shown = last(agent(*script).next_step(shown, task, screenshot, "")).shown
    return view(shown)


def test_a_step_shows_reason_memory_and_the_action_drawn_on_the_screenshot(screenshot: str) -> None:
    first, *_, end = agent(ThinkingDelta("hm"), CLICK, END).next_step(None, GOAL, screenshot, "")
    assert targets(first.overlay) == []
    (target,) = targets(end.overlay)
    assert target["at"] == [20, 20]
    ((drawn, _),) = end.steps
    assert len(Image.open(drawn).convert("RGB").getcolors(99999)) > 1
    for part in ("I click it.", "[]", "hm", "at 20, 20"):
        assert part in end.details
    assert len(end.steps) == 1


def test_what_the_model_says_is_escaped(screenshot: str) -> None:
    end = take_steps(GOAL, screenshot, 1, CLICK, END)
    assert "&lt;b&gt;" in end.details
    assert "<b>" not in end.details


def test_the_next_step_knows_the_ones_before(screenshot: str) -> None:
    backend = ScriptedBackend([CLICK, END])
    taking = Agent(backend, SamplingOptions(), Limits())
    shown = last(taking.next_step(None, GOAL, screenshot, "")).shown
    end = last(taking.next_step(shown, GOAL, screenshot, ""))
    texts = [part.get("text", "") for part in backend.questions[1][0]["content"]]
    assert "step 1: Screenshot:" in "".join(texts)
    assert [caption[:2] for _, caption in end.steps] == ["1.", "2."]


def test_a_plans_lines_are_asked_one_after_the_other(screenshot: str) -> None:
    backend = ScriptedBackend([BOX, END])
    taking = Agent(backend, SamplingOptions(), Limits())
    shown = last(taking.next_step(None, PLAN, screenshot, "")).shown
    end = last(taking.next_step(shown, PLAN, screenshot, ""))
    asked = [question[0]["content"][1]["text"] for question in backend.questions]
    assert asked == ["Click on Save", "Click on Done"]
    assert [caption for _, caption in end.steps] == ["1. Click on Save", "2. Click on Done"]
    assert "done" in end.notice
    over = last(taking.next_step(end.shown, PLAN, screenshot, ""))
    assert "All instructions are done" in over.notice
    assert len(over.steps) == 2


def test_a_line_that_found_nothing_is_asked_again(screenshot: str) -> None:
    missed = take_steps(PLAN, screenshot, 1, AnswerDelta("not found"), END)
    assert "no action" in missed.details
    backend = ScriptedBackend([BOX, END])
    again = Agent(backend, SamplingOptions(), Limits()).next_step(
        missed.shown, PLAN, screenshot, ""
    )
    assert len(last(again).steps) == 2
    assert backend.questions[0][0]["content"][1]["text"] == "Click on Save"


def test_the_last_step_can_be_taken_back_and_taken_again(screenshot: str) -> None:
    two = take_steps(PLAN, screenshot, 2, BOX, END)
    one = undo(two.shown)
    assert [caption for _, caption in one.steps] == ["1. Click on Save"]
    again = last(agent(BOX, END).next_step(one.shown, PLAN, screenshot, ""))
    assert [caption for _, caption in again.steps] == ["1. Click on Save", "2. Click on Done"]
    assert "no step" in undo(None).notice


def test_an_earlier_step_can_be_looked_at(screenshot: str) -> None:
    two = take_steps(PLAN, screenshot, 2, BOX, END)
    overlay, details = look(two.shown, 0)
    assert targets(overlay)[0]["box"] == [20, 20, 60, 40]
    assert "1. Click on Save" in details
    assert look(two.shown, 7) == ("", "")


@pytest.mark.parametrize(
    ("task", "with_image", "words"),
    [
        (GOAL, False, "screenshot"),
        (replace(GOAL, goal=" "), True, "what is to be done"),
        (replace(PLAN, goal="\n"), True, "one instruction a line"),
    ],
)
def test_what_is_missing_is_asked_for(
    screenshot: str, task: Task, with_image: bool, words: str
) -> None:
    (shown,) = agent(BOX, END).next_step(None, task, screenshot if with_image else None, "")
    assert words in shown.notice


def test_a_refusal_keeps_the_steps(screenshot: str) -> None:
    one = take_steps(GOAL, screenshot, 1, CLICK, END)
    refused = agent(BackendError("still loading")).next_step(one.shown, GOAL, screenshot, "")
    end = last(refused)
    assert (end.notice, len(end.steps)) == ("Still loading.", 1)


def test_a_failure_is_told_without_its_details(screenshot: str) -> None:
    end = last(agent(RuntimeError("secret")).next_step(None, GOAL, screenshot, ""))
    assert end.notice == FAILED


def test_closing_a_step_ends_the_question(screenshot: str) -> None:
    backend = ScriptedBackend([CLICK, END])
    views = Agent(backend, SamplingOptions(), Limits()).next_step(None, GOAL, screenshot, "")
    next(views)
    next(views)
    views.close()  # type: ignore[attr-defined]
    assert backend.closed == 1


def test_numbers_on_an_uploaded_page_are_explained_to_the_model(screenshot: str) -> None:
    backend = ScriptedBackend([AnswerDelta("Thought: x\nAction: Click [3]"), END])
    task = replace(GOAL, platform="web")
    listed = '[3]: <button> "Go";'
    end = last(
        Agent(backend, SamplingOptions(), Limits()).next_step(None, task, screenshot, listed)
    )
    assert listed in backend.questions[0][0]["content"][1]["text"]
    assert "index=3" in end.details


def test_a_run_is_exported_as_a_page_and_as_data(screenshot: str) -> None:
    two = take_steps(PLAN, screenshot, 2, BOX, END)
    page, data = (Path(file) for file in export(two.shown))
    assert (page.suffix, data.suffix) == (".html", ".json")
    assert page.read_text().count("<img ") == 2
    steps = json.loads(data.read_text())["steps"]
    assert [step["action"]["target_norm"] for step in steps] == [[200, 300]] * 2
    assert export(None) == []


def test_a_stopped_run_says_so_and_keeps_its_steps(screenshot: str) -> None:
    one = take_steps(PLAN, screenshot, 1, BOX, END)
    stopped = stop(one.shown)
    assert (stopped.notice, len(stopped.steps)) == ("Stopped.", 1)
    assert stop(None).notice == "Stopped."


def test_a_live_run_elsewhere_is_refused_without_a_browser() -> None:
    live = Agent(ScriptedBackend([END]), SamplingOptions(), Limits(), ["http://127.0.0.1:8000"])
    end = [*live.live(PLAN, "http://127.0.0.1:9", (320, 240), 3)][-1]
    assert end is not None
    assert "not allowed" in end.notice


def test_without_allowed_servers_nothing_can_run_live() -> None:
    end = [*agent(END).live(PLAN, "http://127.0.0.1:8000", (320, 240), 3)][-1]
    assert end is not None
    assert "not allowed" in end.notice


def test_a_live_run_that_is_left_at_any_moment_leaves_no_browser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: list[OpenPage] = []

    def start_browser(*_: Any, **__: Any) -> OpenPage:
        pages.append(OpenPage())
        return pages[-1]

    monkeypatch.setattr(handlers, "LivePage", start_browser)
    for views in range(1, 4):
        run = agent(BOX, END).live(PLAN, "http://127.0.0.1:8000", (320, 240), 3)
        for _ in range(views):
            next(run)
        run.close()  # type: ignore[attr-defined]
    assert pages
    assert all(page.is_closed for page in pages)


def test_a_screenshot_larger_than_the_operator_allows_is_refused(screenshot: str) -> None:
    careful = Agent(ScriptedBackend([BOX, END]), SamplingOptions(), Limits(max_pixels=100))
    (shown,) = careful.next_step(None, GOAL, screenshot, "")
    assert "pixels" in shown.notice


def test_a_box_that_is_clicked_shows_the_point_too_and_the_point_has_the_name(
    screenshot: str,
) -> None:
    drawn = targets(take_steps(PLAN, screenshot, 1, BOX, END).overlay)
    assert [(each["mark"], each["plate"]) for each in drawn] == [("box", "#1"), ("cross", "click")]
    x0, y0, x1, y1 = drawn[0]["box"]
    assert drawn[1]["at"] == [(x0 + x1) / 2, (y0 + y1) / 2]
