"""The prompts keep the form that GLM-4.5V's agents were trained on."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from PIL import Image

from agent import PLATFORMS, Run, Step, build_messages
from agent.marks import Mark
from agent.steps import Platform
from grounding import Action

SCREEN = Image.new("RGB", (200, 100), "white")
ROLE = "You are a GUI Agent, and your primary task is to respond accurately to user requests"


def step(action: Action | None, reason: str = "because", memory: str = "") -> Step:
    return Step(SCREEN, memory, reason, action, "")


def content(platform: Platform, *steps: Step, **more: Any) -> list[dict[str, Any]]:
    run = Run(platform, "Do <<history>> {x}", steps=steps)
    (message,) = build_messages(run, SCREEN, **more)
    assert message["role"] == "user"
    return message["content"]


def text(platform: Platform, *steps: Step, **more: Any) -> str:
    """All texts of the prompt, with <image> where an image is."""
    parts = content(platform, *steps, **more)
    return "".join(part.get("text", "<image>") for part in parts)


def section(prompt: str, title: str) -> str:
    match = re.search(rf"^# {title}\n(.*?)(?=^# |\Z)", prompt, re.S | re.M)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_sections_come_in_the_trained_order(platform: Platform) -> None:
    prompt = text(platform).replace("<image>", "")
    assert prompt.startswith(ROLE)
    assert re.findall(r"^# (.+)$", prompt, re.M)[:5] == [
        "Task:",
        "Task Platform",
        "Action Space",
        "Historical Actions and Current Memory",
        "Output Format",
    ]
    names = {"mobile": "Mobile", "pc": "Ubuntu", "web": "Web"}
    assert section(prompt, "Task Platform").strip() == names[platform]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_goal_that_looks_like_a_template_stays_as_it_is(platform: Platform) -> None:
    assert "Do <<history>> {x}" in section(text(platform).replace("<image>", ""), "Task:")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_placeholder_is_left(platform: Platform) -> None:
    assert re.findall(r"<<\w+>>", text(platform)) == ["<<history>>"]  # the goal's own


def test_the_image_comes_first_and_on_the_pc_last() -> None:
    assert [part["type"] for part in content("mobile")] == ["image", "text"]
    assert [part["type"] for part in content("web")] == ["image", "text"]
    assert [part["type"] for part in content("pc")] == ["text", "image"]
    assert text("pc").endswith("Current Screenshot:\n<image>")


def test_the_phone_has_its_eleven_actions_with_valid_schemas() -> None:
    space = section(text("mobile"), "Action Space")
    names = re.findall(r"^### (\w+)$", space, re.M)
    assert names == [
        *("status", "answer", "click", "long_press", "input_text", "keyboard_enter"),
        *("navigate_home", "navigate_back", "swipe", "open_app", "wait"),
    ]
    schemas = re.findall(r"^\{\n.*?^\}$", space, re.S | re.M)
    assert [json.loads(schema)["name"] for schema in schemas] == names
    rules = re.findall(r'^Calling rule: `\{"action_type": "(\w+)"', space, re.M)
    assert rules == names
    assert '{"action_type": "click", "box_2d": [[xmin,ymin,xmax,ymax]]}' in space


def test_the_pc_has_its_actions_with_their_calls() -> None:
    assert re.findall(r"^Call rule: `(.+)`$", section(text("pc"), "Action Space"), re.M) == [
        "{left,right,middle}_click(start_box='[x,y]', element_info='')",
        "hover(start_box='[x,y]', element_info='')",
        "left_double_click(start_box='[x,y]', element_info='')",
        "left_drag(start_box='[x1,y1]', end_box='[x2,y2]', element_info='')",
        "key(keys='')",
        "type(content='')",
        "scroll(start_box='[x,y]', direction='', step=5, element_info='')",
        "WAIT()",
        "DONE()",
        "FAIL()",
    ]


def test_the_web_has_its_actions() -> None:
    assert re.findall(r"^    - (\S+)", section(text("web"), "Action Space"), re.M) == [
        *("Click", "Type", "Scroll", "Wait.", "GoBack.", "Bing.", "ANSWER;", "Key;"),
    ]


@pytest.mark.parametrize(
    ("platform", "form"),
    [
        ("mobile", 'Memory: ...\nReason: ...\nAction: {"action_type":...}\n'),
        ("pc", "Plain text explanation with action(param='...')\nMemory:\n"
               '[{"key": "value"}, ...]\n'),
        ("web", "\nThought: {Your brief thoughts"),
    ],
)  # fmt: skip
def test_the_output_format_is_the_trained_one(platform: Platform, form: str) -> None:
    assert form in section(text(platform), "Output Format")


def test_a_phone_that_just_started_says_so() -> None:
    history = section(text("mobile"), "Historical Actions and Current Memory")
    assert history == "You just started, no action has been performed yet.\n\n"


def test_earlier_steps_of_a_phone_are_told_as_in_the_vendors_example() -> None:
    opened = step(Action("open_app", {"app_name": "Broccoli"}), "It is not on the screen.")
    clicked = step(Action("click", {"box_2d": [[1, 2, 3, 4]]}), "Next.", "two recipes")
    history = section(text("mobile", opened, clicked), "Historical Actions and Current Memory")
    assert history == (
        "Step 0:\nMemory: None\nReason: It is not on the screen.\n"
        "Action: {'action_type': 'open_app', 'app_name': 'Broccoli'}\n\n"
        "Step 1:\nMemory: two recipes\nReason: Next.\n"
        "Action: {'action_type': 'click', 'box_2d': [[1, 2, 3, 4]]}\n\n\n"
    )


def click(number: int) -> Step:
    args = {"start_box": f"[{number}, 9]", "element_info": "OK button"}
    return step(Action("left_click", args), f"Thought {number}.", f"[{number}]")


def test_a_pc_without_history_has_an_empty_memory() -> None:
    history = section(text("pc"), "Historical Actions and Current Memory")
    assert history == "History:\nMemory:\n[]\n"


def test_the_newest_four_steps_of_a_pc_have_their_screenshots_at_half_size() -> None:
    steps = [click(number) for number in range(1, 7)]
    prompt = text("pc", *steps)
    expected = "History:"
    for number in range(1, 7):
        shown = "(Omitted in context.)" if number < 3 else "<image>"
        expected += (
            f"\nstep {number}: Screenshot:{shown} Thought: Thought {number}.\n"
            f"Action: left_click(start_box='[{number}, 9]', element_info='OK button')"
        )
    assert section(prompt, "Historical Actions and Current Memory") == (
        f"{expected}\nMemory:\n[6]\n"
    )
    images = [part["image"] for part in content("pc", *steps) if part["type"] == "image"]
    assert [image.size for image in images] == [(100, 50)] * 4 + [(200, 100)]


def test_the_web_prompt_names_page_time_elements_and_earlier_steps() -> None:
    typed = step(Action("Type", {"index": 2, "text": "glm"}), "Search.", '{"a": 1}')
    prompt = text(
        "web",
        typed,
        elements=[Mark("a", "Learn  more", (0, 0, 9, 9)), Mark("button", "Close", (0, 0, 9, 9))],
        address="http://127.0.0.1:8000/",
        now=datetime(2026, 3, 1, 15, 20),
    )
    assert "Please interact with http://127.0.0.1:8000/ and get the answer" in prompt
    assert "The current time in Beijing is 2026-03-01, 03:00 PM." in prompt
    assert '[0]: "Learn more";\t[1]: <button> "Close";' in prompt
    assert section(prompt, "Historical Actions and Current Memory") == (
        "You have **already performed the following actions** "
        "(format: Thought,Action,The Observation after the Action):\n"
        "0.Thought:Search.        Action:Type [2]; [glm]        Observation:Success\n\n\n"
        'The "Memory" in the current step as follow:\nMemory:{"a": 1}\n\n'
    )


def test_an_instruction_is_asked_as_it_is() -> None:
    assert text("mobile", instruction="Click on Save") == "<image>Click on Save"
