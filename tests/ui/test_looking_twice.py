"""Looking twice: the second answer counts in its part, and is shown in the whole."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from scripted_backend import END, ScriptedBackend

from model.backends.base import (
    AnswerDelta,
    BackendError,
    Event,
    Message,
    SamplingOptions,
    TokenProbability,
)
from model.processing import Limits
from ui.locate.handlers import Locate, LocateView

BLUE = (0, 0, 255)
BUTTON = (600, 400, 640, 416)  # in a screen of 1000 x 800


@dataclass
class Finds(ScriptedBackend):
    """Points at what is blue, with numbers as the model writes them; to one look only, if told."""

    looks: list[tuple[int, int]] = field(default_factory=list)
    only_first: Event | Exception | None = None
    sure: tuple[float, ...] = ()  # how sure of each look
    form: str = "[[{0},{1},{2},{3}]]"  # of the answer

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        image = messages[-1]["content"][0]["image"]
        self.looks.append(image.size)
        if len(self.looks) > 1 and self.only_first is not None:
            if isinstance(self.only_first, Exception):
                raise self.only_first
            yield self.only_first
        else:
            blue = image.convert("RGB").point(lambda v: 255 if v > 200 else 0).split()[0]
            x0, y0, x1, y1 = blue.point(lambda v: 255 - v).getbbox()
            numbers = [
                round(1000 * value / side)
                for value, side in zip((x0, y0, x1, y1), image.size * 2, strict=True)
            ]
            yield AnswerDelta(self.form.format(*numbers))
        tokens = ()
        if self.sure:
            text = f"[[{','.join(map(str, numbers))}]]"
            tokens = (TokenProbability(text, math.log(self.sure[(len(self.looks) - 1) % 2])),)
        yield replace(END, tokens=tokens)


@pytest.fixture
def screenshot(tmp_path: Path) -> str:
    image = Image.new("RGB", (1000, 800), "white")
    x0, y0, x1, y1 = BUTTON
    ImageDraw.Draw(image).rectangle((x0, y0, x1 - 1, y1 - 1), fill=BLUE)
    image.save(tmp_path / "screen.png")
    return str(tmp_path / "screen.png")


def locate(backend: ScriptedBackend, image: str, *, twice: bool) -> tuple[list[LocateView], Any]:
    """Return what the page shows, and what a program gets."""
    tab = Locate(backend, SamplingOptions(), Limits())
    shown = list(tab.show(image, "the button", False, twice))
    return shown, list(tab.call(image, "the button", False, twice))[-1][0]


def test_the_second_look_is_at_a_part_and_its_box_is_in_the_whole(screenshot: str) -> None:
    backend = Finds()
    shown, result = locate(backend, screenshot, twice=True)
    whole, part = backend.looks[:2]
    assert whole == (1000, 800)
    assert part[0] < 700
    assert part[1] < 600
    (box,) = result["boxes"]
    assert box["xyxy"] == pytest.approx(BUTTON, abs=1)
    assert f"{part[0]} x {part[1]} pixels" in result["notes"][0]
    assert any("Looking again" in view.notice for view in shown)
    assert "Looking again" not in shown[-1].notice


def test_without_it_there_is_one_look(screenshot: str) -> None:
    backend = Finds()
    _, result = locate(backend, screenshot, twice=False)
    assert backend.looks == [(1000, 800)] * 2  # one for the page, one for the program
    assert result["notes"] == []


@pytest.mark.parametrize(
    ("form", "model", "answer"),
    [
        ("There: [[{0},{1},{2},{3}]].", "glm-4.5v", "There: [[#,#,#,#]]."),
        (
            '[{{"box_2d": [{1}, {0}, {3}, {2}], "label": "Save"}}]',
            "gemini",
            '[{"box_2d": [#,#,#,#], "label": "Save"}]',
        ),
        (
            "<|box_start|>({0},{1}),({2},{3})<|box_end|>",
            "qwen3-vl",
            "<|box_start|>[#,#,#,#]<|box_end|>",
        ),
        ("left_click(start_box='[{0},{1}]')", "glm-4.5v", "[[#,#]]"),
    ],
)
def test_the_second_answer_is_told_in_the_whole(
    screenshot: str, form: str, model: str, answer: str
) -> None:
    backend = Finds(form=form)
    backend.model_name = model
    shown, result = locate(backend, screenshot, twice=True)
    found = [float(number) for number in re.findall(r"\d+\.\d", result["answer"])]
    assert found == pytest.approx([600, 500, 640, 520][: len(found)], abs=1)
    assert re.sub(r"\d+\.\d", "#", result["answer"]) == answer
    assert result["boxes"] or result["points"]
    assert "Looked twice" in shown[-1].notice


@pytest.mark.parametrize(
    ("second", "why"),
    [(AnswerDelta("It is not there."), "found nothing"), (BackendError("gone"), "failed")],
)
def test_a_second_look_that_fails_leaves_the_first_answer(
    screenshot: str, second: Event | Exception, why: str
) -> None:
    tab = Locate(Finds(only_first=second), SamplingOptions(), Limits())
    result = list(tab.call(screenshot, "the button", False, True))[-1][0]
    assert result["boxes"][0]["xyxy"] == pytest.approx(BUTTON, abs=1)
    assert why in result["notes"][-1]


@pytest.mark.parametrize(
    ("sure", "said"), [((0.9, 0.8), "less sure"), ((0.8, 0.9), "Looked twice")]
)
def test_the_surer_answer_counts(screenshot: str, sure: tuple[float, float], said: str) -> None:
    tab = Locate(Finds(sure=sure), SamplingOptions(), Limits())
    result = list(tab.call(screenshot, "the button", False, True))[-1][0]
    assert result["boxes"][0]["score"] == pytest.approx(max(sure))
    assert result["boxes"][0]["xyxy"] == pytest.approx(BUTTON, abs=1)
    assert said in result["notes"][-1]


def test_a_file_too_large_to_attach_keeps_its_first_answer(screenshot: str) -> None:
    tab = Locate(Finds(), SamplingOptions(), Limits(max_bytes=1))
    result = list(tab.call(screenshot, "the button", False, True))[-1][0]
    assert result["boxes"][0]["xyxy"] == pytest.approx(BUTTON, abs=1)
