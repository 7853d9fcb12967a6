"""Grounding's handlers: a screenshot and an instruction in, boxes out."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from scripted_backend import END, ScriptedBackend

from model.backends.base import AnswerDelta, BackendError, SamplingOptions, ThinkingDelta
from model.processing import Limits
from ui.locate.handlers import Locate, LocateView

BOXED = AnswerDelta("<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>")


def show(image: str | None, instruction: str, *script: Any) -> list[LocateView]:
    locate = Locate(ScriptedBackend(script), SamplingOptions(), Limits())
    return list(locate.show(image, instruction, True, False))


def view(shown: LocateView) -> dict[str, Any]:
    """Return what the overlay draws."""
    data = re.search(r'data-view="([^"]*)"', shown.overlay)
    assert data is not None
    return json.loads(unescape(data[1]))


def test_the_screenshot_is_there_first_and_the_box_in_the_end(screenshot: str) -> None:
    views = show(screenshot, "Click on Save", ThinkingDelta("hm"), BOXED, END)
    first, last = views[0], views[-1]
    (page,), (marked,) = view(first)["pages"], view(last)["pages"]
    assert (page["width"], page["height"], page["targets"]) == (200, 100, [])
    assert marked["src"] == page["src"]
    assert [target["box"] for target in marked["targets"]] == [[20, 20, 60, 40]]
    assert (last.answer, last.thought) == ("[[\\[100,200,300,400\\]](#target-1)]", "hm")


def test_the_table_has_the_box_in_pixels_and_in_thousandths(screenshot: str) -> None:
    last = show(screenshot, "Click on Save", BOXED, END)[-1]
    assert "<td>20, 20, 60, 40</td><td>100, 200, 300, 400</td>" in last.table


def test_a_label_from_the_model_is_escaped_in_the_table(screenshot: str) -> None:
    text = '[{"bbox_2d": [100, 200, 300, 400], "label": "<img src=x>"}]'
    last = show(screenshot, "Find", AnswerDelta(text), END)[-1]
    assert "&lt;img src=x&gt;" in last.table
    assert "<img" not in last.table


def test_an_answer_without_a_box_shows_the_bare_screenshot(screenshot: str) -> None:
    last = show(screenshot, "Click on Save", AnswerDelta("not found"), END)[-1]
    assert (last.answer, last.table) == ("not found", "")
    assert [page["targets"] for page in view(last)["pages"]] == [[]]


@pytest.mark.parametrize(
    ("with_image", "instruction", "words"),
    [(False, "Click on Save", "screenshot"), (True, " ", "what to find")],
)
def test_what_is_missing_is_asked_for(
    screenshot: str, with_image: bool, instruction: str, words: str
) -> None:
    (view,) = show(screenshot if with_image else None, instruction, BOXED, END)
    assert words in view.notice


def test_a_broken_screenshot_is_named(screenshot: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("this is text")
    (view,) = show(str(broken), "Click on Save", BOXED, END)
    assert "broken.png" in view.notice


def test_a_refusal_is_shown_as_a_notice(screenshot: str) -> None:
    last = show(screenshot, "Click on Save", BackendError("still loading"))[-1]
    assert last.notice == "Still loading."


def test_a_screenshot_beyond_the_operators_limit_is_refused(screenshot: str) -> None:
    locate = Locate(ScriptedBackend([END]), SamplingOptions(), Limits(max_pixels=200 * 100 - 1))
    last = list(locate.show(screenshot, "Click on Save", False, False))[-1]
    assert "screen.png" in last.notice
    assert "19,999" in last.notice
    with pytest.raises(gr.Error, match="19,999"):
        list(locate.call(screenshot, "Click on Save", False))


def test_over_http_the_result_comes_with_its_picture(screenshot: str) -> None:
    locate = Locate(ScriptedBackend([BOXED, END]), SamplingOptions(), Limits())
    result, picture = list(locate.call(screenshot, "Click on Save", False))[-1]
    assert result["boxes"] == [
        {"xyxy": [20, 20, 60, 40], "norm": [100, 200, 300, 400], "label": None, "image": 0}
    ]
    assert result["image_sizes"] == [[200, 100]]
    assert Image.open(picture).format == "PNG"


def test_over_http_a_missing_instruction_is_an_error() -> None:
    locate = Locate(ScriptedBackend([END]), SamplingOptions(), Limits())
    with pytest.raises(gr.Error, match="Attach a screenshot"):
        list(locate.call(None, "Click on Save", False))
