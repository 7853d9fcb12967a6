"""Held-out screens: unknown to training, the same each time, with questions of every task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grounding.evaluation.datasets import read_dataset
from training.folders import read_questions, read_screens
from training.held_out import ask_about, draw_screens, main
from training.materials import Materials
from training.screens import SIZES, render


def test_a_screen_depends_on_its_seed_and_number_alone(materials: Materials) -> None:
    sizes = SIZES["tiny"]
    two = [*draw_screens(2, sizes, materials=materials, seed=3)]
    four = [*draw_screens(4, sizes, materials=materials, seed=3)]
    assert [name for name, _ in two] == [name for name, _ in four[:2]]
    for (_, a), (_, b) in zip(two, four, strict=False):
        np.testing.assert_array_equal(a.image, b.image)
    assert ask_about(two) == ask_about(four[:2])
    other = [*draw_screens(1, sizes, materials=materials, seed=4)]
    assert other[0][1].elements != two[0][1].elements


def test_a_folder_has_questions_and_what_the_evaluation_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--to", str(tmp_path), "--screens", "3", "--sizes", "tiny", "--seed", "1"])
    assert "3 screens" in capsys.readouterr().out
    pictures = {name for name, _ in read_screens(tmp_path)}
    questions = [*read_questions(tmp_path)]
    assert {picture for picture, _ in questions} <= pictures
    assert {"text", "reading", "absent"} <= {turn.task for _, turn in questions}
    for item in read_dataset(tmp_path).items:
        asked = [t for _, t in questions if t.question == item.instruction and t.element]
        assert any(
            item.target == pytest.approx(t.element.box, abs=0.02) for t in asked if t.element
        )


def test_words_are_others_than_those_of_training(materials: Materials) -> None:
    known = {*materials.common_words}
    [(_, held_out)] = draw_screens(1, SIZES["middle"][:1], materials=materials)
    learnt = render(1, SIZES["middle"][0], materials=materials)

    def share(names: list[str]) -> float:
        words = [word for name in names for word in name.lower().split() if word.isalpha()]
        return sum(word in known for word in words) / max(1, len(words))

    assert share([e.name for e in held_out.elements]) < share([e.name for e in learnt.elements])


def test_questions_need_screens_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no screens\.json.*training\.web"):
        main(["--to", str(tmp_path / "to"), "--about", str(tmp_path)])
