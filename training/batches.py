"""Batches: screens of one size with questions about them; each a function of its request.

A maker is called in worker processes (`training.workers`) and needs no network there but its
tokenizer. What it returns depends on the request alone: its seed, its step, its difficulty.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.processing import Glm4vProcessor
from model.processing.patches import PatchSettings
from training.materials import Materials
from training.objectives.batch import Batch, PatchLabels
from training.packing import IGNORED, pack
from training.schedule import SCALED, SCREENS_SCALE, Phase, Schedule, Size, mixture
from training.screens import SIZES, Screen, render, render_page_of_text
from training.seen import Seen, draw_size, screens_of, show
from training.targets import targets as targets_of
from training.tasks import Turn, turns

# Screens have the size at which the model sees them, so what it may be at most is of no concern.
SETTINGS = PatchSettings(min_pixels=1, max_pixels=1)

ArrayT = TypeVar("ArrayT")
NewArrayT = TypeVar("NewArrayT")


@dataclass(frozen=True, slots=True)
class Request:
    """All that a batch is a function of.

    Attributes:
        seed: of the run.
        step: of the run; no two requests of a run have the same.
        phase: pages of text are in the reading phase only, questions in the other only.
        sizes: (width, height) that screens may have; all of a batch have the same.
        screens: how many.
        turns: questions about each screen.
        is_short: only short questions, without thoughts.
        is_scaled: screens are shown at the size at which the processor shows them, as many as
            such a batch has room for; else as they are.
        easy: part of the screens with little on them.
        difficulty: of pages of text, 0 (one font, one size, on the grid of patches) to 1.
    """

    seed: int
    step: int
    phase: Phase
    sizes: tuple[Size, ...]
    screens: int
    turns: int
    is_short: bool
    is_scaled: bool
    easy: float
    difficulty: float

    @classmethod
    def of(
        cls,
        schedule: Schedule,
        step: int,
        *,
        seed: int,
        screens: int,
        turns: int,
        difficulty: float,
        level: str | None = None,
    ) -> Request:
        """Ask for what the schedule says of a step.

        Args:
            screens: in a batch of small ones; of tiny ones there are more, of large ones fewer.
            level: a name of sizes, instead of the schedule's.
        """
        level = schedule.level(step) if level is None else level
        return cls(
            seed=seed,
            step=step,
            phase=schedule.phase(step),
            sizes=mixture(level),
            screens=max(1, round(screens * SCREENS_SCALE.get(level, 1.0))),
            turns=turns,
            is_short=schedule.is_short(step),
            is_scaled=schedule.phase(step) == "grounding" and level in SCALED,
            easy=schedule.easy(step),
            difficulty=difficulty,
        )

    def random(self) -> random.Random:
        """Return what all choices for the batch are drawn from."""
        return random.Random(f"{self.seed} {self.step}")


@dataclass(frozen=True, slots=True, eq=False)
class ScreenBatch(Generic[ArrayT]):
    """B screens of one size, T turns about each, padded to L tokens; NumPy arrays, or tensors.

    The fields of a turn are those of `training.packing.Packed`, and the fields of patches and image
    tokens those of `training.targets.PatchTargets`, with B in front. In the reading phase there are
    no turns (T = 0).

    Attributes:
        request: what was asked for.
        images: (B, H, W, 3) uint8.
        has_pages: the screens are pages of text, of the request's difficulty.
        is_complete: everything on the screens is known; else the targets of patches mean nothing.
    """

    request: Request
    has_pages: bool
    is_complete: bool
    images: ArrayT
    prefix_ids: ArrayT
    input_ids: ArrayT
    labels: ArrayT
    coordinate: ArrayT
    lengths: ArrayT
    pointer_at: ArrayT
    pointer_cells: ArrayT
    task: ArrayT
    characters: ArrayT
    role: ArrayT
    icon: ArrayT
    box: ArrayT
    offset: ArrayT
    letters: ArrayT

    def mapped(self, change: Callable[[ArrayT], NewArrayT]) -> ScreenBatch[NewArrayT]:
        """Return the batch with every array changed."""
        arrays: dict[str, Any] = {name: change(getattr(self, name)) for name in ARRAYS}
        return ScreenBatch(self.request, self.has_pages, self.is_complete, **arrays)

    @property
    def questions(self) -> int:
        """Number of turns, over all screens."""
        lengths: Any = self.lengths
        return int((lengths > 0).sum())


ARRAYS = tuple(
    field.name
    for field in fields(ScreenBatch)
    if field.name not in ("request", "has_pages", "is_complete")
)
TURN_ARRAYS = {  # and what fills them up
    "input_ids": 0,
    "labels": IGNORED,
    "coordinate": False,
    "lengths": 0,
    "pointer_at": -1,
    "pointer_cells": False,
    "task": 0,
}
PATCH_ARRAYS = ("characters", "role", "icon", "box", "offset", "letters")


class DrawnScreens:
    """Makes batches of drawn screens; pages of text too in the reading phase.

    Args:
        processor_folder: of the tokenizer and the processors' settings.
        materials: folder of fonts, icons and words; None for the cache.
    """

    def __init__(self, processor_folder: Path, materials: Path | None = None) -> None:
        self.processor_folder = processor_folder
        self.materials_folder = materials

    @cached_property
    def materials(self) -> Materials:
        return Materials.load(self.materials_folder)

    @cached_property
    def processor(self) -> Glm4vProcessor:
        return Glm4vProcessor.from_pretrained(self.processor_folder)

    def __getstate__(self) -> dict[str, Any]:
        # each process loads its own
        return {name: self.__dict__[name] for name in ("processor_folder", "materials_folder")}

    def __call__(self, request: Request) -> ScreenBatch[NDArray[Any]]:
        """Return the batch of a request."""
        rng = request.random()
        has_pages = request.phase == "reading" and rng.random() < share_of_pages(request.difficulty)
        size = rng.choice(SIZES["dense"] if has_pages else request.sizes)
        seen = self.seen(request, size, rng)
        if has_pages:
            screens = self._pages(request, size, rng)
        else:
            screens = [
                render(
                    rng.getrandbits(48),
                    size,
                    materials=self.materials,
                    easy=rng.random() < request.easy,
                )
                for _ in range(seen.screens)
            ]
        asked: list[list[Turn]] = [[] for _ in screens]
        if request.phase == "grounding":
            asked = [
                turns(s, rng, request.turns, short=request.is_short, others=screens)
                for s in screens
            ]
        screens, asked = show(screens, asked, seen.size)
        return to_batch(request, screens, asked, self.processor, has_pages=has_pages)

    def seen(self, request: Request, size: Size, rng: random.Random) -> Seen:
        """Return at which size a batch of screens of ``size`` is seen, and how many it has."""
        if not request.is_scaled:
            return Seen(size, request.screens)
        seen = draw_size(size, self.processor.image_processor.settings, rng)
        return Seen(seen, screens_of(seen, request.screens))

    def _pages(self, request: Request, size: Size, rng: random.Random) -> list[Screen]:
        """Pages are small: there are twice as many of them."""
        return [
            render_page_of_text(
                rng.getrandbits(48),
                size,
                materials=self.materials,
                difficulty=min(1.0, request.difficulty * rng.uniform(0.6, 1.15)),
            )
            for _ in range(2 * request.screens)
        ]


def share_of_pages(difficulty: float) -> float:
    """Return which part of the batches of the reading phase are pages of text.

    At first nearly all: from ordinary screens alone, which have few letters, reading is not learnt.
    """
    return 0.94 if difficulty < 0.5 else 0.8 if difficulty < 0.95 else 0.6


def to_batch(
    request: Request,
    screens: Sequence[Screen],
    asked: Sequence[Sequence[Turn]],
    processor: Glm4vProcessor,
    *,
    has_pages: bool = False,
    is_complete: bool = True,
) -> ScreenBatch[NDArray[Any]]:
    """Put screens of one size, that at which they are seen, and the turns about each into arrays.

    Args:
        asked: turns about each screen; none about any, or some about each.
        has_pages, is_complete: as in `ScreenBatch`.
    """
    arrays: dict[str, NDArray[Any]] = {"images": np.stack([screen.image for screen in screens])}
    shown = [targets_of(screen) for screen in screens]
    for name in PATCH_ARRAYS:
        arrays[name] = np.stack([getattr(each, name) for each in shown])
    if not asked[0]:
        empty = np.zeros((len(screens), 0), np.int32)
        arrays |= dict.fromkeys(("prefix_ids", *TURN_ARRAYS), empty)
        return ScreenBatch(request, has_pages, is_complete, **arrays)
    packed = [pack(s, t, processor) for s, t in zip(screens, asked, strict=True)]
    arrays["prefix_ids"] = np.stack([each.prefix_ids for each in packed])
    for name, filling in TURN_ARRAYS.items():
        arrays[name] = stack_padded([getattr(each, name) for each in packed], filling)
    return ScreenBatch(request, has_pages, is_complete, **arrays)


def stack_padded(arrays: Sequence[NDArray[Any]], filling: float) -> NDArray[Any]:
    """Stack arrays of different lengths, each axis filled up at its end to the longest."""
    shape = np.max([array.shape for array in arrays], axis=0)
    stacked = np.full((len(arrays), *shape), filling, arrays[0].dtype)
    for index, array in enumerate(arrays):
        stacked[index][tuple(slice(0, size) for size in array.shape)] = array
    return stacked


def to_tensors(batch: ScreenBatch[NDArray[Any]], *, pinned: bool = False) -> ScreenBatch[Tensor]:
    """Return the batch as tensors on the CPU, integers of int64.

    Args:
        pinned: in memory from which a GPU copies without the processor's help.
    """

    def convert(array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if tensor.dtype in (torch.int16, torch.int32):
            tensor = tensor.long()
        return tensor.pin_memory() if pinned else tensor

    return batch.mapped(convert)


def to_device(batch: ScreenBatch[Tensor], device: torch.device) -> Batch:
    """Return what the objectives take, on a device, without waiting for the copies."""
    there = batch.mapped(lambda tensor: tensor.to(device, non_blocking=True))
    pixels, grids = pixel_values(there.images)
    targets = PatchLabels(**{name: getattr(there, name) for name in PATCH_ARRAYS})
    return Batch(
        pixel_values=pixels,
        image_grid_thw=grids,
        prefix_ids=there.prefix_ids,
        turn_ids=there.input_ids,
        lengths=batch.lengths,  # on the CPU, where turns are laid out
        labels=there.labels,
        coordinate=there.coordinate,
        pointer_at=there.pointer_at,
        pointer_cells=there.pointer_cells,
        task=there.task,
        targets=targets if batch.is_complete else None,
    )


def pixel_values(images: Tensor) -> tuple[Tensor, Tensor]:
    """Cut screens into patches on the device that they are on, as the image processor does.

    Args:
        images: (B, H, W, 3) uint8, sides multiples of 28.

    Returns:
        pixel_values: (B * patches, 1176) float32.
        image_grid_thw: (B, 3) int64, on the CPU.
    """
    batch, height, width, _ = images.shape
    p, m = SETTINGS.patch_size, SETTINGS.merge_size
    rows, columns = height // p, width // p
    blocks = images.view(batch, rows // m, m, p, columns // m, m, p, 3)
    # -> screen, block row, block column, patch row, patch column, channel, pixel row, column
    patches = blocks.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(-1, 3, 1, p * p)
    scale, shift = (x[:, None, None].to(images.device) for x in SETTINGS.affine())
    normalised = patches.float() * scale + shift
    # a picture is two equal frames to the vision tower
    doubled = normalised.expand(-1, -1, 2, -1).reshape(len(patches), -1)
    return doubled, torch.tensor([[1, rows, columns]]).expand(batch, -1).contiguous()
