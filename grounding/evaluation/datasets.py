"""Benchmarks of grounding on disk -> items to ask about; the layout is recognised from the files.

ScreenSpot (njucckevin/SeeClick), ScreenSpot-v2 (OS-Copilot), ScreenSpot-Pro (likaixin), RefCOCO as
Qwen-VL's jsonl, and a plain list of screens.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

from grounding.evaluation.pictures import ImageFinder

Rule: TypeAlias = Literal["click", "iou"]
Xyxy: TypeAlias = tuple[float, float, float, float]

WHAT_FITS = """\
  screenspot_*.json     ScreenSpot: a list of {img_filename, instruction, bbox, data_type,
                        data_source}; bbox is [x, y, width, height]
  screenspot_*_v2.json  ScreenSpot-v2: the same
  annotations/*.json    ScreenSpot-Pro: a list of {img_filename, instruction, bbox, img_size,
                        ui_type, application, platform, group}; bbox is [x0, y0, x1, y1]
  *.jsonl               RefCOCO: a line {image, sent, bbox, width, height} for each item;
                        bbox is [x0, y0, x1, y1]
  data.json             screens: a list of {file, instruction, bbox, type}, and perhaps size and
                        role; bbox is [x0, y0, x1, y1]
All numbers are pixels. Pictures may lie beside these files or in any folder there."""


class DatasetError(ValueError):
    """A data set cannot be read; the message names the file, what is wrong, what was expected."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark: what to find in a picture, and where it is.

    Attributes:
        name: file and number of the annotation, unique in its data set.
        image: file of the picture.
        target: true box (x0, y0, x1, y1) in pixels of the picture.
        size: (width, height) that the annotation says the picture has; None if it does not say.
        groups: what figures are given apart for: platform, kind (text or icon), application, ...
    """

    name: str
    image: Path
    instruction: str
    target: Xyxy
    size: tuple[int, int] | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names the item and its content: an annotation that was changed is another item."""
        content = json.dumps([self.image.name, self.instruction, self.target])
        return f"{self.name}#{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The items of a benchmark and how it counts them.

    Attributes:
        layout: its name.
        rule: what is right: a click inside the target, or an IoU of at least 0.5 with it.
        tables: names of groups that the benchmark is reported by; its mean is over the first.
    """

    layout: str
    rule: Rule
    tables: tuple[tuple[str, ...], ...]
    items: tuple[Item, ...]

    def spread(self, count: int) -> Dataset:
        """Return ``count`` of the items, evenly spread over the whole; all if there are fewer."""
        total = len(self.items)
        chosen = [self.items[i * total // count] for i in range(min(count, total))]
        items = tuple(chosen) if count < total else self.items
        return Dataset(self.layout, self.rule, self.tables, items)


@dataclass(frozen=True, slots=True)
class _Layout:
    name: str
    pattern: str
    rule: Rule
    tables: tuple[tuple[str, ...], ...]
    read: Callable[[_Entry], Item]

    def files(self, folder: Path) -> list[Path]:
        """Return the annotation files of this layout in a folder."""
        files = sorted(folder.glob(self.pattern))
        # the pattern of ScreenSpot takes those of its second version too
        return [file for file in files if self.pattern.endswith("_v2.json") or not _is_v2(file)]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One annotation, with what is needed to complain about it."""

    file: Path
    position: int
    values: Mapping[str, Any]
    find_image: Callable[[Path, str], Path]

    @property
    def where(self) -> str:
        return f"{self.file}, item {self.position}"

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise DatasetError(f"{self.where}: {name} is {value!r}; expected a text")
        return value

    def group(self, name: str) -> str:
        return str(self.values.get(name) or "unknown")

    def number(self, name: str) -> float:
        value = self.values.get(name)
        if not _is_number(value):
            raise DatasetError(f"{self.where}: {name} is {value!r}; expected a number")
        return float(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        value = self.values.get(name)
        if not isinstance(value, list) or len(value) != count or not all(map(_is_number, value)):
            raise DatasetError(f"{self.where}: {name} is {value!r}; expected {count} numbers")
        return tuple(float(v) for v in value)

    def box(self, name: str, *, by_size: bool = False) -> Xyxy:
        a, b, c, d = self.numbers(name, 4)
        x0, y0, x1, y1 = (a, b, a + c, b + d) if by_size else (a, b, c, d)
        if not (x0 < x1 and y0 < y1):
            form = "[x, y, width, height]" if by_size else "[x0, y0, x1, y1]"
            raise DatasetError(
                f"{self.where}: {name} {self.values[name]} has no area; expected {form} in pixels"
            )
        return (x0, y0, x1, y1)

    def item(
        self,
        image: str,
        instruction: str,
        target: Xyxy,
        *,
        size: tuple[int, int] | None = None,
        **groups: str,
    ) -> Item:
        return Item(
            name=f"{self.file.name}:{self.position}",
            image=self.find_image(self.file, self.text(image)),
            instruction=self.text(instruction),
            target=target,
            size=size,
            groups=groups,
        )


def _is_v2(file: Path) -> bool:
    return file.stem.startswith("screenspot_") and file.stem.endswith("_v2")


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and value is not True and math.isfinite(value)


def _read_screenspot(entry: _Entry) -> Item:
    platform = entry.file.stem.removeprefix("screenspot_").removesuffix("_v2")
    return entry.item(
        "img_filename",
        "instruction",
        entry.box("bbox", by_size=True),
        platform=platform,
        kind=entry.group("data_type"),
        source=entry.group("data_source"),
    )


def _read_pro(entry: _Entry) -> Item:
    width, height = entry.numbers("img_size", 2)
    return entry.item(
        "img_filename",
        "instruction",
        entry.box("bbox"),
        size=(int(width), int(height)),
        group=entry.group("group"),
        kind=entry.group("ui_type"),
        application=entry.group("application"),
        platform=entry.group("platform"),
    )


def _read_refcoco(entry: _Entry) -> Item:
    return entry.item(
        "image",
        "sent",
        entry.box("bbox"),
        size=(int(entry.number("width")), int(entry.number("height"))),
        split=entry.file.stem,
    )


def _read_screen(entry: _Entry) -> Item:
    size = entry.numbers("size", 2) if "size" in entry.values else None
    return entry.item(
        "file",
        "instruction",
        entry.box("bbox"),
        size=(int(size[0]), int(size[1])) if size else None,
        kind=entry.group("type"),
        role=entry.group("role"),
    )


# In the order in which a file or a folder is tried: the first that fits is meant.
_LAYOUTS = (
    _Layout(
        "ScreenSpot-Pro",
        "annotations/*.json",
        "click",
        (("group", "kind"), ("application",), ("platform",)),
        _read_pro,
    ),
    _Layout(
        "ScreenSpot-v2",
        "screenspot_*_v2.json",
        "click",
        (("platform", "kind"), ("source",)),
        _read_screenspot,
    ),
    _Layout(
        "ScreenSpot",
        "screenspot_*.json",
        "click",
        (("platform", "kind"), ("source",)),
        _read_screenspot,
    ),
    _Layout("RefCOCO", "*.jsonl", "iou", (("split",),), _read_refcoco),
    _Layout("screens", "data.json", "click", (("kind",), ("role",)), _read_screen),
)


def read_dataset(path: Path, images: Path | None = None) -> Dataset:
    """Read a benchmark's folder, or one of its annotation files.

    Args:
        path: the folder, or the file.
        images: folder of the pictures; by default they are looked for around the annotations.

    Raises:
        DatasetError: nothing there fits a known layout, an annotation lacks something, or a
            picture is missing. Pictures are not opened.
    """
    layout, files = _recognise(path)
    finder = ImageFinder(images)
    items: list[Item] = []
    for file in files:
        for number, values in enumerate(_entries(file), start=1):
            if not isinstance(values, Mapping):
                raise DatasetError(f"{file}, item {number} is {values!r:.60}; expected an object")
            items.append(layout.read(_Entry(file, number, values, finder.find)))
    if not items:
        raise DatasetError(f"{path} holds no items")
    if finder.missing:
        raise DatasetError(finder.complaint())
    return Dataset(layout.name, layout.rule, layout.tables, tuple(items))


def _recognise(path: Path) -> tuple[_Layout, list[Path]]:
    if path.is_file():
        for layout in _LAYOUTS:
            *folder, name = layout.pattern.split("/")
            if path.match(name) and (not folder or path.parent.name == folder[0]):
                return layout, [path]
    elif path.is_dir():
        found = {layout: files for layout in _LAYOUTS if (files := layout.files(path))}
        names = [layout.name for layout in found if layout.name.startswith("ScreenSpot")]
        if len(names) > 1:
            raise DatasetError(
                f"{path} holds files of {' and '.join(names)}; give one file, or a folder with one"
            )
        if found:
            return next(iter(found.items()))
    else:
        raise DatasetError(f"{path}: there is no such folder or file")
    raise DatasetError(
        f"{path} fits no known layout; expected a folder with, or one of:\n{WHAT_FITS}"
    )


def _entries(file: Path) -> Iterator[Any]:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            lines = [line for line in text.splitlines() if line.strip()]
            yield from (json.loads(line) for line in lines)
            return
        values = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(values, list):
        raise DatasetError(f"{file} holds a {type(values).__name__}; expected a list of items")
    yield from values
