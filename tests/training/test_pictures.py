"""Pictures of answers: what is drawn, and which answers are."""

from __future__ import annotations

import numpy as np
from PIL import ImageColor

from training.evaluation import Answered, Question
from training.pictures import GAP, GREEN, RED, TILE_WIDTH, Example, choose, draw_sheet
from training.screens import Element, Screen
from training.tasks import Turn


def example(
    *, right: bool = True, task: str = "text", screens: str = "drawn", screen: Screen | None = None
) -> Example:
    element = Element("button", (30.0, 40.0, 120.0, 80.0), "Save")
    turn = Turn(task, "Click on Save", "", element=element)
    screen = screen or Screen(np.full((140, 300, 3), 255, np.uint8), (), (), "", "", False)
    text = "<|begin_of_box|>[[500,500,900,900]]<|end_of_box|>"
    return Example(screens, Answered(Question(screen, turn, False), text, None, right, 0.0))


def test_the_true_box_is_green_and_the_answered_one_red() -> None:
    sheet = np.asarray(draw_sheet([example()]))
    green = np.argwhere((sheet == ImageColor.getrgb(GREEN)).all(-1))
    red = np.argwhere((sheet == ImageColor.getrgb(RED)).all(-1))
    assert TILE_WIDTH == 300  # the screen is as wide: one pixel is one pixel
    top = sheet.shape[0] - GAP - 140
    # lines of two pixels lie around the box
    assert green.min(0).tolist() == [top + 40 - 2, GAP + 30 - 2]
    assert green.max(0).tolist() == [top + 80 + 1, GAP + 120 + 1]
    assert red.min(0).tolist() == [top + 70 - 2, GAP + 150 - 2]
    assert red.max(0).tolist() == [top + 126 + 1, GAP + 270 + 1]


def test_an_answer_without_coordinates_shows_the_true_box_alone() -> None:
    lost = example(right=False)
    lost = Example("drawn", Answered(lost.answered.question, "no idea", None, False, 0.0))
    sheet = np.asarray(draw_sheet([lost]))
    assert (sheet == ImageColor.getrgb(GREEN)).all(-1).any()
    assert not (sheet == ImageColor.getrgb(RED)).all(-1).any()


def test_answers_are_drawn_by_lot_from_all_sets_and_no_screen_is_shown_twice() -> None:
    shared = example().answered.question.screen
    examples = [example(screens="drawn") for _ in range(9)]
    examples += [example(screens="web", screen=shared) for _ in range(3)]
    examples += [example(screens="web"), example(right=False), example(task="caption")]
    chosen = choose(examples, right=True, count=6, seed=1)
    assert len({id(each.answered.question.screen) for each in chosen}) == 6
    assert [each.screens for each in chosen] == ["drawn", "web", "drawn", "web", "drawn", "drawn"]
    assert all(each.answered.right for each in chosen)
    assert {each.answered.question.turn.task for each in chosen} == {"text"}
    assert choose(examples, right=True, count=6, seed=1) == chosen
    assert choose(examples, right=True, count=6, seed=2) != chosen


def test_a_sheet_of_nothing_is_empty() -> None:
    assert draw_sheet([]).height == GAP
