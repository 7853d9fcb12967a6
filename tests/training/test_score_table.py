"""The table of a model: what counts as right, what is kept, and where it is put."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grounding.evaluation.options import BUNDLED_FOLDER
from training import answering, evaluation
from training.answering import Answers, ask_all, read_askings
from training.evaluation import Answered, Question, conversation
from training.folders import Target, write_questions, write_screens, write_targets
from training.score import END, START, Figures, count, main, put_into_card, to_table
from training.screens import Element, Screen
from training.tasks import NOT_THERE, Turn

OPEN, CLOSE = "<|begin_of_box|>", "<|end_of_box|>"
BUTTON = Element("button", (100.0, 100.0, 300.0, 200.0), "Save")


def screen() -> Screen:
    return Screen(np.zeros((1000, 1000, 3), np.uint8), (), (), "", "", False)


def judge(task: str, truth: str, text: str, element: Element | None = None) -> Answered:
    turn = Turn(task, "?", truth, element=element)
    return evaluation.judge(Question(screen(), turn, thinking=False), text)


def boxes(*boxes: Sequence[int]) -> str:
    return OPEN + json.dumps([list(box) for box in boxes]).replace(" ", "") + CLOSE


@pytest.mark.parametrize(
    ("task", "truth", "text", "right"),
    [
        ("text", boxes((100, 100, 300, 200)), boxes((150, 120, 250, 180)), True),
        ("text", boxes((100, 100, 300, 200)), boxes((300, 120, 400, 180)), False),
        ("chat", boxes((100, 100, 300, 200)), boxes((150, 120, 250, 180)), True),
        ("chat", boxes((100, 100, 300, 200)), boxes((500, 120, 600, 180)), False),
        ("chat", "Save", "Save", True),
        ("chat", "Save", "Safe", False),
        ("absent", NOT_THERE, NOT_THERE, True),
        ("absent", NOT_THERE, boxes((1, 2, 3, 4)), False),
        ("several", boxes((0, 0, 99, 99), (200, 0, 299, 99)), boxes((0, 0, 99, 99)), False),
        (
            "several",
            boxes((0, 0, 99, 99), (200, 0, 299, 99)),
            boxes((201, 0, 299, 99), (0, 0, 98, 99)),
            True,
        ),
        (
            "several",
            boxes((0, 0, 99, 99)),
            boxes((0, 0, 99, 99), (500, 500, 599, 599)),
            False,
        ),
    ],
)
def test_an_answer_is_right_by_what_was_asked(
    task: str, truth: str, text: str, right: bool
) -> None:
    assert judge(task, truth, text, BUTTON).right is right


def test_figures_count_each_task_with_and_without_thinking() -> None:
    def answered(task: str, *, thinking: bool, right: bool, iou: float | None) -> Answered:
        return Answered(Question(screen(), Turn(task, "?", ""), thinking), "", None, right, iou)

    figures = count(
        "drawn",
        [
            answered("icon", thinking=False, right=True, iou=0.6),
            answered("text", thinking=False, right=True, iou=0.4),
            answered("text", thinking=True, right=False, iou=0.5),
            answered("text", thinking=False, right=False, iou=0.9),
            answered("reading", thinking=False, right=True, iou=None),
        ],
    )
    assert figures == [
        Figures("text", False, 2, 1, 0.5, "drawn"),
        Figures("text", True, 1, 0, 1.0, "drawn"),
        Figures("icon", False, 1, 1, 1.0, "drawn"),
        Figures("reading", False, 1, 1, None, "drawn"),
    ]


def test_a_table_shows_what_was_before() -> None:
    now = [Figures("text", False, 10, 9, 0.8, "drawn"), Figures("text", True, 10, 8, 0.7, "drawn")]
    before = [Figures("text", False, 20, 10, 0.25, "drawn")]
    assert to_table(now).splitlines()[-1] == "| drawn | text | 10 | 90% | 80% | 80% | 70% |"
    assert to_table(now, before).splitlines()[-1] == (
        "| drawn | text | 10 | 50% → 90% | 25% → 80% | 80% | 70% |"
    )


def test_only_the_measured_part_of_a_card_is_replaced() -> None:
    card = "# Model\n\nWhat it is.\n"
    once = put_into_card(card, "table \\1")
    assert once == f"# Model\n\nWhat it is.\n\n{START}\n\ntable \\1\n\n{END}\n"
    assert put_into_card(once + "\nMore.\n", "other") == (
        f"# Model\n\nWhat it is.\n\n{START}\n\nother\n\n{END}\n\nMore.\n"
    )


def test_what_the_bundled_model_is_said_to_do_is_what_was_measured() -> None:
    card = (BUNDLED_FOLDER / "README.md").read_text(encoding="utf-8")
    above, measured, _ = re.split(f"{re.escape(START)}|{re.escape(END)}", card)
    right = dict(re.findall(r"\| (.+) \| text \| \d+ \| (?:\d+% → )?(\d+)% \|", measured))
    assert (
        f"clicks {right['drawn screens']} % of texts on drawn screens, "
        f"{right['web pages']} % on web pages"
    ) in above


def write_folder(folder: Path) -> None:
    image = np.full((56, 56, 3), 250, np.uint8)
    write_screens(folder, [("a.png", Screen(image, (), (), "", "", False))])
    turn = Turn("text", "Find it", boxes((0, 0, 500, 500)), element=BUTTON)
    write_questions(folder, [("a.png", turn), ("a.png", Turn("caption", "What?", "A screen."))])


def test_places_are_asked_a_second_time_with_a_thought(tmp_path: Path) -> None:
    write_folder(tmp_path)
    asked = [(a.question.turn.task, a.question.thinking) for a in read_askings(tmp_path)]
    assert asked == [("text", False), ("text", True), ("caption", False)]


def test_a_benchmarks_folder_is_asked_where_to_click(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    write_targets(tmp_path, "own", [Target("a.png", "the bell", (1, 2, 9, 8), "icon", "mine")])
    [asking] = read_askings(tmp_path, thinking=False)
    turn = asking.question.turn
    assert (turn.task, turn.question) == ("icon", "Click on the bell")
    assert turn.element is not None
    assert turn.element.box == (1, 2, 9, 8)


def test_a_limit_counts_each_task_and_takes_from_the_whole_folder(tmp_path: Path) -> None:
    write_folder(tmp_path)
    turns = [("a.png", Turn("text", f"Find {n}", "", element=BUTTON)) for n in range(6)]
    write_questions(tmp_path, [*turns, ("a.png", Turn("caption", "What?", "A screen."))])
    asked = [a.question.turn.question for a in read_askings(tmp_path, limit=2, thinking=False)]
    assert asked == ["Find 0", "Find 3", "What?"]


def test_every_set_has_a_limit_of_its_own_or_all_have_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([f"a={tmp_path}", f"b={tmp_path}", f"c={tmp_path}", "--limit", "1", "2"])
    assert "--limit takes one number, or 3" in capsys.readouterr().err


def test_a_chat_is_sent_whole_and_the_picture_in_its_first_message() -> None:
    turn = Turn("chat", "And Save?", "", before=(("Where is Open?", "There."),))
    sent = conversation(turn, [{"type": "image", "image": "a.png"}])
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert [part["type"] for part in sent[0]["content"]] == ["image", "text"]
    assert sent[2]["content"] == [{"type": "text", "text": "And Save?"}]


def test_what_was_answered_before_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path)
    askings = read_askings(tmp_path)
    asked: list[Any] = []

    def answer(backend: Any, asking: Any) -> str:
        asked.append(asking)
        return "yes"

    monkeypatch.setattr(answering, "_answer", answer)
    checkpoint = tmp_path / "model"
    checkpoint.mkdir()
    backend: Any = None
    for known in (0, 2):
        answers = Answers(tmp_path / "answers.jsonl", checkpoint)
        ask_all(backend, askings[: 2 + known], answers)
        answers.close()
    assert len(asked) == 3
    (checkpoint / "config.json").write_text("{}")  # another model
    assert Answers(tmp_path / "answers.jsonl", checkpoint).get(askings[0].key) is None


def test_an_answer_that_was_torn_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    answers = Answers(file, tmp_path)
    answers.add("a", boxes((1, 2, 3, 4)))
    answers.add("b", boxes((5, 6, 7, 8)))
    answers.close()
    whole = file.read_text()
    file.write_text(whole[: whole.rindex("]]") + 1])  # it ends as a whole line would
    again = Answers(file, tmp_path)
    assert again.get("a") == boxes((1, 2, 3, 4))
    assert again.get("b") is None
    again.add("b", "new")
    again.close()
    assert Answers(file, tmp_path).get("b") == "new"


@pytest.mark.slow
def test_the_bundled_model_is_measured_and_its_card_written(tmp_path: Path) -> None:
    folder, card = tmp_path / "screens", tmp_path / "README.md"
    folder.mkdir()
    image = Image.new("RGB", (112, 84), "white")
    image.paste("#0d6efd", (28, 28, 84, 56))
    image.save(folder / "a.png")
    write_targets(folder, "own", [Target("a.png", "the button", (28, 28, 84, 56), "text", "x")])
    card.write_text("# Model\n")
    options = ["--out", str(tmp_path / "out"), "--card", str(card), "--limit", "5"]
    main([f"mine={folder}", *options, "--threads", "1"])
    figures = json.loads((tmp_path / "out" / "score.json").read_text())
    assert [(f["task"], f["thinking"], f["count"]) for f in figures] == [
        ("text", False, 1),
        ("text", True, 1),
    ]
    assert "| mine | text | 1 |" in card.read_text()
    assert "](out/right.webp)" in card.read_text()
    assert f"python -m training.score mine={folder} " in card.read_text()
