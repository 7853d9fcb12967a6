"""Folders of screens: what is written is read again, by this room and by the evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grounding.evaluation.datasets import read_dataset
from training.folders import (
    Target,
    read_questions,
    read_screens,
    write_questions,
    write_screens,
    write_targets,
)
from training.screens import Character, Element, Screen
from training.tasks import Turn

ELEMENT = Element("text field", (10.25, 20.5, 90.0, 44.0), "", label="Name", value="Ada")


def screen() -> Screen:
    image = np.random.default_rng(0).integers(0, 255, (56, 112, 3), dtype=np.uint8)
    letter = Character("A", 12.5, 20.25, 32.0, 13.0)
    return Screen(image, (ELEMENT,), (letter,), "sign in", "Welcome", is_dark=True)


def test_a_screen_is_read_again_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    write_screens(tmp_path, [("a.png", screen())])
    [(name, again)] = read_screens(tmp_path)
    assert name == "a.png"
    np.testing.assert_array_equal(again.image, screen().image)
    assert again.elements == screen().elements
    assert again.characters == screen().characters
    assert (again.kind, again.title, again.is_dark) == ("sign in", "Welcome", True)


def test_questions_are_read_again_whole(tmp_path: Path) -> None:
    turn = Turn("chat", "And «Name»?", "here", None, ELEMENT, before=(("What is it?", "A form."),))
    write_questions(tmp_path, [("a.png", turn), ("a.png", Turn("caption", "?", "A screen."))])
    assert [*read_questions(tmp_path)] == [
        ("a.png", turn),
        ("a.png", Turn("caption", "?", "A screen.")),
    ]


def test_targets_are_what_the_evaluation_reads(tmp_path: Path) -> None:
    write_screens(tmp_path, [("a.png", screen())])
    write_targets(tmp_path, "web", [Target("a.png", "Name field", ELEMENT.box, "text", "bulma")])
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "ScreenSpot"
    [item] = dataset.items
    assert item.image == tmp_path / "a.png"
    assert item.instruction == "Name field"
    assert item.target == ELEMENT.box
    assert item.groups == {"platform": "web", "kind": "text", "source": "bulma"}
