"""Targets as numbers, files and lines of code."""

from __future__ import annotations

import ast
import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.targets.automation import to_adb, to_playwright, to_pyautogui
from ui.targets.exports import FORMATS, to_coco_file, to_json_file, write_lines
from ui.targets.target import Target

SIZE = (1280, 720)
BOX = Target(1, "Box", "box", "Save", box=(128, 72, 256.4, 144), at=(192.2, 108))
POINT = Target(2, "Point", "point", at=(640, 360), score=0.8765)
CLICK = Target(3, "left_click", "click", at=(10, 20))
DRAG = Target(4, "left_drag", "drag", at=(10, 20), end=(300, 400))
DOWN = Target(5, "scroll", "scroll", at=(640, 360), direction="down", steps=3)
TYPE = Target(6, "type", "type", text='it\'s "so"; rm -rf $HOME')


def lines(target: Target) -> dict[str, str]:
    return {
        key: found.get(target.number, "") for key, found in write_lines([target], [SIZE]).items()
    }


def test_a_box_in_every_format() -> None:
    assert lines(BOX) == {
        "pixels": "128, 72, 256, 144",
        "fractions": "0.1000, 0.1000, 0.2003, 0.2000",
        "thousandths": "100, 100, 200, 200",
        "json": '{"number": 1, "kind": "Box", "label": "Save", "image": 0, '
        '"xyxy": [128, 72, 256.4, 144], "norm": [100, 100, 200, 200]}',
        "pyautogui": "pyautogui.click(192, 108)",
        "playwright": "page.mouse.click(192, 108)",
        "adb": "adb shell input tap 192 108",
    }


def test_a_drag_in_every_language() -> None:
    found = lines(DRAG)
    assert found["pixels"] == "10, 20, 300, 400"
    assert found["pyautogui"] == (
        "pyautogui.moveTo(10, 20); pyautogui.dragTo(300, 400, duration=0.5)"
    )
    assert found["playwright"] == (
        "page.mouse.move(10, 20); page.mouse.down(); page.mouse.move(300, 400); page.mouse.up()"
    )
    assert found["adb"] == "adb shell input swipe 10 20 300 400 800"


@pytest.mark.parametrize(
    ("direction", "pyautogui", "playwright", "adb"),
    [
        ("down", "scroll(-3, ", "wheel(0, 300)", "640 360 640 180 300"),
        ("up", "scroll(3, ", "wheel(0, -300)", "640 360 640 540 300"),
        ("right", "hscroll(3, ", "wheel(300, 0)", "640 360 320 360 300"),
        ("left", "hscroll(-3, ", "wheel(-300, 0)", "640 360 960 360 300"),
    ],
)
def test_a_scroll_goes_its_way_and_a_finger_the_other(
    direction: str, pyautogui: str, playwright: str, adb: str
) -> None:
    target = Target(1, "scroll", "scroll", at=(640, 360), direction=direction, steps=3)
    assert to_pyautogui(target, SIZE) == f"pyautogui.{pyautogui}x=640, y=360)"
    assert to_playwright(target, SIZE) == f"page.mouse.move(640, 360); page.mouse.{playwright}"
    assert to_adb(target, SIZE) == f"adb shell input swipe {adb}"


def test_a_swipe_is_the_way_of_the_finger() -> None:
    target = Target(1, "swipe", "swipe", at=(640, 360), direction="up", steps=3)
    assert to_adb(target, SIZE).endswith("640 360 640 180 300")
    assert to_playwright(target, SIZE).endswith("wheel(0, 300)")


@pytest.mark.parametrize(
    ("gesture", "pyautogui", "playwright", "adb"),
    [
        ("double_click", "pyautogui.doubleClick(10, 20)", "page.mouse.dblclick(10, 20)", "&&"),
        ("right_click", "pyautogui.rightClick(10, 20)", 'button="right"', ""),
        ("middle_click", "pyautogui.middleClick(10, 20)", 'button="middle"', ""),
        ("hover", "pyautogui.moveTo(10, 20)", "page.mouse.move(10, 20)", ""),
        ("long_press", "pyautogui.mouseDown(10, 20)", "delay=1000", "10 20 10 20 1000"),
        ("other", "", "", ""),
    ],
)
def test_other_clicks(gesture: str, pyautogui: str, playwright: str, adb: str) -> None:
    target = Target(1, "x", gesture, at=(10, 20))  # type: ignore[arg-type]
    for written, part in (
        (to_pyautogui(target, SIZE), pyautogui),
        (to_playwright(target, SIZE), playwright),
        (to_adb(target, SIZE), adb),
    ):
        assert part in written
        assert bool(part) == bool(written)


@pytest.mark.parametrize(
    ("keys", "pyautogui", "playwright", "adb"),
    [
        ("ctrl+c", "pyautogui.hotkey('ctrl', 'c')", "page.keyboard.press('Control+c')", ""),
        ("enter", "pyautogui.hotkey('enter')", "page.keyboard.press('Enter')", "KEYCODE_ENTER"),
        ("", "", "", ""),
    ],
)
def test_keys(keys: str, pyautogui: str, playwright: str, adb: str) -> None:
    target = Target(1, "key", "keys", text=keys)
    assert to_pyautogui(target, SIZE) == pyautogui
    assert to_playwright(target, SIZE) == playwright
    assert to_adb(target, SIZE) == (f"adb shell input keyevent {adb}" if adb else "")


@given(st.text())
def test_text_of_a_model_stays_one_string_in_code(text: str) -> None:
    target = Target(1, "type", "type", text=text)
    for written in (to_pyautogui(target, SIZE), to_playwright(target, SIZE)):
        (call,) = ast.parse(written).body
        assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
        (argument,) = call.value.args
        assert ast.literal_eval(argument) == text


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_text_of_a_model_stays_one_word_of_both_shells(text: str) -> None:
    program, shell, on_device = shlex.split(to_adb(Target(1, "t", "type", text=text), SIZE))
    assert (program, shell) == ("adb", "shell")
    assert shlex.split(on_device) == ["input", "text", text.replace(" ", "%s")]


def test_a_click_stays_inside_of_the_picture() -> None:
    corner = Target(1, "Point", "point", at=(1280, 720))
    assert to_pyautogui(corner, SIZE) == "pyautogui.click(1279, 719)"


def test_what_cannot_be_said_has_no_line() -> None:
    found = write_lines([Target(1, "wait", "other"), CLICK], [SIZE])
    assert set(found) == {key for key, _, _ in FORMATS}
    assert found["pixels"] == {3: "10, 20"}
    assert found["adb"] == {3: "adb shell input tap 10 20"}


def test_the_json_file_names_the_images_and_all_targets() -> None:
    described = json.loads(to_json_file([BOX, POINT, TYPE], [SIZE], ["画面.png"]))
    assert described["images"] == [{"index": 0, "name": "画面.png", "width": 1280, "height": 720}]
    assert [target["number"] for target in described["targets"]] == [1, 2, 6]
    assert described["targets"][1]["xy"] == [640, 360]
    assert described["targets"][1]["score"] == 0.8765
    assert "xy" not in described["targets"][2]


def test_the_coco_file_has_boxes_by_size_and_places_as_keypoints() -> None:
    again = Target(7, "Box", "box", "Save", 1, 0.5, box=(0, 0, 10, 20), at=(5, 10))
    described = json.loads(
        to_coco_file([BOX, POINT, DOWN, TYPE, again], [SIZE, (100, 50)], ["a.png", "b.png"])
    )
    assert [image["id"] for image in described["images"]] == [1, 2]
    assert [category["name"] for category in described["categories"]] == ["Save", "point", "scroll"]
    box, point, scroll, other = described["annotations"]
    assert box == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [128, 72, 128.4, 72],
        "area": 9244.8,
    }
    assert (point["keypoints"], point["num_keypoints"]) == ([640, 360, 2], 1)
    assert scroll["category_id"] == 3
    assert (other["image_id"], other["category_id"], other["score"]) == (2, 1, 0.5)
