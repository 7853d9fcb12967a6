"""How many steps fit into a time: each kind of step is tried and timed once, before the first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor

from training.batches import Request, ScreenBatch
from training.schedule import GROWTH, LARGEST, Schedule, typical_size
from training.trainer import Trainer
from training.workers import Workers

TRIED = 4  # steps of a level, of which the first warms up
MIN_STEPS = 10
SHARES_OF = 1000  # steps of a schedule from which the shares of levels are counted

BatchWorkers = Workers[Request, ScreenBatch[Any]]


def levels_of(largest: str, *, is_growing: bool) -> tuple[str, ...]:
    """Return the levels that screens go through in the grounding phase."""
    if not is_growing:
        return (largest,)
    known = [name for _, name in GROWTH if name in LARGEST]
    return tuple(name for name in known if LARGEST.index(name) <= LARGEST.index(largest))


def trial_schedule(largest: str, *, reads: bool, is_growing: bool) -> Schedule:
    """Return a schedule for the steps that `measure` takes."""
    levels = len(levels_of(largest, is_growing=is_growing))
    return Schedule(TRIED if reads else 0, TRIED * levels, largest, is_growing)


def measure(
    trainer: Trainer, workers: BatchWorkers, count: int, *, screens: int, turns: int
) -> dict[str, float]:
    """Time the steps of each level, and of "reading" if the trainer's schedule has that phase.

    A step takes as long as the slower of two: computing it while batches are made beside it, and
    making a batch by all processes together.

    Args:
        trainer: with a `trial_schedule`; it is of no use afterwards.
        workers: with nothing asked for.
        count: processes of ``workers``.
        screens, turns: as in `Request.of`.

    Returns:
        Seconds a step, by level.
    """
    schedule = trainer.schedule
    levels = ["reading"] if schedule.reading_steps else []
    levels += levels_of(schedule.largest, is_growing=schedule.is_growing)
    seconds: dict[str, float] = {}
    made_at_once = max(TRIED, 2 * count)

    def ask(level: str, times: int) -> None:
        for turn in range(times):
            workers.submit(_request(trainer, level, turn, screens=screens, turns=turns))

    ask(levels[0], max(1, count))  # processes begin by loading what they need
    for level in levels:
        while workers.untaken:
            workers.take()
        began = time.perf_counter()
        ask(level, made_at_once)
        workers.wait_until_made()
        making = (time.perf_counter() - began) / made_at_once
        times = []
        for _ in range(TRIED):
            ask(level, 1)
            began = _now(trainer.device)
            batch = workers.take()
            if count:  # else it was made just now, as it will be each time
                began = _now(trainer.device)
            _step(trainer, batch)
            times.append(_now(trainer.device) - began)
        # not the mean: what is met for the first time may take several times as long
        seconds[level] = max(making, median(times[1:]))
    while workers.untaken:
        workers.take()
    return seconds


def steps_in(
    seconds: float,
    pace: Mapping[str, float],
    largest: str,
    *,
    reading_share: float,
    is_growing: bool,
) -> Schedule:
    """Return the schedule whose steps take about so many seconds.

    Args:
        pace: as `measure` returns it.
        largest, is_growing: as in `Schedule`.
        reading_share: part of the seconds for the reading phase.
    """
    reading = seconds * reading_share
    shape = Schedule(0, SHARES_OF, largest, is_growing)
    mean = sum(pace[shape.level(step)] for step in range(SHARES_OF)) / SHARES_OF
    return Schedule(
        reading_steps=max(MIN_STEPS, round(reading / pace["reading"])) if reading else 0,
        grounding_steps=max(MIN_STEPS, round((seconds - reading) / mean)),
        largest=largest,
        is_growing=is_growing,
    )


def _request(trainer: Trainer, level: str, turn: int, *, screens: int, turns: int) -> Request:
    """Return a request of a level's typical size; every second one is short where levels begin."""
    is_reading = level == "reading"
    own = Request.of(
        trainer.schedule,
        0 if is_reading else trainer.schedule.reading_steps,
        level="small" if is_reading else level,
        seed=turn,
        screens=screens,
        turns=turns,
        difficulty=0.0,
    )
    is_short = trainer.schedule.is_growing and level in ("tiny", "small") and turn % 2 == 1
    return replace(own, sizes=(typical_size("small" if is_reading else level),), is_short=is_short)


def _step(trainer: Trainer, batch: ScreenBatch[Tensor]) -> None:
    """Take the trainer's next step with a batch that was made for any."""
    trainer.step(replace(batch, request=replace(batch.request, step=trainer.done)))


def _now(device: torch.device) -> float:
    """Return the time once the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
