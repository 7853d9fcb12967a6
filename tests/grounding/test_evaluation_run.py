"""Runs with a scripted model: they go on after a kill, past failures, and several at a time."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from benchmark_files import screenspot_entry, write_pro, write_screenspot
from PIL import Image

from grounding.evaluation.asking import (
    Answer,
    ItemError,
    Picture,
    Record,
    ask_about,
    fill_in,
)
from grounding.evaluation.datasets import Dataset, Item, read_dataset
from grounding.evaluation.results import Results, ResultsError
from grounding.evaluation.run import run
from grounding.look_twice import Crop

TARGET_ANSWER = "<|begin_of_box|>[[100,100,300,400]]<|end_of_box|>"  # of screenspot_entry()
SETTINGS = {"model": "scripted", "thinking": False}


@dataclass
class ScriptedAsker:
    """Answers with ``answers`` in turn, the last one for ever; sees pictures scaled down."""

    answers: list[str] = field(default_factory=lambda: [TARGET_ANSWER])
    scale: float = 1.0
    asked: list[tuple[tuple[int, int], str]] = field(default_factory=list)

    def open(self, file: Path) -> Picture:
        with Image.open(file) as image:
            image.load()
        seen = (int(image.width * self.scale), int(image.height * self.scale))
        return Picture(image, seen, [])

    def ask(self, picture: Picture, question: str) -> Answer:
        self.asked.append((picture.image.size, question))
        return Answer(self.answers[min(len(self.asked), len(self.answers)) - 1])


def read_items(folder: Path, count: int = 1) -> Dataset:
    write_screenspot(folder, [screenspot_entry(instruction=f"item {n}") for n in range(count)])
    return read_dataset(folder)


def read_large_item(folder: Path) -> Item:
    write_screenspot(folder, size=(1000, 500))
    return read_dataset(folder).items[0]


def ask(item: Item, asker: ScriptedAsker, *, look_twice: bool = False) -> Record:
    return ask_about(item, asker, prompt="click", convention="glm", look_twice=look_twice)


def test_the_answer_is_read_in_pixels_of_the_picture(tmp_path: Path) -> None:
    (item,) = read_items(tmp_path).items
    asker = ScriptedAsker()
    record = ask(item, asker)
    assert asker.asked == [((200, 100), "Click on item 0")]
    assert record.prediction is not None
    assert record.prediction.box == item.target


def test_a_second_look_is_at_a_part_and_counts(tmp_path: Path) -> None:
    item = read_large_item(tmp_path)
    # the first answer is around (350, 175), the second right below the middle of the part
    asker = ScriptedAsker(["[[325,325,375,375]]", "[[450,500,550,600]]"], scale=0.5)
    record = ask(item, asker, look_twice=True)
    (_, second) = record.looks
    assert asker.asked[1] == ((500, 250), "Click on close the window")
    assert second.crop == Crop(100, 50, 500, 250)
    assert record.first is not None and record.first.box == pytest.approx((325, 162.5, 375, 187.5))
    assert record.prediction is not None
    assert record.prediction.box == pytest.approx((325, 175, 375, 200))


def test_a_second_look_that_finds_nothing_leaves_the_first(tmp_path: Path) -> None:
    item = read_large_item(tmp_path)
    asker = ScriptedAsker(["[[325,325,375,375]]", "I do not see it"], scale=0.5)
    record = ask(item, asker, look_twice=True)
    assert len(record.looks) == 2
    assert record.prediction == record.first


def test_without_coordinates_there_is_no_second_look(tmp_path: Path) -> None:
    record = ask(read_large_item(tmp_path), ScriptedAsker(["not found"], 0.5), look_twice=True)
    assert len(record.looks) == 1 and record.prediction is None


def test_only_who_asks_for_it_gets_a_second_look(tmp_path: Path) -> None:
    record = ask(read_large_item(tmp_path), ScriptedAsker(["[[325,325,375,375]]"], 0.5))
    assert len(record.looks) == 1


def test_an_answers_score_comes_from_its_tokens_which_are_not_kept(tmp_path: Path) -> None:
    (item,) = read_items(tmp_path).items

    class SureAsker(ScriptedAsker):
        def ask(self, picture: Picture, question: str) -> Answer:
            tokens = [
                ("[[", 0.0),
                ("100,100", math.log(0.5)),
                (",300,400", math.log(0.5)),
                ("]]", 0.0),
            ]
            return Answer("[[100,100,300,400]]", tokens=tuple(tokens))

    record = ask(item, SureAsker())
    assert record.prediction is not None
    assert record.prediction.score == pytest.approx(0.5)
    assert record.looks[0].answer.tokens == ()
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_a_picture_of_another_size_than_annotated_is_not_asked_about(tmp_path: Path) -> None:
    write_pro(tmp_path, img_size=[400, 200])
    (item,) = read_dataset(tmp_path).items
    with pytest.raises(ItemError, match=r"200 x 100 pixels, but vscode_macos\.json:1 says 400"):
        ask(item, ScriptedAsker())


def test_a_target_outside_its_picture_is_not_asked_about(tmp_path: Path) -> None:
    write_screenspot(tmp_path, [screenspot_entry(bbox=[300, 10, 40, 30])])
    (item,) = read_dataset(tmp_path).items
    with pytest.raises(ItemError, match="lies outside a.png"):
        ask(item, ScriptedAsker())


def test_braces_of_an_instruction_stay_as_they_are() -> None:
    assert fill_in("Find {instruction}!", "{0} and {x}") == "Find {0} and {x}!"


def test_a_template_without_a_place_for_the_instruction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no \{instruction\}.*click, locate, pinpoint"):
        fill_in("Click on it", "Save")


def test_a_failing_item_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    dataset = read_items(tmp_path, 5)

    def answer(item: Item, stopped: threading.Event) -> Record:
        if item.instruction == "item 2":
            raise ConnectionError("refused")
        return Record(item.key)

    records = {record.key: record for record in run(dataset.items, answer)}
    assert len(records) == 5
    errors = [records[item.key].error for item in dataset.items]
    assert errors == [None, None, "ConnectionError: refused", None, None]


def test_as_many_items_are_asked_about_at_a_time_as_is_said(tmp_path: Path) -> None:
    dataset = read_items(tmp_path, 6)
    all_there = threading.Barrier(3, timeout=20)  # breaks unless three wait at the same time

    def answer(item: Item, stopped: threading.Event) -> Record:
        all_there.wait()
        return Record(item.key)

    assert [r.error for r in run(dataset.items, answer, concurrency=3)] == [None] * 6


def test_closing_a_run_tells_the_answers_in_the_making_and_starts_no_other(tmp_path: Path) -> None:
    dataset = read_items(tmp_path, 4)
    started: list[str] = []
    told = threading.Event()

    def answer(item: Item, stopped: threading.Event) -> Record:
        started.append(item.instruction)
        if item.instruction == "item 1":
            assert stopped.wait(20)
            told.set()
        return Record(item.key)

    records = run(dataset.items, answer)
    next(records)
    records.close()
    assert told.is_set() or started == ["item 0"]
    assert "item 2" not in started


def test_answers_are_there_again_after_a_restart(tmp_path: Path) -> None:
    item = read_large_item(tmp_path / "data")
    asker = ScriptedAsker(["[[325,325,375,375]]", "[[450,450,550,550]]"], 0.5)
    record = ask(item, asker, look_twice=True)
    with Results(tmp_path / "out", SETTINGS) as results:
        results.add(record)
        results.add(Record("other", error="no network"))
    with Results(tmp_path / "out", SETTINGS) as again:
        assert again.records == {item.key: record, "other": Record("other", error="no network")}


def test_a_line_that_a_crash_cut_is_dropped_and_the_next_is_whole(tmp_path: Path) -> None:
    with Results(tmp_path, SETTINGS) as results:
        results.add(Record("one"))
        results.add(Record("two"))
    file = tmp_path / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-7])
    with Results(tmp_path, SETTINGS) as again:
        assert set(again.records) == {"one"}
        again.add(Record("three"))
    with Results(tmp_path, SETTINGS) as last:
        assert set(last.records) == {"one", "three"}
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_run_killed_before_its_first_line_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(b'{"settin')
    with Results(tmp_path, SETTINGS) as results:
        results.add(Record("one"))
    with Results(tmp_path, SETTINGS) as again:
        assert set(again.records) == {"one"}


def test_a_later_answer_takes_the_place_of_an_error(tmp_path: Path) -> None:
    with Results(tmp_path, SETTINGS) as results:
        results.add(Record("one", error="no network"))
        results.add(Record("one"))
    with Results(tmp_path, SETTINGS) as again:
        assert again.records == {"one": Record("one")}


def test_other_settings_are_refused_by_name_and_nothing_is_lost(tmp_path: Path) -> None:
    with Results(tmp_path, SETTINGS) as results:
        results.add(Record("one"))
    before = (tmp_path / "results.jsonl").read_bytes()
    with pytest.raises(ResultsError, match="thinking was False and is now True.*another --out"):
        Results(tmp_path, {**SETTINGS, "thinking": True})
    assert (tmp_path / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("content", ["[1, 2]\n", "hello\n", '{"settings": 3}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.jsonl").write_text(content)
    with pytest.raises(ResultsError, match=r"was not written by this program|other settings"):
        Results(tmp_path, SETTINGS)
    assert (tmp_path / "results.jsonl").read_text() == content
