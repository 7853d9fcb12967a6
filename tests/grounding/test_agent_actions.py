from __future__ import annotations

from typing import Any

import pytest

from grounding import parse

SIZE = (2000, 1000)
A, Z = "<|begin_of_box|>", "<|end_of_box|>"


def actions(text: str) -> list[tuple[str, dict[str, Any], Any, Any]]:
    return [(a.type, a.args, a.target, a.end) for a in parse(text, [SIZE]).actions]


@pytest.mark.parametrize(
    ("call", "args", "target"),
    [
        ("left_click(start_box='[100,200]', element_info='Save')",
         {"start_box": "[100,200]", "element_info": "Save"}, (200, 200)),
        ('left_click(start_box="[100, 200]", element_info="Save")',
         {"start_box": "[100, 200]", "element_info": "Save"}, (200, 200)),
        ("left_click(start_box=[100,200], element_info='')",
         {"start_box": [100, 200], "element_info": ""}, (200, 200)),
        ("right_click(start_box='[[100,200]]')", {"start_box": "[[100,200]]"}, (200, 200)),
        ("middle_click(start_box='(100,200)')", {"start_box": "(100,200)"}, (200, 200)),
        ("hover(start_box='<point>100 200</point>')",
         {"start_box": "<point>100 200</point>"}, (200, 200)),
        ("left_double_click(start_box='100,200')", {"start_box": "100,200"}, (200, 200)),
        ("left_click（start_box='［１００，２００］'）",
         {"start_box": "［１００，２００］"}, (200, 200)),
        ("scroll(start_box='[100,200]', direction='down', step=5, element_info='')",
         {"start_box": "[100,200]", "direction": "down", "step": 5, "element_info": ""},
         (200, 200)),
        ("key(keys='ctrl+c')", {"keys": "ctrl+c"}, None),
        ("type(content='it's (50%), [ok] \"really\"')",
         {"content": "it's (50%), [ok] \"really\""}, None),
        ("type(content='print('hi')')", {"content": "print('hi')"}, None),
        (r"type(content='line\nit\'s')", {"content": "line\nit's"}, None),
        ("left_click(start_box='[100,200]', element_info='the 'OK' button, (big)')",
         {"start_box": "[100,200]", "element_info": "the 'OK' button, (big)"}, (200, 200)),
        ("WAIT()", {}, None),
        ("DONE()", {}, None),
        ("fail()", {}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "frame", ["%s", f"I click it. {A}%s{Z}\nMemory:\n[1, 2, 3, 4]", "Action: %s"]
)
def test_a_pc_agent_call_is_read_with_its_own_names(
    frame: str, call: str, args: dict[str, Any], target: Any
) -> None:
    name = call.replace("（", "(").split("(")[0]
    assert actions(frame % call) == [(name, args, target, None)]


def test_a_drag_has_a_target_and_an_end() -> None:
    text = "left_drag(start_box='[100,200]', end_box='[300,400]', element_info='card')"
    ((_, _, target, end),) = actions(text)
    assert (target, end) == ((200, 200), (600, 400))


def test_four_numbers_aim_at_the_centre_and_keep_the_box() -> None:
    result = parse(f"{A}left_click(start_box='[100,200,300,400]'){Z}", [SIZE])
    assert result.actions[0].target == (400, 300)
    assert [box.xyxy for box in result.boxes] == [(200, 200, 600, 400)]


def test_all_actions_of_a_reply_come_in_order() -> None:
    text = "left_click(start_box='[1,2]')\ntype(content='a')\nkey(keys='enter') DONE()"
    assert [name for name, *_ in actions(text)] == ["left_click", "type", "key", "DONE"]


def test_a_last_word_and_the_line_of_an_action_before_it_both_count() -> None:
    text = "Action: WAIT\nThen I stop.\nDONE\nMemory:\n[]"
    assert [name for name, *_ in actions(text)] == ["WAIT", "DONE"]


@pytest.mark.parametrize("word", ["DONE", "done", "WAIT", "fail"])
@pytest.mark.parametrize(
    "frame",
    [
        "%s",
        f"Finished. {A}%s{Z}",
        "Action: %s\nMemory: none",
        "I'll wait.\n%s\nMemory:\n[]",
        "I'll wait.\n\n  %s\n\n**Memory:** [[1,2,30,40]]",
    ],
)
def test_a_bare_word_alone_is_an_action(frame: str, word: str) -> None:
    assert actions(frame % word) == [(word, {}, None, None)]


@pytest.mark.parametrize(
    "text",
    [
        "I am done (see above).",
        "Wait (a moment), then type(x) is int.",
        "sorted(names, key=len) and done() in code",
        "Done.",
        "The buttons say:\nCANCEL\nDONE",
        "It says\nDONE\nbelow.\nMemory:\n[]",
        "I am done\nMemory:\n[]",
        "Memory: left_click(start_box='[1,2]')",
        "<think>left_click(start_box='[1,2]')</think>ok",
    ],
)
def test_prose_code_and_notes_are_no_actions(text: str) -> None:
    assert actions(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "left_click(start_box='[100,20",
        "left_click(start_box='[100,200]'",
        "left_click(start_box='[100,200]', element_info='Sa",
        'Action: {"action_type": "click", "box_2d": [[1,2,3,4]]',
    ],
)
def test_a_cut_action_is_not_used_and_noted(text: str) -> None:
    result = parse(text, [SIZE])
    assert (result.actions, result.boxes, len(result.notes)) == ([], [], 1)


def test_an_action_out_of_range_has_no_target() -> None:
    result = parse("left_click(start_box='[1800,200]')", [SIZE])
    assert result.actions[0].target is None
    assert "far outside" in result.notes[0]


@pytest.mark.parametrize(
    ("json", "kind", "args", "target"),
    [
        ('{"action_type": "click", "box_2d": [[100,200,300,400]]}', "click",
         {"box_2d": [[100, 200, 300, 400]]}, (400, 300)),
        ("{'action_type': 'input_text', 'text': 'it''s', 'box_2d': [[100,200,300,400]], "
         "'override': True}", "input_text",
         {"text": "it''s", "box_2d": [[100, 200, 300, 400]], "override": True}, (400, 300)),
        ('{"action_type": "swipe", "direction": "up"}', "swipe", {"direction": "up"}, None),
        ('{"action_type": "answer", "text": "[1, 2]"}', "answer", {"text": "[1, 2]"}, None),
        ('{"action_type": "status", "goal_status": "complete"}', "status",
         {"goal_status": "complete"}, None),
        ('{"action_type": "open_app", "app_name": "设置"}', "open_app", {"app_name": "设置"}, None),
        ('{"action_type": "navigate_back"}', "navigate_back", {}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "frame",
    [
        "Memory: seen [[5, 6, 70, 80]]\nReason: near [[1, 2, 30, 40]]\nAction: %s",
        f"Memory: none\nReason: ok\nAction: {A}%s{Z}",
        f"{A}Memory: [[5, 6, 70, 80]]\nReason: ok\nAction: %s{Z}",
        "Action: ```json\n%s\n```",
        "**Action:** %s",
    ],
)
def test_a_mobile_action_is_read_and_its_notes_are_not(
    frame: str, json: str, kind: str, args: dict[str, Any], target: Any
) -> None:
    result = parse(frame % json, [SIZE])
    assert [(a.type, a.args, a.target) for a in result.actions] == [(kind, args, target)]
    assert [box.xyxy for box in result.boxes] == ([(200, 200, 600, 400)] if target else [])


@pytest.mark.parametrize(
    ("call", "kind", "args", "target", "end"),
    [
        ('do(action="Tap", element=[100,200])', "Tap", {"element": [100, 200]}, (200, 200), None),
        ('do(action="Swipe", start=[100,200], end=[300,400])', "Swipe",
         {"start": [100, 200], "end": [300, 400]}, (200, 200), (600, 400)),
        ('do(action="Type", text="a, (b)")', "Type", {"text": "a, (b)"}, None, None),
        ('finish(message="All "done".")', "finish", {"message": 'All "done".'}, None, None),
    ],
)  # fmt: skip
def test_an_autoglm_phone_action_is_read(
    call: str, kind: str, args: dict[str, Any], target: Any, end: Any
) -> None:
    for close in ("</think>", ""):
        text = f"<think>maybe [1,2]{close}<answer>{call}</answer>"
        assert actions(text) == [(kind, args, target, end)]
        assert parse(text, [SIZE]).answer == call
        assert parse(text, [SIZE]).thinking == "maybe [1,2]"
