"""Large screenshots with small targets, composed from small ones: for measuring a second look.

    python -m benchmarks.large_screens DATA OUT [--width 1280] [--height 800]

Lays the screenshots of a grounding data set side by side on a desktop until it is full, pixel by
pixel as they are, and writes them as a data set in ScreenSpot's layout. An instruction that two
screenshots of a desktop share is left out: it would have two answers. Then compare

    python -m grounding.evaluate OUT --model bundled --out RESULTS --look-twice

whose summary has the figures of the first look too.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from grounding.evaluation.datasets import Item, read_dataset

GAP = 12  # pixels between two screenshots
DESKTOP = (70, 84, 104)


@dataclass(frozen=True, slots=True)
class Placed:
    """A screenshot on a desktop: (x, y) its top-left corner there."""

    file: Path
    x: int
    y: int


def arrange(
    files: Sequence[tuple[Path, tuple[int, int]]], width: int, height: int
) -> Iterator[list[Placed]]:
    """Yield desktops full of screenshots, set in rows; those larger than a desktop are left out.

    Args:
        files: each with its (width, height).
    """
    placed: list[Placed] = []
    x = y = GAP
    row_height = 0
    for file, (w, h) in files:
        if w + 2 * GAP > width or h + 2 * GAP > height:
            continue
        if x + w + GAP > width:
            x, y, row_height = GAP, y + row_height + GAP, 0
        if y + h + GAP > height:
            yield placed
            placed, x, y, row_height = [], GAP, GAP, 0
        placed.append(Placed(file, x, y))
        x, row_height = x + w + GAP, max(row_height, h)
    if placed:
        yield placed


def annotate(placed: Sequence[Placed], items: dict[Path, list[Item]]) -> Iterator[dict[str, Any]]:
    """Yield ScreenSpot's annotations of one desktop, without the name of its picture."""
    on_desktop = [(place, item) for place in placed for item in items[place.file]]
    uses = Counter(item.instruction.casefold() for _, item in on_desktop)
    for place, item in on_desktop:
        if uses[item.instruction.casefold()] == 1:
            x0, y0, x1, y1 = item.target
            yield {
                "instruction": item.instruction,
                "bbox": [x0 + place.x, y0 + place.y, x1 - x0, y1 - y0],
                "data_type": item.groups.get("kind", "unknown"),
                "data_source": item.groups.get("source", "unknown"),
            }


def main() -> None:
    """Write the data set, and say how large the targets are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a data set that grounding.evaluate reads")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    options = parser.parse_args()

    items: dict[Path, list[Item]] = {}
    for item in read_dataset(options.data).items:
        items.setdefault(item.image, []).append(item)
    files = []
    for file in items:
        with Image.open(file) as image:
            files.append((file, image.size))
    random.Random(0).shuffle(files)
    files.sort(key=lambda entry: entry[1][1])  # rows of like heights leave less of a desktop empty

    options.out.mkdir(parents=True, exist_ok=True)
    annotations = []
    for number, placed in enumerate(arrange(files, options.width, options.height)):
        name = f"desktop_{number:02}_{options.width}x{options.height}.png"
        desktop = Image.new("RGB", (options.width, options.height), DESKTOP)
        for place in placed:
            with Image.open(place.file) as image:
                desktop.paste(image.convert("RGB"), (place.x, place.y))
        desktop.save(options.out / name)
        annotations += [{"img_filename": name, **entry} for entry in annotate(placed, items)]
    text = json.dumps(annotations, indent=1)
    (options.out / "screenspot_desktop.json").write_text(text, encoding="utf-8")
    areas = [a["bbox"][2] * a["bbox"][3] / (options.width * options.height) for a in annotations]
    share = sum(areas) / max(len(areas), 1)
    print(f"{len(annotations)} targets, on average {share:.2%} of the screenshot")


if __name__ == "__main__":
    main()
