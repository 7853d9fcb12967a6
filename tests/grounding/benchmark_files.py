"""Tiny benchmarks on disk, one of each layout, for the tests of the evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

SIZE = (200, 100)


def draw_screen(file: Path, size: tuple[int, int] = SIZE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(file)


def write_json(file: Path, values: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values), encoding="utf-8")


def screenspot_entry(**changes: Any) -> dict[str, Any]:
    return {
        "img_filename": "a.png",
        "instruction": "close the window",
        "bbox": [20, 10, 40, 30],  # x, y, width, height
        "data_type": "icon",
        "data_source": "windows",
        **changes,
    }


def write_screenspot(
    folder: Path,
    entries: Sequence[dict[str, Any]] | None = None,
    *,
    platform: str = "desktop",
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write ScreenSpot as its archive unpacks; return the annotation file."""
    entries = [screenspot_entry()] if entries is None else entries
    for name in {entry["img_filename"] for entry in entries}:
        draw_screen(folder / "screenspot_imgs" / name, size)
    file = folder / f"screenspot_{platform}.json"
    write_json(file, entries)
    return file


def write_pro(folder: Path, **changes: Any) -> None:
    entry = {
        "img_filename": "vscode_macos/shot.png",
        "instruction": "split the editor",
        "instruction_cn": "拆分编辑器",
        "bbox": [20, 10, 60, 40],  # x0, y0, x1, y1
        "img_size": list(SIZE),
        "ui_type": "icon",
        "application": "vscode",
        "platform": "macos",
        "group": "Dev",
        **changes,
    }
    draw_screen(folder / "images" / "vscode_macos" / "shot.png")
    write_json(folder / "annotations" / "vscode_macos.json", [entry])


def write_refcoco(folder: Path, split: str = "refcoco_val") -> None:
    line = {
        "image": "data/coco/train2014/a.jpg",  # a path on the machine it was made on
        "sent": "left cup",
        "bbox": [20, 10, 60, 40],
        "width": SIZE[0],
        "height": SIZE[1],
    }
    draw_screen(folder / "train2014" / "a.jpg")
    (folder / f"{split}.jsonl").write_text(json.dumps(line) + "\n\n", encoding="utf-8")


def write_screens(folder: Path) -> None:
    draw_screen(folder / "a.png")
    entry = {
        "file": "a.png",
        "instruction": "Save",
        "bbox": [20, 10, 60, 40],
        "type": "text",
        "role": "button",
        "size": list(SIZE),
    }
    write_json(folder / "data.json", [entry])
