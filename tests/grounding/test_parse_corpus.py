"""Replies of all model families, with what a careful reader takes from them (corpus/*.json).

A case: ``text``; optional ``sizes`` (default one image of 1000 x 1000), ``convention``,
``model_size``, ``places``, ``default_image``. Expected: ``boxes`` [x0, y0, x1, y1, label, image],
``points`` [x, y, label, image], ``actions`` [type, target, end], ``args`` of the actions,
``answer``, ``note`` (a part of one). What is left out of boxes, points and actions is expected not
to be there. ``weak``: at some length the text means something else, so that only
``is_complete=False`` can promise that nothing vanishes; ``think``: the template opened the thought.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grounding import Place, Result, parse

FILES = sorted((Path(__file__).parent / "corpus").glob("*.json"))
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['id']}")
    for file in FILES
    for case in json.loads(file.read_text(encoding="utf-8"))
]
Case = dict[str, Any]


def read(case: Case, text: str, *, is_complete: bool = True) -> Result:
    places = [Place(**place) for place in case["places"]] if "places" in case else None
    return parse(
        text,
        [tuple(size) for size in case.get("sizes", [(1000, 1000)])],
        case.get("convention", "glm"),
        case.get("model_size"),
        places=places,
        default_image=case.get("default_image"),
        is_complete=is_complete,
    )


def geometry(result: Result) -> list[list[Any]]:
    return [
        [(box.xyxy, box.image_index) for box in result.boxes],
        [(point.xy, point.image_index) for point in result.points],
        [(action.type, action.target, action.end) for action in result.actions],
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_reply_is_read_as_a_careful_reader_would(case: Case) -> None:
    result = read(case, case["text"])
    for kind, count in (("boxes", 4), ("points", 2)):
        found = [
            [*(item.xyxy if count == 4 else item.xy), item.label, item.image_index]
            for item in getattr(result, kind)
        ]
        want = [[*item, None, 0] if len(item) == count else item for item in case.get(kind, [])]
        want = [[*item, 0] if len(item) == count + 1 else item for item in want]
        assert [item[count:] for item in found] == [item[count:] for item in want]
        assert [item[:count] for item in found] == [pytest.approx(item[:count]) for item in want]
    actions = [[action.type, action.target, action.end] for action in result.actions]
    expected = [[*item, None, None][:3] for item in case.get("actions", [])]
    assert actions == [
        [kind, target and pytest.approx(target), end and pytest.approx(end)]
        for kind, target, end in expected
    ]
    if "args" in case:
        assert [action.args for action in result.actions] == case["args"]
    if "answer" in case:
        assert result.answer == case["answer"]
    assert any(case.get("note", "") in note for note in [*result.notes, ""])


@pytest.mark.parametrize("case", CASES)
def test_what_is_reported_while_the_reply_grows_stays_as_it_is(case: Case) -> None:
    text = ("<think>" if case.get("think") else "") + case["text"]
    seen: list[list[Any]] = [[], [], []]
    for length in range(len(text) + 1):
        result = read(case, text[:length], is_complete=False)
        now = [result.boxes, result.points, result.actions]
        assert [kind[: len(old)] for kind, old in zip(now, seen, strict=True)] == seen
        seen = now
    assert all(box in read(case, text).boxes for box in seen[0])


@pytest.mark.parametrize("case", [case for case in CASES if not case.values[0].get("weak")])
def test_a_reply_cut_anywhere_shows_nothing_that_the_whole_does_not(case: Case) -> None:
    text = case["text"]
    seen: list[list[Any]] = [[], [], []]
    for length in range(len(text) + 1):
        now = geometry(read(case, text[:length]))
        assert [kind[: len(old)] for kind, old in zip(now, seen, strict=True)] == seen
        seen = now


def test_the_corpus_holds_two_hundred_replies_of_which_sixty_point_nowhere() -> None:
    cases = [case.values[0] for case in CASES]
    silent = [c for c in cases if not any(c.get(k) for k in ("boxes", "points", "actions"))]
    assert len(cases) >= 200
    assert len(silent) >= 60
