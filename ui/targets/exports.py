"""Targets as text to take elsewhere: numbers to copy, files of JSON and COCO."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ui.targets.automation import Size, to_adb, to_playwright, to_pyautogui
from ui.targets.target import Target

Write = Callable[[Target, Size], str]  # "" where the target cannot be said that way


def _coordinates(target: Target) -> list[float]:
    if target.box is not None:
        return list(target.box)
    return [*(target.at or ()), *(target.end or ())]


def to_pixels(target: Target, size: Size) -> str:
    """Return corners or position in whole pixels of the original image."""
    return ", ".join(str(round(number)) for number in _coordinates(target))


def to_fractions(target: Target, size: Size) -> str:
    """Return corners or position as shares of width and height, 0 to 1."""
    numbers = enumerate(_coordinates(target))
    return ", ".join(f"{number / size[i % 2]:.4f}" for i, number in numbers)


def to_thousandths(target: Target, size: Size) -> str:
    """Return corners or position in thousandths of width and height, as GLM-4.5V writes them."""
    numbers = enumerate(_coordinates(target))
    return ", ".join(str(round(number / size[i % 2] * 1000)) for i, number in numbers)


def describe(target: Target, size: Size) -> dict[str, Any]:
    """Return a target for JSON; coordinates in pixels of the original image."""
    described: dict[str, Any] = {
        "number": target.number,
        "kind": target.kind,
        "label": target.label,
        "image": target.image_index,
    }
    if target.box is not None:
        described["xyxy"] = [round(number, 2) for number in target.box]
    elif target.at is not None:
        described["xy"] = [round(number, 2) for number in target.at]
    if target.end is not None:
        described["end"] = [round(number, 2) for number in target.end]
    if target.at is not None:
        numbers = enumerate(_coordinates(target))
        described["norm"] = [round(number / size[i % 2] * 1000) for i, number in numbers]
    if target.score is not None:
        described["score"] = round(target.score, 4)
    return described


def _to_json(target: Target, size: Size) -> str:
    return json.dumps(describe(target, size), ensure_ascii=False)


# key, what the page calls it, how it is written
FORMATS: tuple[tuple[str, str, Write], ...] = (
    ("pixels", "Pixels", to_pixels),
    ("fractions", "0 to 1", to_fractions),
    ("thousandths", "0 to 1000", to_thousandths),
    ("json", "JSON", _to_json),
    ("pyautogui", "pyautogui", to_pyautogui),
    ("playwright", "Playwright", to_playwright),
    ("adb", "adb", to_adb),
)


def write_lines(targets: Sequence[Target], sizes: Sequence[Size]) -> dict[str, dict[int, str]]:
    """Return what is copied: for each format the line of each target that can be said in it."""
    lines: dict[str, dict[int, str]] = {}
    for key, _, write in FORMATS:
        written = {target.number: write(target, sizes[target.image_index]) for target in targets}
        lines[key] = {number: line for number, line in written.items() if line}
    return lines


def to_json_file(targets: Sequence[Target], sizes: Sequence[Size], names: Sequence[str]) -> str:
    """Return all targets and the images that they are in, as JSON."""
    described = {
        "images": [
            {"index": index, "name": name, "width": width, "height": height}
            for index, (name, (width, height)) in enumerate(zip(names, sizes, strict=True))
        ],
        "targets": [describe(target, sizes[target.image_index]) for target in targets],
    }
    return json.dumps(described, ensure_ascii=False, indent=2)


def to_coco_file(targets: Sequence[Target], sizes: Sequence[Size], names: Sequence[str]) -> str:
    """Return boxes and places in COCO's format for detection: bbox is x, y, width, height.

    A place without an extent becomes a keypoint of a category with that one keypoint.
    """
    placed = [target for target in targets if target.at is not None]
    keys = dict.fromkeys(_category(target) for target in placed)
    ids = {key: number for number, key in enumerate(keys, 1)}
    categories = [
        {"id": number, "name": name} | ({} if is_box else {"keypoints": ["target"], "skeleton": []})
        for (name, is_box), number in ids.items()
    ]
    described = {
        "images": [
            {"id": index, "file_name": name, "width": width, "height": height}
            for index, (name, (width, height)) in enumerate(zip(names, sizes, strict=True), 1)
        ],
        "annotations": [_annotation(target, ids[_category(target)]) for target in placed],
        "categories": categories,
    }
    return json.dumps(described, ensure_ascii=False, indent=2)


def _category(target: Target) -> tuple[str, bool]:
    is_box = target.box is not None
    label = target.label if target.gesture in ("box", "point") else ""
    return label or target.kind.lower(), is_box


def _annotation(target: Target, category: int) -> dict[str, Any]:
    annotation: dict[str, Any] = {
        "id": target.number,
        "image_id": target.image_index + 1,
        "category_id": category,
        "iscrowd": 0,
    }
    if target.box is not None:
        x0, y0, x1, y1 = target.box
        annotation["bbox"] = [round(number, 2) for number in (x0, y0, x1 - x0, y1 - y0)]
        annotation["area"] = round((x1 - x0) * (y1 - y0), 2)
    else:
        x, y = target.at or (0.0, 0.0)
        annotation["bbox"] = [round(x, 2), round(y, 2), 0, 0]
        annotation["area"] = 0
        annotation["num_keypoints"] = 1
        annotation["keypoints"] = [round(x, 2), round(y, 2), 2]  # 2: labelled and visible
    if target.score is not None:
        annotation["score"] = round(target.score, 4)
    return annotation
