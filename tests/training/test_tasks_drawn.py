"""Turns about screens that are really drawn: they mean what they say, and read what is there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter

import pytest
from meaning import meant_by_name, meant_by_reference

from grounding import parse
from training.materials import Materials
from training.screens import SIZES, Screen
from training.screens.rendering import render
from training.screens.text_page import render_page_of_text
from training.tasks import held_out_turns, turns
from training.tasks.phrases import field_phrase, icon_phrase, text_phrase
from training.tasks.references import reference_phrase
from training.tasks.scene import Scene

DRAWN = 24


@pytest.fixture(scope="module")
def screens(materials: Materials) -> list[Screen]:
    sizes = [*SIZES["small"], *SIZES["middle"]]
    return [
        render(seed, sizes[seed % len(sizes)], materials=materials, held_out=seed % 3 == 0)
        for seed in range(DRAWN)
    ]


def test_names_and_references_mean_one_element_of_a_drawn_screen(screens: list[Screen]) -> None:
    counts: Counter[str] = Counter()
    for number, screen in enumerate(screens):
        scene = Scene(screen, random.Random(number), others=screens)
        for find in (text_phrase, icon_phrase, field_phrase):
            for _ in range(8):
                if found := find(scene):
                    counts[find.__name__] += 1
                    assert meant_by_name(found[0], screen) is found[1], (number, found)
        for _ in range(16):
            if found := reference_phrase(scene):
                counts["reference_phrase"] += 1
                assert meant_by_reference(found[0], screen) is found[1], (number, found)
    assert len(counts) == 4
    assert min(counts.values()) >= DRAWN


def test_what_is_read_is_what_is_drawn_in_the_box(screens: list[Screen]) -> None:
    count = 0
    for number, screen in enumerate(screens):
        for turn in turns(screen, random.Random(number), 84, others=screens):
            if turn.task != "reading" or turn.element is None:
                continue
            count += 1
            x0, y0, x1, y1 = turn.element.box
            drawn = [
                character
                for character in screen.characters
                if x0 <= (character.x0 + character.x1) / 2 <= x1 and y0 <= character.center_y <= y1
            ]
            assert sorted(c.text for c in drawn) == sorted(turn.answer.replace(" ", ""))
    assert count > DRAWN


def test_every_box_of_an_answer_is_that_of_an_element(screens: list[Screen]) -> None:
    count = 0
    for number, screen in enumerate(screens):
        for turn in turns(screen, random.Random(number), 28, others=screens):
            result = parse(turn.answer, [(screen.width, screen.height)])
            assert not result.notes, turn.answer
            count += len(result.boxes)
            for box in result.boxes:
                assert any(
                    max(abs(a - b) for a, b in zip(box.xyxy, e.box, strict=True))
                    <= max(screen.width, screen.height) / 1000 + 1e-6
                    for e in screen.elements
                ), (turn, box)
    assert count > 10 * DRAWN


def test_a_page_of_text_can_be_asked_about(materials: Materials) -> None:
    page = render_page_of_text(1, SIZES["dense"][0], materials=materials, difficulty=1.0)
    asked = turns(page, random.Random(0), 14)
    assert len(asked) == 14
    assert {"caption", "listing"} & {turn.task for turn in asked}


def test_evaluation_asks_about_most_tasks_on_drawn_screens(screens: list[Screen]) -> None:
    tasks = {
        turn.task
        for number, screen in enumerate(screens)
        for turn in held_out_turns(screen, random.Random(number), others=screens)
    }
    assert {"text", "icon", "reference", "reading", "absent", "agent", "chat", "field"} <= tasks


@pytest.mark.slow
def test_turns_do_not_depend_on_the_order_of_sets() -> None:
    program = (
        "import random, sys; sys.path.insert(0, 'tests/training')\n"
        "from hand_made_screens import random_screen\n"
        "from training.tasks import turns\n"
        "for s in range(20):\n"
        "    print(turns(random_screen(s), random.Random(s), 28, others=[random_screen(99)]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""
