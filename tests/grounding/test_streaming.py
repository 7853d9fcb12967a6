"""What is reported while a reply grows stays: nothing vanishes, moves or changes."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from grounding import parse

SIZE = (1000, 1000)
A, Z = "<|begin_of_box|>", "<|end_of_box|>"


def check_growing(text: str, images: int = 1) -> list[list[Any]]:
    """Parse every beginning of a reply; returns the boxes, points and actions of all of it."""
    seen: list[list[Any]] = [[], [], []]
    for length in range(len(text) + 1):
        result = parse(text[:length], [SIZE] * images, is_complete=False)
        now = [result.boxes, result.points, result.actions]
        assert [kind[: len(old)] for kind, old in zip(now, seen, strict=True)] == seen
        seen = now
    assert all(box in parse(text, [SIZE] * images).boxes for box in seen[0])
    return seen


def random_value(rng: random.Random, depth: int = 0) -> str:
    kind = rng.randrange(6 if depth < 2 else 4)
    if kind == 0:
        return rng.choice(["null", "None", "true", "NaN"])
    if kind == 1:
        return rng.choice(["1", "-2.5", "1e3", "007"])
    if kind in (2, 3):
        words = ["a", "it's", 'say "hi"', "[1, 2]", "{x}", "a, b: c", "", "/* no */", "红", "<b>"]
        return json.dumps(rng.choice([*words, "[[10,20,30,40]]"]))
    values = [random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    if kind == 4:
        return "[" + ", ".join(values) + "]"
    return "{" + ", ".join(f'"k{i}": {value}' for i, value in enumerate(values)) + "}"


def random_object(rng: random.Random, images: int) -> str:
    x, y = rng.randint(0, 500), rng.randint(0, 500)
    box = [x, y, x + rng.randint(20, 400), y + rng.randint(20, 400)]
    place = ("point_2d", "[10, 20]") if rng.random() < 0.2 else ("bbox_2d", json.dumps(box))
    entries = [place]
    if rng.random() < 0.8:
        entries.append(("label", rng.choice(['"cat"', '"it\'s"', '"a \\"b\\""', "'x'"])))
    if images > 1 and rng.random() < 0.5:
        entries.append(("img_idx", str(rng.randrange(images))))
    for key in rng.sample(
        ["tags", "note", "attributes", "score", "id", "parts"], rng.randint(0, 2)
    ):
        entries.append((key, random_value(rng)))
    rng.shuffle(entries)
    return "{" + rng.choice([", ", ",\n  "]).join(f'"{k}": {v}' for k, v in entries) + "}"


def random_reply(rng: random.Random, images: int) -> str:
    objects = [random_object(rng, images) for _ in range(rng.randint(1, 3))]
    before, after = rng.choice(
        [("", ""), ("[", "]"), ('{"detections": [', "]}"), ('{"cats": [', '], "n": 2}'),
         ('{"result": {"objects": [', "]}}")]
    )  # fmt: skip
    frame = rng.choice(
        ["%s", f"It's {A}%s{Z}.", "Here:\n```json\n%s\n```", "<answer>%s</answer>", "%s<|user|>"]
    )
    return frame % (before + ", ".join(objects) + after) + rng.choice(["", " That's all (2)."])


@pytest.mark.parametrize("images", [1, 2])
def test_nothing_reported_of_a_random_detection_reply_vanishes_or_moves(images: int) -> None:
    for seed in range(60):
        check_growing(random_reply(random.Random(seed), images), images)


@pytest.mark.parametrize(
    "value",
    ["[null]", '["a"]', '{"k": 1}', "[/* no */ 1]", "[< 5, 6>]", "['it', 'is']", '[{"k": [1]}]',
     '["{\'bbox_2d\': [1,2,30,40]}"]', "NaN", "[NaN]", "[inf, 2]"],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["[%s]", f"{A}[%s]{Z}", "%s"])
def test_an_object_is_not_used_before_it_is_finished(frame: str, value: str) -> None:
    text = frame % f'{{"bbox_2d": [1,2,30,40], "tags": {value}, "label": "x"}}'
    boxes, _, _ = check_growing(text)
    assert [(box.xyxy, box.label) for box in boxes] == [((1, 2, 30, 40), "x")]


@pytest.mark.parametrize(
    "text",
    [
        '{"cats": [{"bbox_2d": [1,2,30,40]}, {"bbox_2d": [5,6,70,80], "label": "b"}], "n": 2}',
        '{"object": {"bbox_2d": [1,2,30,40]}, "label": "x"}',
        '{"thought": {"bbox_2d": [1,2,30,40], "label": "x"}}',
        f"{A}[[1,2,3,4], null, [5,6,70,80]]{Z}",
    ],
)
def test_a_box_waits_for_what_the_object_around_it_says(text: str) -> None:
    check_growing(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"name":"computer_use","arguments":{"action":"left_click","coordinate":["10',
        '{"action": "left_click", "coordinate": [10, {"x',
        '{"action": "left_click", "coordinate": [/* x',
        '{"action": "left_click", "coordinate": [nul',
    ],
)
def test_a_step_cut_inside_its_arguments_is_not_used_and_noted(text: str) -> None:
    result = parse(text, [SIZE])
    assert (result.actions, result.boxes, result.points) == ([], [], [])
    assert len(result.notes) == 1


def test_words_after_a_key_and_many_blanks_do_not_hide_what_follows() -> None:
    result = parse('{"a": 1, b         {"bbox_2d": [1,2,30,40]}', [SIZE])
    assert [box.xyxy for box in result.boxes] == [(1, 2, 30, 40)]


@pytest.mark.parametrize(
    "text",
    [
        f"{A}wait(){Z}",
        f"{A}press_back(){Z} and more",
        f"{A}wait() for it{Z}",
        f"{A}wait()<b>{Z}",
        f"{A}CLICK <point>[[100,200]]</point>{Z}",
        f"{A}CLICK <point>[[100,200]]</point>\nDone.{Z}",
        f"{A}CLICK <point>[[100,200]]</point> now{Z}",
        f"{A}TYPE [<point>[[100,200]]</point>]{Z}",
        f"{A}action:CLICK\tpoint:<point>1 2</point>{Z}",
        "cat" + "".join(f"<loc_{i}>" for i in range(8)) + Z,
        f"{A}cat" + "".join(f"<loc_{i}>" for i in range(8)) + Z,
        f"{A}cat<loc_1><loc_2><loc_3><loc_4>{Z}",
        f"{A}cat<loc_1><loc_2><loc_3><loc_4><|x|> dog<loc_5><loc_6><loc_7><loc_8>{Z}",
        "<think>Perhaps <answer>[[1,2,30,40]]</answer>.</think>It is [[5,6,70,80]].",
        f"<think>So <answer>{A}[[1,2,30,40]]{Z}</answer>",
        "<loc0001><loc0002><loc0300><loc0400> cat<|user|>",
        '{"bbox_2d": [1,2,30,40], "label": <answer>"x"}</answer>',
        '{"bbox_2d": [1,2,30,40], "label": <think>hm</think>"x"}',
        '{"bbox_2d": [1,2,30,40], "label": \\boxed{"x"}}',
    ],
)
def test_half_a_token_or_a_line_changes_nothing_that_was_reported(text: str) -> None:
    check_growing(text)


@pytest.mark.parametrize("names", ["wait", "press_back"])
def test_a_step_without_arguments_counts_when_its_token_closes(names: str) -> None:
    assert [action.type for action in check_growing(f"{A}{names}(){Z}")[2]] == [names]


def test_location_tokens_count_when_the_box_token_closes() -> None:
    boxes, _, _ = check_growing(f"{A}cat<loc_1><loc_2><loc_3><loc_4>{Z} and more")
    assert [box.label for box in boxes] == ["cat"]
