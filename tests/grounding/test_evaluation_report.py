"""What a run leaves for people: figures, a page of wrong answers, a line of progress."""

from __future__ import annotations

import io
import re
from pathlib import Path

from benchmark_files import screenspot_entry, write_screenspot
from PIL import Image

from grounding.evaluation.asking import Answer, Look, Record
from grounding.evaluation.datasets import Dataset, read_dataset
from grounding.evaluation.metrics import Prediction
from grounding.evaluation.progress import Progress
from grounding.evaluation.report import describe, to_text, write_failures
from grounding.look_twice import Crop

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'text'"
RIGHT, WRONG = Prediction((40, 25), (20, 10, 60, 40)), Prediction((190, 90), (180, 80, 200, 100))


def look(
    prediction: Prediction | None, text: str = "[[1,2,3,4]]", crop: Crop | None = None
) -> Look:
    return Look(Answer(text), prediction, crop)


def read_two(folder: Path) -> Dataset:
    entries = [screenspot_entry(), screenspot_entry(instruction=HOSTILE, data_source=HOSTILE)]
    write_screenspot(folder, entries)
    return read_dataset(folder)


def write_page(folder: Path, dataset: Dataset, records: list[Record]) -> str:
    by_key = {record.key: record for record in records}
    return write_failures(folder, dataset, by_key, open_image=Image.open).read_text("utf-8")


def test_the_page_shows_wrong_answers_only_with_the_target_and_the_answer(tmp_path: Path) -> None:
    dataset = read_two(tmp_path / "data")
    first, second = dataset.items
    page = write_page(
        tmp_path,
        dataset,
        [
            Record(first.key, (200, 100), (look(RIGHT),)),
            Record(second.key, (200, 100), (look(WRONG),)),
        ],
    )
    assert page.count("<article>") == 1
    assert '<svg viewBox="0 0 200 100"' in page
    assert '<rect class="target" x="20.0" y="10.0" width="40.0" height="30.0"/>' in page
    assert '<rect class="found" x="180.0" y="80.0" width="20.0" height="20.0"/>' in page


def test_the_page_links_its_screens_relatively_and_loads_nothing_else(tmp_path: Path) -> None:
    dataset = read_two(tmp_path / "data")
    records = [Record(item.key, (200, 100), (look(None),)) for item in dataset.items]
    page = write_page(tmp_path, dataset, records)
    sources = re.findall(r'src="([^"]+)"', page)
    assert sources == ["screens/0000.jpg", "screens/0000.jpg"]  # one screen, two answers
    assert (tmp_path / sources[0]).is_file()
    assert "http:" not in page and "https:" not in page


def test_texts_of_the_model_and_of_the_data_are_escaped(tmp_path: Path) -> None:
    dataset = read_two(tmp_path / "data")
    first, second = dataset.items
    page = write_page(
        tmp_path,
        dataset,
        [
            Record(first.key, error=HOSTILE),
            Record(second.key, (200, 100), (look(None, HOSTILE),)),
        ],
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp;") == 4


def test_the_page_shows_both_looks_and_the_part(tmp_path: Path) -> None:
    dataset = read_two(tmp_path / "data")
    looks = (look(WRONG), look(Prediction((5, 5)), crop=Crop(0, 0, 120, 60)))
    page = write_page(tmp_path, dataset, [Record(dataset.items[0].key, (200, 100), looks)])
    assert '<rect class="crop" x="0.0" y="0.0" width="120.0" height="60.0"/>' in page
    assert '<rect class="first"' in page and '<circle class="found" cx="5.0" cy="5.0"' in page


def test_a_summary_tells_failed_items_from_wrong_ones(tmp_path: Path) -> None:
    dataset = read_two(tmp_path / "data")
    first, second = dataset.items
    records = {
        first.key: Record(first.key, (200, 100), (look(None),)),
        second.key: Record(second.key, error="no network"),
    }
    summary = describe(dataset, records, {"model": "scripted"})
    assert (summary["items"], summary["answered"], summary["failed"]) == (2, 1, 1)
    assert summary["all"]["count"] == 1 and summary["all"]["wrong_format"] == 1
    assert "1 of 2 items answered, 1 failed" in to_text(summary)


def test_a_summary_has_the_figures_of_the_first_look_apart(tmp_path: Path) -> None:
    dataset = read_two(tmp_path / "data")
    first, second = dataset.items
    records = {
        first.key: Record(first.key, (200, 100), (look(WRONG), look(RIGHT))),
        second.key: Record(second.key, (200, 100), (look(RIGHT),)),
    }
    summary = describe(dataset, records, {})
    assert summary["all"]["accuracy"] == 1
    assert summary["first_look"]["all"]["accuracy"] == 0.5
    assert summary["looked_twice"] == 1
    assert "first look alone: 50.0%" in to_text(summary)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_rewrites_its_line_on_a_terminal() -> None:
    stream, seconds = Terminal(), iter([0.0, 2.0, 4.0])
    progress = Progress(3, stream, done=1, clock=lambda: next(seconds))
    progress.advance("half right")
    progress.advance("all right")
    progress.close()
    assert stream.getvalue().count("\r") == 2 and stream.getvalue().count("\n") == 1
    assert "2/3, half right, 2.0 s each, 0:00:02 left" in stream.getvalue()


def test_progress_in_a_log_is_a_line_now_and_then_and_one_at_the_end() -> None:
    stream, seconds = io.StringIO(), iter([0.0, 1.0, 31.0, 32.0, 33.0])
    progress = Progress(4, stream, clock=lambda: next(seconds))
    for _ in range(4):
        progress.advance("")
    progress.close()
    counts = re.findall(r"(\d)/4", stream.getvalue())
    assert counts == ["2", "4"] and "\r" not in stream.getvalue()
