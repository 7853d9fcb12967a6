"""A model's reply in, findings out: what ``/parse`` and the tool of that name share."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import gradio as gr
import pytest
from scripted_backend import BOX, END, ScriptedBackend

from model.backends.base import AnswerDelta, SamplingOptions
from model.processing import Limits
from ui.answering import Refused
from ui.api.parsing import MAX_IMAGES, MAX_TEXT_BYTES, call, read_reply
from ui.locate.handlers import Locate


def refusal(
    text: Any = BOX,
    image_sizes: Any = ((200, 100),),
    convention: Any = "glm",
    model_size: Any = None,
) -> str:
    with pytest.raises(Refused) as caught:
        read_reply(text, image_sizes, convention, model_size)
    return str(caught.value)


def test_a_reply_gives_boxes_answer_and_thought() -> None:
    result = call(f"<think>hm</think>There: {BOX}", [[200, 100]])
    assert result["boxes"] == [
        {"xyxy": [20, 20, 60, 40], "norm": [100, 200, 300, 400], "label": None, "image": 0}
    ]
    assert (result["thinking"], result["answer"]) == ("hm", "There: [[100,200,300,400]]")
    assert (result["image_sizes"], result["image_names"]) == ([[200, 100]], ["image 1"])
    assert json.loads(json.dumps(result)) == result


def test_the_result_has_what_locate_s_has(screenshot: str) -> None:
    locate = Locate(ScriptedBackend([AnswerDelta(BOX), END]), SamplingOptions(), Limits())
    located, _ = list(locate.call(screenshot, "Find", False))[-1]
    parsed = call(BOX, [[200, 100]])
    assert set(parsed) - {"convention"} == set(located) - {"usage"}
    assert parsed["boxes"] == located["boxes"]


def test_actions_come_with_their_targets() -> None:
    result = call("Action: click(start_box='[500,500,500,500]')", [[200, 100]], "auto")
    (action,) = result["actions"]
    assert (action["type"], action["target"]) == ("click", [100, 50])


def test_a_number_without_an_end_is_none() -> None:
    result = call('{"action_type": "wait", "duration": 1e999}', [[200, 100]])
    assert result["actions"][0]["args"] == {"duration": None}


@pytest.mark.parametrize(
    ("convention", "model_size", "found", "box"),
    [
        ("pixel", None, "pixel", [10, 20, 30, 40]),
        ("auto", None, "auto", [2, 2, 6, 4]),
        ("zai-org/GLM-4.5V", None, "glm", [2, 2, 6, 4]),
        ("Qwen/Qwen2.5-VL-7B-Instruct", [100, 50], "resized", [20, 40, 60, 80]),
        ("resized", [[100, 50]], "resized", [20, 40, 60, 80]),
    ],
)
def test_a_convention_or_a_model_says_what_the_numbers_count(
    convention: str, model_size: Any, found: str, box: list[float]
) -> None:
    result = read_reply('[{"bbox_2d": [10, 20, 30, 40]}]', [[200, 100]], convention, model_size)
    assert result["convention"] == found
    assert result["boxes"][0]["xyxy"] == box


@pytest.mark.parametrize("convention", ["pixle", "", None, 7, ["glm"]])
def test_a_convention_that_is_none_is_answered_with_those_there_are(convention: Any) -> None:
    assert "florence2, gemini, glm" in refusal(convention=convention)


def test_resized_asks_for_the_size_that_the_model_saw() -> None:
    assert "model_size" in refusal(convention="resized")


@pytest.mark.parametrize("sizes", [None, [], {}, "200x100", 5, [200, 100], [[200]], ["ab"]])
def test_sizes_that_are_none_are_refused(sizes: Any) -> None:
    assert "[width, height]" in refusal(image_sizes=sizes)


@pytest.mark.parametrize("side", [0, -1, 1.5, math.nan, math.inf, True, "9", None, 10**400])
def test_a_side_that_is_no_number_of_pixels_is_refused(side: Any) -> None:
    assert "whole pixels" in refusal(image_sizes=[[200, side]])
    assert "whole pixels" in refusal(convention="resized", model_size=[200, side])


def test_one_size_too_few_for_the_model_is_refused() -> None:
    said = refusal(image_sizes=[[9, 9], [9, 9]], convention="resized", model_size=[[9, 9]])
    assert "1 model sizes for 2 images" in said


def test_the_input_is_bounded() -> None:
    assert "1,000,002 bytes" in refusal("ü" * (MAX_TEXT_BYTES // 2 + 1))
    assert "1,001 images" in refusal(image_sizes=[[9, 9]] * (MAX_IMAGES + 1))
    assert len(refusal(image_sizes=["x" * 9999])) < 300


def test_the_largest_input_is_read() -> None:
    boxes = (f"[[{100 + n % 800},{100 + n // 800},950,950]]\n" for n in itertools.count())
    text = "".join(itertools.islice(boxes, MAX_TEXT_BYTES // 22))
    assert len(text) > 0.8 * MAX_TEXT_BYTES
    assert len(call(text, [[200, 100]] * MAX_IMAGES)["boxes"]) > 1000


@pytest.mark.parametrize("text", [None, 5, ["a"]])
def test_what_is_no_text_is_refused(text: Any) -> None:
    assert "text must be a string" in refusal(text)


def test_over_http_a_refusal_is_an_error_with_its_reason() -> None:
    with pytest.raises(gr.Error) as caught:
        call(BOX, [])
    assert "image_sizes must be" in caught.value.message
