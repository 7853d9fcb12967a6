"""Actions of every language become what a mouse and a keyboard do."""

from __future__ import annotations

from typing import Any

import pytest

from agent.commands import Command, NotPossible, to_commands, to_keys
from grounding import Action

SIZE = (1000, 500)
AT = (20.0, 30.0)


@pytest.mark.parametrize(
    ("action", "commands"),
    [
        (Action("click", {}, AT), [Command("click", AT)]),
        (Action("left_click", {}, AT), [Command("click", AT)]),
        (Action("Tap", {}, AT), [Command("click", AT)]),
        (Action("right_click", {}, AT), [Command("click", AT, button="right")]),
        (Action("middle_click", {}, AT), [Command("click", AT, button="middle")]),
        (Action("left_double_click", {}, AT), [Command("click", AT, count=2)]),
        (Action("long_press", {}, AT), [Command("click", AT, hold_s=0.8)]),
        (Action("hover", {}, AT), [Command("move", AT)]),
        (Action("left_drag", {}, AT, (5, 6)), [Command("drag", AT, (5, 6))]),
        (Action("Swipe", {}, AT, (5, 6)), [Command("drag", AT, (5, 6))]),
        (Action("swipe", {"direction": "up"}), [Command("scroll", delta=(0, 300))]),
        (Action("swipe", {"direction": "left"}, AT), [Command("scroll", AT, delta=(600, 0))]),
        (Action("scroll", {"direction": "down", "step": 3}, AT),
         [Command("scroll", AT, delta=(0, 300))]),
        (Action("Scroll", {"index": "WINDOW", "direction": "up"}),
         [Command("scroll", delta=(0, -500))]),
        (Action("type", {"content": "a b"}), [Command("type", text="a b")]),
        (Action("input_text", {"text": "a", "override": True}, AT),
         [Command("click", AT), Command("press", text="Control+a"),
          Command("press", text="Delete"), Command("type", text="a"),
          Command("press", text="Enter")]),
        (Action("input_text", {"text": "a", "override": False}, AT),
         [Command("click", AT), Command("type", text="a"), Command("press", text="Enter")]),
        (Action("Type", {"index": 1, "text": "a"}, AT),
         [Command("click", AT), Command("press", text="Control+a"),
          Command("press", text="Delete"), Command("type", text="a"),
          Command("press", text="Enter")]),
        (Action("key", {"keys": "ctrl+shift+t"}), [Command("press", text="Control+Shift+t")]),
        (Action("Key", {"text": "Return"}), [Command("press", text="Enter")]),
        (Action("keyboard_enter", {}), [Command("press", text="Enter")]),
        (Action("navigate_back", {}), [Command("back")]),
        (Action("GoBack", {}), [Command("back")]),
        (Action("navigate_home", {}), [Command("home")]),
        (Action("WAIT", {}), [Command("wait", hold_s=5)]),
        (Action("answer", {"text": "4"}), []),
    ],
)  # fmt: skip
def test_an_action_becomes_commands(action: Action, commands: list[Command]) -> None:
    assert list(to_commands(action, SIZE)) == commands


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action("open_app", {"app_name": "Clock"}), "open_app is not possible"),
        (Action("Bing", {}), "not possible"),
        (Action("click", {}), "does not say where"),
        (Action("Click", {"index": 99}), "names nothing"),
        (Action("key", {"keys": "ctrl+nokey"}), "no key"),
        (Action("scroll", {"direction": "sideways"}), "no direction"),
    ],
)
def test_what_a_page_cannot_do_is_named(action: Action, words: str) -> None:
    with pytest.raises(NotPossible, match=words):
        to_commands(action, SIZE)


@pytest.mark.parametrize(
    ("written", "named"),
    [("ctrl+c", "Control+c"), ("ctrl c", "Control+c"), ("Return", "Enter"), ("esc", "Escape"),
     ("f5", "F5"), ("a", "a"), ("+", "+"), ("page_down", "PageDown")],
)  # fmt: skip
def test_keys_get_the_browsers_names(written: str, named: str) -> None:
    assert to_keys(written) == named


@pytest.mark.parametrize("steps", [10**9, -(10**9), "many", None])
def test_a_scroll_has_a_limit(steps: Any) -> None:
    (command,) = to_commands(Action("scroll", {"direction": "down", "step": steps}), SIZE)
    assert 0 < command.delta[1] <= 5000
