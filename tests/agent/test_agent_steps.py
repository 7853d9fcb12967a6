"""Replies of the three agents, well formed and not, are read."""

from __future__ import annotations

from typing import Any

import pytest

from agent import read_plan, read_reply
from agent.marks import Mark
from agent.steps import Platform, ending
from grounding import Action

SIZE = (1000, 500)
A, Z = "<|begin_of_box|>", "<|end_of_box|>"
CLICK = {"box_2d": [[100, 200, 300, 400]]}
MARKS = (Mark("a", "Home", (0, 0, 20, 10)), Mark("input", "", (100, 50, 300, 70)))


@pytest.mark.parametrize(
    "reply",
    [
        'Memory: two\nReason: It is there.\nAction: {"action_type": "click", '
        '"box_2d": [[100,200,300,400]]}',
        "Memory: two\nReason: It is there.\nAction: {'action_type': 'click', "
        "'box_2d': [[100, 200, 300, 400]]}",
        f'Memory: two\nReason: It is there.\nAction: {A}{{"action_type": "click", '
        f'"box_2d": [[100,200,300,400]]}}{Z}',
        'Memory: two\nReason: It is there.\nAction: ```json\n{"action_type": "click", '
        '"box_2d": [[100,200,300,400]]}\n```',
        'Memory: two Reason: It is there. Action: {"action_type": "click", '
        '"box_2d": [[100,200,300,400]]}',
        '**Memory:** two\n**Reason:** It is there.\n**Action:** {"action_type": "click", '
        '"box_2d": [[100,200,300,400]]}',
        'memory：two\nreason：It is there.\naction：{"action_type": "click", '
        '"box_2d": [[100,200,300,400]]}',
        '<think>Maybe [1,2,3,4].</think>\nMemory: two\nReason: It is there.\n'
        'Action: {"action_type": "click", "box_2d": [[100,200,300,400]]}',
    ],
)  # fmt: skip
def test_a_phones_reply_is_read(reply: str) -> None:
    read = read_reply("mobile", reply, SIZE)
    assert (read.memory, read.reason) == ("two", "It is there.")
    assert read.action is not None
    assert (read.action.type, read.action.args, read.action.target) == ("click", CLICK, (200, 150))
    assert read.notes == ()


@pytest.mark.parametrize(
    "reply",
    [
        f"I open the menu. {A}left_click(start_box='[149, 70]', element_info='Menu'){Z}\n"
        'Memory:\n[{"a": 1}]',
        "I open the menu.\nleft_click(start_box='[149, 70]', element_info='Menu')\n"
        'Memory:\n[{"a": 1}]',
        "I open the menu.\nAction: left_click(start_box='[149, 70]', element_info='Menu')\n"
        'Memory:\n[{"a": 1}]',
        "Thought: I open the menu.\nAction: left_click(start_box='[149, 70]', "
        "element_info='Menu')\n" 'Memory: [{"a": 1}]',
    ],
)  # fmt: skip
def test_a_pcs_reply_is_read_with_its_memory_after_the_action(reply: str) -> None:
    read = read_reply("pc", reply, SIZE)
    assert (read.memory, read.reason) == ('[{"a": 1}]', "I open the menu.")
    assert read.action is not None
    assert (read.action.type, read.action.target) == ("left_click", (149, 35))


@pytest.mark.parametrize(
    "frame",
    ["%s", "<answer>%s</answer>", "<think>Click [1]</think><answer>%s</answer>"],
)
@pytest.mark.parametrize(
    ("action", "kind", "args", "target"),
    [
        ("Click [1]", "Click", {"index": 1}, (200, 60)),
        ("Type [1]; [5$]", "Type", {"index": 1, "text": "5$"}, (200, 60)),
        ("Type [1]; hello", "Type", {"index": 1, "text": "hello"}, (200, 60)),
        ("Scroll [WINDOW]; [down]", "Scroll", {"index": "WINDOW", "direction": "down"}, None),
        ("Scroll [0]; [up]", "Scroll", {"index": 0, "direction": "up"}, (10, 5)),
        ("Key; [Return]", "Key", {"text": "Return"}, None),
        ("GoBack", "GoBack", {}, None),
        ("Wait", "Wait", {}, None),
        ("ANSWER; <content>4 of 5</content>", "ANSWER", {"text": "4 of 5"}, None),
        ("Click [7]", "Click", {"index": 7}, None),
    ],
)
def test_a_web_agents_reply_is_read(
    frame: str, action: str, kind: str, args: dict[str, Any], target: Any
) -> None:
    reply = frame % f'Thought: Here.\nAction: {action}\nMemory_Updated: {{"a": [1, 2]}}'
    read = read_reply("web", reply, SIZE, marks=MARKS)
    assert (read.reason, read.memory) == ("Here.", '{"a": [1, 2]}')
    assert read.action is not None
    assert (read.action.type, read.action.args, read.action.target) == (kind, args, target)
    assert read.boxes == ()


@pytest.mark.parametrize("platform", ["mobile", "pc", "web"])
@pytest.mark.parametrize(
    "reply",
    ["", "I cannot.", "<think>left_click(start_box='[1,2]')", "Memory: left_click(start_box=",
     "Action:", "Memory:", "Action: {", "Thought: a\nAction: Fly [3]"],
)  # fmt: skip
def test_a_reply_without_an_action_says_so(platform: Platform, reply: str) -> None:
    read = read_reply(platform, reply, SIZE)
    assert read.action is None
    assert any("no action" in note for note in read.notes)


def test_of_several_actions_the_first_counts_and_that_is_told() -> None:
    read = read_reply("pc", "left_click(start_box='[1,2]')\ntype(content='a')", SIZE)
    assert read.action is not None
    assert read.action.type == "left_click"
    assert "2 actions" in read.notes[0]


def test_the_box_that_answers_an_instruction_is_a_click_in_its_middle() -> None:
    reply = f"{A}[[100,200,300,400]]{Z}"
    read = read_reply("pc", reply, SIZE, by_instruction=True)
    assert read.action == Action("click", {}, target=(200, 150))
    assert [box.xyxy for box in read.boxes] == [(100, 100, 300, 200)]


def test_an_instruction_that_is_answered_in_words_has_no_action() -> None:
    read = read_reply("pc", "not found", SIZE, by_instruction=True)
    assert (read.action, read.reason) == (None, "not found")


@pytest.mark.parametrize(
    ("action", "how"),
    [
        (Action("status", {"goal_status": "complete"}), "done"),
        (Action("status", {"goal_status": "infeasible"}), "failed"),
        (Action("DONE", {}), "done"),
        (Action("fail", {}), "failed"),
        (Action("finish", {"message": "ok"}), "done"),
        (Action("ANSWER", {"text": "4"}), "done"),
        (Action("answer", {"text": "4"}), None),
        (Action("click", {}), None),
    ],
)
def test_what_ends_a_run_is_known(action: Action, how: str | None) -> None:
    assert ending(action) == how


def test_a_plan_has_one_instruction_a_line() -> None:
    plan = read_plan("1. Click on New\n\n  - Press the Save button \nType: Ada: x\nPress: ctrl+s\n")
    assert [(line.text, line.action) for line in plan] == [
        ("Click on New", None),
        ("Press the Save button", None),
        ("Type: Ada: x", Action("type", {"content": "Ada: x"})),
        ("Press: ctrl+s", Action("key", {"keys": "ctrl+s"})),
    ]
