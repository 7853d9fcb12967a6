"""What counts as right while a model is trained."""

from __future__ import annotations

import pytest
from hand_made_screens import make_screen

from training.evaluation import Answered, Question, held_out_questions, judge, scores
from training.materials import Materials
from training.screens import Element
from training.tasks import NOT_THERE, Turn
from training.tasks.turn import answer_with_boxes

SAVE = Element("button", (28, 56, 112, 84), "Save")
SCREEN = make_screen(SAVE, size=(280, 280))
BOX = answer_with_boxes(SCREEN, [SAVE])


def asked(task: str, answer: str = BOX, *, thinking: bool = False) -> Question:
    element = SAVE if task not in ("absent",) else None
    return Question(SCREEN, Turn(task, "?", answer, element=element), thinking)


@pytest.mark.parametrize(
    ("text", "right", "iou"),
    [
        (BOX, True, 1.0),
        (f"<think>Button 'Save', near [900,900].</think>\n{BOX}", True, 1.0),
        ("<|begin_of_box|>[[100,200,900,300]]<|end_of_box|>", False, 0.375),
        ("<|begin_of_box|>[[0,0,400,500]]<|end_of_box|>", True, 0.15),
        (NOT_THERE, False, 0.0),
        ("", False, 0.0),
    ],
)
def test_a_place_is_right_if_a_click_in_its_middle_hits(text: str, right: bool, iou: float) -> None:
    judged = judge(asked("text"), text)
    assert judged.right is right
    assert judged.iou == pytest.approx(iou, abs=0.01)


def test_a_click_of_an_agent_has_no_overlap() -> None:
    click = "<|begin_of_box|>left_click(start_box='[250,250]', element_info='Save')<|end_of_box|>"
    judged = judge(asked("agent"), click)
    assert judged.right and judged.iou is None


@pytest.mark.parametrize(
    ("text", "right"),
    [(NOT_THERE, True), (f"<think>None.</think>\n{NOT_THERE}", True), (BOX, False), ("", False)],
)
def test_what_is_not_there_gets_no_place(text: str, right: bool) -> None:
    assert judge(asked("absent", NOT_THERE), text).right is right


@pytest.mark.parametrize(("text", "right"), [("Save", True), ("Sav", False), ("save", False)])
def test_what_is_read_is_right_letter_by_letter(text: str, right: bool) -> None:
    assert judge(asked("reading", "Save"), text).right is right


def test_answers_are_counted_by_task_and_by_thinking() -> None:
    def answered(task: str, right: bool, iou: float | None, thinking: bool = False) -> Answered:
        return Answered(asked(task, thinking=thinking), "", None, right, iou)

    counted = scores(
        [
            answered("text", True, 0.6),
            answered("text", False, 0.1),
            answered("text", True, 0.2, thinking=True),
            answered("reading", False, None),
        ]
    )
    assert [(s.name, s.count, s.right, s.iou_50) for s in counted] == [
        ("text right", 2, 1, 0.5),
        ("text right, thinking", 1, 1, 0.0),
        ("reading right", 1, 0, None),
    ]
    assert counted[0].rate == 0.5


def test_held_out_questions_are_the_same_each_time(materials: Materials) -> None:
    first, second = (held_out_questions(2, "tiny", materials=materials) for _ in range(2))
    assert [q.turn for q in first] == [q.turn for q in second]
    assert {q.thinking for q in first} == {True, False}
    more = held_out_questions(3, "tiny", materials=materials)
    assert [q.turn for q in more[: len(first)]] == [q.turn for q in first]
