"""Folders of screens with questions: ScreenSpot's layout, and beside it all that is known.

``screenspot_NAME.json`` lists what to find and where, as the benchmark does. Folders that are made
here also have ``screens.json``, every element and character of every picture, so that a screen can
be read back whole, and ``questions.json``, whole questions of all tasks with their answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.screens import Character, Element, Screen
from training.tasks import Turn

SCREENS_NAME = "screens.json"
QUESTIONS_NAME = "questions.json"
_DECIMALS = 2  # of pixels


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to find in a picture.

    Attributes:
        picture: the picture's name in its folder.
        instruction: what to find.
        box: (x0, y0, x1, y1), pixels of the picture.
        kind: ``"text"``, ``"icon"`` or another task's name; figures are given apart for each.
        source: where the picture comes from, e.g. a CSS kit.
        role: of the element, where it is known.
    """

    picture: str
    instruction: str
    box: tuple[float, float, float, float]
    kind: str
    source: str
    role: str = ""


def write_targets(folder: Path, name: str, targets: Iterable[Target]) -> Path:
    """Write ``screenspot_NAME.json``, which ``grounding.evaluate`` reads; return its file."""
    entries = [
        {
            "img_filename": target.picture,
            "instruction": target.instruction,
            "bbox": _by_size(target.box),
            "data_type": target.kind,
            "data_source": target.source,
            "role": target.role,
        }
        for target in targets
    ]
    file = folder / f"screenspot_{name}.json"
    file.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return file


def write_screens(folder: Path, screens: Iterable[tuple[str, Screen]]) -> Path:
    """Write pictures and ``screens.json``; return that file.

    Args:
        screens: each with the name of its picture, which ends with ``.png``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for picture, screen in screens:
        Image.fromarray(screen.image).save(folder / picture, optimize=True)
        entries.append(
            {
                "picture": picture,
                "kind": screen.kind,
                "title": screen.title,
                "is_dark": screen.is_dark,
                "elements": [_plain(element) for element in screen.elements],
                "characters": [list(_plain(c).values()) for c in screen.characters],
            }
        )
    file = folder / SCREENS_NAME
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return file


def read_screens(folder: Path) -> Iterator[tuple[str, Screen]]:
    """Yield the screens that ``write_screens`` wrote, each with its picture's name.

    Raises:
        FileNotFoundError: the folder has no ``screens.json``, or a picture of it is missing.
    """
    for entry in json.loads((folder / SCREENS_NAME).read_text(encoding="utf-8")):
        with Image.open(folder / entry["picture"]) as image:
            pixels = np.asarray(image.convert("RGB"))
        yield (
            entry["picture"],
            Screen(
                image=pixels,
                elements=tuple(
                    Element(**{**element, "box": tuple(element["box"])})
                    for element in entry["elements"]
                ),
                characters=tuple(Character(*values) for values in entry["characters"]),
                kind=entry["kind"],
                title=entry["title"],
                is_dark=entry["is_dark"],
            ),
        )


def write_questions(folder: Path, questions: Iterable[tuple[str, Turn]]) -> Path:
    """Write ``questions.json``; return it.

    Args:
        questions: each with the name of the picture that it is about.
    """
    entries = [{"picture": picture, **asdict(turn)} for picture, turn in questions]
    file = folder / QUESTIONS_NAME
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return file


def read_questions(folder: Path) -> Iterator[tuple[str, Turn]]:
    """Yield what ``write_questions`` wrote."""
    for entry in json.loads((folder / QUESTIONS_NAME).read_text(encoding="utf-8")):
        picture, element = entry.pop("picture"), entry.pop("element")
        if element is not None:
            element = Element(**{**element, "box": tuple(element["box"])})
        before = tuple((question, answer) for question, answer in entry.pop("before"))
        yield picture, Turn(**entry, element=element, before=before)


def _plain(record: Element | Character) -> dict[str, Any]:
    """Return a record's values, with pixels rounded."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, _DECIMALS)
        return [round(v, _DECIMALS) for v in value] if isinstance(value, tuple) else value

    return {name: rounded(value) for name, value in asdict(record).items()}


def _by_size(box: tuple[float, float, float, float]) -> list[float]:
    x0, y0, x1, y1 = box
    return [round(value, _DECIMALS) for value in (x0, y0, x1 - x0, y1 - y0)]
