"""Targets: numbered through, and each action known for what it does."""

from __future__ import annotations

import pytest

from grounding import Action, Box, Point, Result
from ui.targets.target import Gesture, list_targets, on_picture


def test_boxes_points_and_actions_are_numbered_through() -> None:
    result = Result(
        boxes=[Box(1, 2, 3, 4, "Save"), Box(5, 6, 7, 8, image_index=1)],
        points=[Point(9, 9)],
        actions=[Action("wait", {}), Action("left_click", {}, target=(2, 3))],
    )
    targets = list_targets(result)
    assert [target.number for target in targets] == [1, 2, 3, 4, 5]
    assert [target.kind for target in targets] == ["Box", "Box", "Point", "wait", "left_click"]
    assert [target.at for target in targets] == [(2, 3), (6, 7), (9, 9), None, (2, 3)]
    assert [target.number for target in on_picture(targets, 0)] == [1, 3, 5]
    assert [target.number for target in on_picture(targets, 1)] == [2]


@pytest.mark.parametrize(
    ("name", "gesture"),
    [
        ("left_click", "click"),
        ("Tap", "click"),
        ("left_double_click", "double_click"),
        ("Double Tap", "double_click"),
        ("right_click", "right_click"),
        ("middle_click", "middle_click"),
        ("Long Press", "long_press"),
        ("long_press", "long_press"),
        ("hover", "hover"),
        ("left_drag", "drag"),
        ("scroll", "scroll"),
        ("type", "type"),
        ("input_text", "type"),
        ("key", "keys"),
        ("keyboard_enter", "keys"),
        ("WAIT", "other"),
        ("Launch", "other"),
    ],
)
def test_actions_of_all_agents_are_known_for_what_they_do(name: str, gesture: Gesture) -> None:
    (target,) = list_targets(Result(actions=[Action(name, {}, target=(1, 1))]))
    assert target.gesture == gesture


def test_a_swipe_between_two_places_is_a_drag_and_one_in_a_direction_is_not() -> None:
    drag, swipe = list_targets(
        Result(
            actions=[
                Action("Swipe", {}, target=(1, 1), end=(5, 5)),
                Action("swipe", {"direction": "Up"}, target=(1, 1)),
            ]
        )
    )
    assert (drag.gesture, drag.end) == ("drag", (5, 5))
    assert (swipe.gesture, swipe.direction) == ("swipe", "up")


@pytest.mark.parametrize(("steps", "expected"), [(3, 3), (0, 5), (10**9, 5), ("many", 5), (-2, 5)])
def test_a_scroll_of_no_sensible_length_has_the_usual_one(steps: object, expected: int) -> None:
    action = Action("scroll", {"direction": "down", "step": steps}, target=(1, 1))
    assert list_targets(Result(actions=[action]))[0].steps == expected


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (Action("type", {"content": "a b"}), "a b"),
        (Action("input_text", {"text": "hi"}), "hi"),
        (Action("key", {"keys": "ctrl+c"}), "ctrl+c"),
        (Action("key", {"keys": ["ctrl", "c"]}), "ctrl+c"),
        (Action("keyboard_enter", {}), "enter"),
        (Action("left_click", {"text": "Save"}), ""),
    ],
)
def test_what_is_typed_or_pressed_is_known(action: Action, text: str) -> None:
    assert list_targets(Result(actions=[action]))[0].text == text
