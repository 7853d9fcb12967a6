"""Benchmarks are recognised by their files, and what does not fit is refused with its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmark_files import (
    SIZE,
    draw_screen,
    screenspot_entry,
    write_json,
    write_pro,
    write_refcoco,
    write_screens,
    write_screenspot,
)

from grounding.evaluation.datasets import DatasetError, read_dataset

LAYOUTS: dict[str, Callable[[Path], Any]] = {
    "ScreenSpot": write_screenspot,
    "ScreenSpot-v2": lambda folder: write_screenspot(folder, platform="desktop_v2"),
    "ScreenSpot-Pro": write_pro,
    "RefCOCO": write_refcoco,
    "screens": write_screens,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_target_in_corners(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == layout
    (item,) = dataset.items
    assert item.target == (20, 10, 60, 40)
    assert item.image.is_file()


def test_only_refcoco_counts_by_overlap(tmp_path: Path) -> None:
    rules = {}
    for layout, write in LAYOUTS.items():
        write(tmp_path / layout)
        rules[layout] = read_dataset(tmp_path / layout).rule
    assert {layout for layout, rule in rules.items() if rule == "iou"} == {"RefCOCO"}


def test_screenspot_is_reported_by_platform_and_kind(tmp_path: Path) -> None:
    write_screenspot(tmp_path, platform="desktop_v2")
    write_screenspot(tmp_path, [screenspot_entry(data_type="text")], platform="mobile_v2")
    dataset = read_dataset(tmp_path)
    assert dataset.tables[0] == ("platform", "kind")
    groups = [(item.groups["platform"], item.groups["kind"]) for item in dataset.items]
    assert groups == [("desktop", "icon"), ("mobile", "text")]


def test_pro_is_reported_by_application_too(tmp_path: Path) -> None:
    write_pro(tmp_path)
    dataset = read_dataset(tmp_path)
    assert ("application",) in dataset.tables
    (item,) = dataset.items
    assert (item.groups["application"], item.groups["group"]) == ("vscode", "Dev")
    assert item.size == SIZE


def test_one_file_of_a_folder_can_be_asked_for(tmp_path: Path) -> None:
    write_screenspot(tmp_path, platform="web")
    file = write_screenspot(tmp_path, platform="web_v2")
    assert read_dataset(file).layout == "ScreenSpot-v2"
    with pytest.raises(DatasetError, match="ScreenSpot-v2 and ScreenSpot; give one file"):
        read_dataset(tmp_path)


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    write_json(tmp_path / "screenspot_web.json", [screenspot_entry()])
    draw_screen(tmp_path / "far" / "away" / "a.png")
    (item,) = read_dataset(tmp_path, images=tmp_path / "far" / "away").items
    assert item.image == tmp_path / "far" / "away" / "a.png"


def test_missing_pictures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    names = ["a.png", "b.png", "c.png"]
    entries = [screenspot_entry(img_filename=name) for name in names]
    write_json(tmp_path / "screenspot_web.json", entries)
    draw_screen(tmp_path / "images" / "b.png")
    with pytest.raises(DatasetError, match=r"(?s)2 of the pictures.*a\.png.*--images"):
        read_dataset(tmp_path)


def test_a_folder_that_fits_nothing_is_told_what_would(tmp_path: Path) -> None:
    write_json(tmp_path / "labels.json", [])
    with pytest.raises(DatasetError, match=r"(?s)fits no known layout.*screenspot_\*\.json") as e:
        read_dataset(tmp_path)
    assert str(tmp_path) in str(e.value)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: there is no such folder or file"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, 3]}, r"item 2: bbox is \[1, 2, 3\]; expected 4 numbers"),
        ({"bbox": [1, 2, "3", 4]}, "expected 4 numbers"),
        ({"bbox": [1, 2, True, 4]}, "expected 4 numbers"),
        ({"bbox": [1, 2, float("nan"), 4]}, "expected 4 numbers"),
        ({"bbox": [1, 2, 0, 4]}, r"no area; expected \[x, y, width, height\]"),
        ({"instruction": " "}, "instruction is ' '; expected a text"),
        ({"img_filename": None}, "img_filename is None; expected a text"),
    ],
)
def test_an_annotation_that_does_not_fit_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    draw_screen(tmp_path / "a.png")
    write_json(tmp_path / "screenspot_web.json", [screenspot_entry(), screenspot_entry(**changes)])
    with pytest.raises(DatasetError, match=message) as raised:
        read_dataset(tmp_path)
    assert "screenspot_web.json, item 2" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "cannot be read as JSON"),
        ('{"a": 1}', "holds a dict; expected a list"),
        ("[3]", "item 1 is 3; expected an object"),
        ("[]", "holds no items"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "screenspot_web.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path)


def test_some_of_the_items_are_evenly_spread(tmp_path: Path) -> None:
    write_screenspot(tmp_path, [screenspot_entry(instruction=str(n)) for n in range(10)])
    dataset = read_dataset(tmp_path)
    assert [item.instruction for item in dataset.spread(4).items] == ["0", "2", "5", "7"]
    assert dataset.spread(99).items == dataset.items


def test_a_changed_annotation_is_another_item(tmp_path: Path) -> None:
    write_screenspot(tmp_path)
    before = read_dataset(tmp_path).items[0].key
    assert read_dataset(tmp_path).items[0].key == before
    write_screenspot(tmp_path, [screenspot_entry(bbox=[21, 10, 40, 30])])
    assert read_dataset(tmp_path).items[0].key != before
