"""A folder of one's own screens: read, checked, cut in two parts, and made into batches.

Of such screens only some boxes are known, each with an instruction; what else is on them is not.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grounding.evaluation.asking import PROMPTS
from grounding.evaluation.datasets import Dataset, DatasetError, Item, read_dataset
from model.processing import Glm4vProcessor, MediaError, open_image
from training.answering import Asking, click_on, kind_of, open_screen
from training.batches import DrawnScreens, Request, ScreenBatch, to_batch
from training.evaluation import Question
from training.screens import Element, Screen
from training.screens.scaling import resampled
from training.screens.screen import CELL, Box
from training.tasks import NOT_THERE, Turn
from training.tasks.places import overlaps
from training.tasks.scene import fold
from training.tasks.turn import answer_with_boxes
from training.tasks.wording import LOCATE

SLACK = 2  # pixels that a box may stick out of its picture: annotations are rounded
MAX_TOLD = 5  # problems that a message lists
PICTURES_KEPT = 512
# A part of a screen that is shown instead of the whole: at least this share of each side.
LEAST_PART = 0.6
WHOLE_SHARE = 0.4
PIXELS_AT_ONCE = 8 * 336 * 252
# Of the questions about such a part, those about what is on the rest: without any, a model forgets
# that something may be missing.
ABSENT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class OwnScreen:
    """A picture and what is to be found in it.

    Attributes:
        size: (width, height) of the picture, pixels.
        seen_size: (width, height) at which the model sees it, multiples of 28.
        targets: (instruction, box in pixels of the picture, kind) each.
    """

    file: Path
    size: tuple[int, int]
    seen_size: tuple[int, int]
    targets: tuple[tuple[str, Box, str], ...]


def read_own_screens(folder: Path, processor: Glm4vProcessor) -> list[OwnScreen]:
    """Read a folder in a layout that ``grounding.evaluate`` knows, such as ScreenSpot's.

    Raises:
        DatasetError: a picture is missing or damaged, a box lies outside its picture, or an
            instruction is empty; the message names the files and what to do.
    """
    try:
        dataset = read_dataset(folder)
    except DatasetError as error:
        raise DatasetError(
            f"{error}\nNothing was trained; mend the folder and try again"
        ) from error
    by_file: dict[Path, list[Item]] = defaultdict(list)
    for item in dataset.items:
        by_file[item.image].append(item)
    problems: list[str] = []
    screens = []
    for file, items in sorted(by_file.items()):
        try:
            image = open_image(file)
        except MediaError as error:
            problems.append(f"{file}: {error}; save it again, as PNG or JPEG")
            continue
        problems += _outside(items, image.size)
        height, width = processor.image_processor.resized(image.height, image.width)
        targets = tuple(
            (item.instruction, _clipped(item.target, image.size), kind_of(item)) for item in items
        )
        screens.append(OwnScreen(file, image.size, (width, height), targets))
    _complain(folder, dataset, problems)
    return screens


def split(
    screens: Sequence[OwnScreen], share: float, *, seed: int
) -> tuple[list[OwnScreen], list[OwnScreen]]:
    """Return screens to learn from and ``share`` of them held out, at least one of each.

    Raises:
        DatasetError: there is one screen only.
    """
    if len(screens) < 2:
        raise DatasetError(
            "one screen cannot be both learnt from and measured on; add screens, or give others "
            "with --held-out"
        )
    count = min(len(screens) - 1, max(1, round(share * len(screens))))
    held_out = set(random.Random(seed).sample(range(len(screens)), count))
    learnt = [screen for index, screen in enumerate(screens) if index not in held_out]
    return learnt, [screens[index] for index in sorted(held_out)]


def check_apart(learnt: Iterable[OwnScreen], held_out: Iterable[OwnScreen]) -> None:
    """Check that no picture is in both.

    Raises:
        DatasetError: one is; the score would be too good.
    """
    known = {screen.file.read_bytes(): screen.file for screen in learnt}
    for screen in held_out:
        twin = known.get(screen.file.read_bytes())
        if twin is not None:
            raise DatasetError(
                f"{screen.file} is the same picture as {twin}, which is learnt from; a score on it "
                "would say nothing. Take it out of one of the folders"
            )


class OwnAndDrawnScreens:
    """Makes batches: of own screens, and of drawn ones between them so that nothing is forgotten.

    Args:
        processor_folder: of the tokenizer and the processors' settings.
        screens: one's own.
        drawn_share: part of the batches that are drawn.
        materials: folder of fonts, icons and words; None for the cache.
    """

    def __init__(
        self,
        processor_folder: Path,
        screens: Sequence[OwnScreen],
        *,
        drawn_share: float,
        materials: Path | None = None,
    ) -> None:
        self.screens = tuple(screens)
        self.drawn_share = drawn_share
        self._drawn = DrawnScreens(processor_folder, materials)

    def __call__(self, request: Request) -> ScreenBatch[NDArray[Any]]:
        """Return the batch of a request."""
        rng = request.random()
        if rng.random() < self.drawn_share:
            return self._draw(request)
        # a size is drawn as often as there are screens of it
        size = rng.choice(self.screens).seen_size
        of_size = [screen for screen in self.screens if screen.seen_size == size]
        part_size = size if rng.random() < WHOLE_SHARE else _part(size, rng)
        count = max(1, min(request.screens, PIXELS_AT_ONCE // (part_size[0] * part_size[1])))
        chosen = rng.sample(of_size, min(count, len(of_size)))
        parts = [cut(screen, part_size, rng) for screen in chosen]
        asked = [ask_about_part(part, rng, request.turns) for part in parts]
        kept = [(part.screen, turns) for part, turns in zip(parts, asked, strict=True) if turns]
        if not kept:
            return self._draw(request)
        # only the boxes that are asked for are known, so no element is told to the objectives
        bare = [replace(screen, elements=()) for screen, _ in kept]
        turns = [turns for _, turns in kept]
        return to_batch(request, bare, turns, self._drawn.processor, is_complete=False)

    def _draw(self, request: Request) -> ScreenBatch[NDArray[Any]]:
        # The heads that need all that is known of a screen are new, and would only disturb the
        # model while they learn.
        return replace(self._drawn(request), is_complete=False)


def questions_about(screens: Sequence[OwnScreen]) -> list[Asking]:
    """Return "Click on ..." for every target, about its picture as it is in the file."""
    asked = []
    for own in screens:
        screen = open_screen(own.file)
        for instruction, box, kind in own.targets:
            turn = click_on(instruction, box, kind)
            asked.append(Asking(own.file, Question(screen, turn, thinking=False)))
    return asked


def _outside(items: Sequence[Item], size: tuple[int, int]) -> list[str]:
    """Return what is wrong with the items of a picture of this (width, height)."""
    problems = []
    for item in items:
        if item.size is not None and item.size != size:
            problems.append(
                f"{item.name}: {item.image.name} has {size[0]} x {size[1]} pixels, not "
                f"{item.size[0]} x {item.size[1]}; correct the size and the box"
            )
        elif not _is_inside(item.target, size):
            x0, y0, x1, y1 = item.target
            problems.append(
                f"{item.name}: the box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) is not inside "
                f"{item.image.name}, which has {size[0]} x {size[1]} pixels; ScreenSpot's bbox is "
                "[x, y, width, height] in pixels of the picture"
            )
    return problems


def _complain(folder: Path, dataset: Dataset, problems: Sequence[str]) -> None:
    if problems:
        told = "\n".join(f"  {problem}" for problem in problems[:MAX_TOLD])
        more = f"\n  and {len(problems) - MAX_TOLD} more" if len(problems) > MAX_TOLD else ""
        raise DatasetError(
            f"{folder} ({dataset.layout}) cannot be learnt from:\n{told}{more}\n"
            "Nothing was trained; mend the folder and try again"
        )


def _is_inside(box: Box, size: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = box
    return x0 >= -SLACK and y0 >= -SLACK and x1 <= size[0] + SLACK and y1 <= size[1] + SLACK


def _clipped(box: Box, size: tuple[int, int]) -> Box:
    x0, y0, x1, y1 = box
    return (max(0.0, x0), max(0.0, y0), min(float(size[0]), x1), min(float(size[1]), y1))


@lru_cache(maxsize=PICTURES_KEPT)
def _pixels(file: Path, seen_size: tuple[int, int]) -> np.ndarray:
    """Return (height, width, 3) uint8: the picture at the size at which the model sees it."""
    return resampled(np.array(open_image(file)), seen_size)


def _part(size: tuple[int, int], rng: random.Random) -> tuple[int, int]:
    """Return the (width, height) of a part of a screen, multiples of 28."""
    width, height = (
        rng.randint(max(1, round(side / CELL * LEAST_PART)), side // CELL) * CELL for side in size
    )
    return width, height


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an own screen.

    Attributes:
        screen: it, with the targets that are whole in it.
        missing: instructions for targets of which nothing is in it.
    """

    screen: Screen
    missing: tuple[str, ...]


def cut(screen: OwnScreen, size: tuple[int, int], rng: random.Random) -> Part:
    """Return a part of a screen, of (width, height) pixels, at a place that is drawn.

    So that the same 40 screens do not always have the same things in the same places, and lack
    some of them.
    """
    width, height = size
    left = rng.randint(0, screen.seen_size[0] - width)
    top = rng.randint(0, screen.seen_size[1] - height)
    image = _pixels(screen.file, screen.seen_size)[top : top + height, left : left + width]
    across, down = (seen / whole for seen, whole in zip(screen.seen_size, screen.size, strict=True))
    elements, missing, touched = [], [], set()
    for instruction, (x0, y0, x1, y1), kind in screen.targets:
        box = (x0 * across - left, y0 * down - top, x1 * across - left, y1 * down - top)
        if _is_inside(box, size):
            role = "icon" if kind == "icon" else "text"
            elements.append(Element(role, _clipped(box, size), instruction))
        if overlaps(box, (0, 0, width, height)):
            touched.add(fold(instruction))
        else:
            missing.append(instruction)
    shown = Screen(np.ascontiguousarray(image), tuple(elements), (), "", "", False)
    return Part(shown, tuple(name for name in missing if fold(name) not in touched))


def ask_about_part(part: Part, rng: random.Random, count: int) -> list[Turn]:
    """Return ``count`` questions about a part's elements, and what it lacks, in various words."""
    screen = part.screen
    if not screen.elements:
        return []
    absent = round(ABSENT_SHARE * count) if part.missing else 0
    lacking = rng.choices(part.missing, k=absent) if absent else []
    turns = [Turn("absent", _ask(rng, name), NOT_THERE) for name in lacking]
    whole, rest = divmod(count - absent, len(screen.elements))
    elements = [*screen.elements] * whole + rng.sample(screen.elements, rest)
    for element in elements:
        answer = answer_with_boxes(screen, [element])
        turns.append(Turn(element.role, _ask(rng, element.name), answer, element=element))
    return turns


def _ask(rng: random.Random, name: str) -> str:
    form = PROMPTS["click"].format(instruction="{}") if rng.random() < 0.5 else rng.choice(LOCATE)
    return form.format(name)
