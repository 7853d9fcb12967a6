"""The trainer's command line: what a run is to be, checked before any work begins."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from grounding.evaluation.options import BUNDLED, BUNDLED_FOLDER
from model.checkpoint.dtypes import fast_dtype
from training.folders import SCREENS_NAME
from training.run import MODEL, is_run
from training.schedule import LARGEST
from training.web.source import SHARE

SCRATCH = "scratch"
DEFAULT_RUN = Path("training-run")
DEFAULT_MINUTES = 60.0
DTYPES = ("auto", "bfloat16", "float32")

# What one device does well: screens in a batch, questions about each. One in fourteen questions is
# about the whole screen.
CPU_SCREENS, CPU_TURNS = 8, 14
GPU_SCREENS, GPU_TURNS = 48, 21
# Full learning rates; a model that has learnt already takes smaller steps.
READING_RATE, SCRATCH_RATE, CONTINUED_RATE = 2.5e-3, 2e-3, 1e-3
READING_SHARE = 0.14  # of a run's time, from scratch


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for.

    Attributes:
        start: "scratch", "bundled", or the folder of a checkpoint or of a run that has ended.
        run_folder: where everything is kept.
        minutes: how long the run may take; None if ``steps`` says how many it has.
        steps: of training; None if they are fixed from the measured speed.
        device: where to compute.
        workers: processes that make batches.
        materials: folder of fonts, icons and words; None for the cache.
        web: folders of web pages that ``python -m training.web`` has written.
        web_share: part of the batches of the grounding phase that show them.
        seed: of weights, screens and questions.
        sizes: largest screens, a name of `training.schedule.LARGEST`.
        screens: in a batch of small screens.
        turns: questions about each.
        reading_share: part of the run for the reading phase; 0 unless from scratch.
        learning_rate: full one of the grounding phase.
        dtype: of the parameters.
        command: the command line.
    """

    start: str
    run_folder: Path
    minutes: float | None
    steps: int | None
    device: str
    workers: int
    materials: Path | None
    web: tuple[Path, ...]
    web_share: float
    seed: int
    sizes: str
    screens: int
    turns: int
    reading_share: float
    learning_rate: float
    dtype: str
    command: str

    @property
    def is_from_scratch(self) -> bool:
        """Whether the model begins without knowing anything."""
        return self.start == SCRATCH

    @property
    def start_run(self) -> Path | None:
        """The run that is gone on from, with what only training needs; None without one."""
        folder = self._given_folder
        return folder if folder is not None and is_run(folder) else None

    @property
    def start_folder(self) -> Path:
        """The checkpoint that gives weights, or only sizes."""
        folder = self._given_folder
        if folder is None:
            return BUNDLED_FOLDER
        return folder if self.start_run is None else folder / MODEL

    @property
    def _given_folder(self) -> Path | None:
        return None if self.start in (BUNDLED, SCRATCH) else Path(self.start).expanduser()

    def of_result(self) -> dict[str, Any]:
        """Return what the trained weights depend on, as plain values."""
        names = ("minutes", "steps", "seed", "sizes", "screens", "turns", "reading_share")
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        folder = self._given_folder
        start = self.start if folder is None else str(folder.resolve())
        web = [str(folder.resolve()) for folder in self.web]
        values |= {"web": web, "web_share": self.web_share if web else 0.0}
        values |= {"learning_rate": self.learning_rate, "dtype": self.dtype}
        return {"from": start, **values}


def read_settings(description: str, arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings; exits with a message if something can't be done as asked."""
    parser = _parser(description)
    given = parser.parse_args(arguments)
    device = given.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        parser.error(f"--device {device}: there is no such device; use cpu, cuda or cuda:0")
    if kind == "cuda" and not torch.cuda.is_available():
        parser.error(
            f"--device {device}: PyTorch sees no CUDA device here; use --device cpu, or install a "
            "build of PyTorch for this GPU's driver"
        )
    is_gpu = kind != "cpu"
    dtype = given.dtype
    if dtype == "auto":
        dtype = str(fast_dtype(torch.device(device))).removeprefix("torch.")
    is_scratch = given.start == SCRATCH
    if given.minutes is not None and given.steps is not None:
        parser.error("give --minutes or --steps, not both")
    if given.steps is None and given.minutes is None:
        given.minutes = DEFAULT_MINUTES
    reading_share = READING_SHARE if given.reading_share is None else given.reading_share
    if not is_scratch and given.reading_share:
        parser.error("--reading-share belongs to --from scratch; a trained model reads already")
    rate = given.learning_rate or (SCRATCH_RATE if is_scratch else CONTINUED_RATE)
    workers = given.workers
    if workers is None:
        workers = max(1, (os.cpu_count() or 2) - 1) if is_gpu else 1
    settings = Settings(
        start=given.start,
        run_folder=given.to,
        minutes=given.minutes,
        steps=given.steps,
        device=device,
        workers=workers,
        materials=given.materials,
        web=tuple(given.web),
        web_share=given.web_share,
        seed=given.seed,
        sizes=given.sizes,
        screens=given.screens or (GPU_SCREENS if is_gpu else CPU_SCREENS),
        turns=given.turns or (GPU_TURNS if is_gpu else CPU_TURNS),
        reading_share=reading_share if is_scratch else 0.0,
        learning_rate=rate,
        dtype=dtype,
        command=command_line("training.train", arguments),
    )
    run = settings.start_run
    if run is not None and run.resolve() == settings.run_folder.resolve():
        parser.error(f"--from {given.start}: a run cannot go on from itself; give another --to")
    if run is not None and not (settings.start_folder / "config.json").is_file():
        parser.error(
            f"--from {given.start}: this run has not ended; end it with its own command, or give "
            "the folder of a checkpoint"
        )
    if not (settings.start_folder / "config.json").is_file():
        parser.error(
            f"--from {given.start}: {settings.start_folder} has no config.json; give the folder of "
            "a checkpoint, bundled or scratch"
        )
    for folder in settings.web:
        if not (folder / SCREENS_NAME).is_file():
            parser.error(
                f"--web {folder}: there is no {SCREENS_NAME} in it; give a folder that "
                "'python -m training.web' has written"
            )
    return settings


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=_positive, help=f"how long it may take ({DEFAULT_MINUTES:.0f})")
    add("--steps", type=_count, help="how many steps instead, whatever they take")
    add(
        "--from",
        dest="start",
        metavar="START",
        default=SCRATCH,
        help="scratch (the default), bundled, or the folder to go on from: a checkpoint's, or that "
        "of a run that has ended, whose heads and optimizer it takes over too",
    )
    add(
        "--to",
        type=Path,
        metavar="RUN_FOLDER",
        default=DEFAULT_RUN,
        help="where state, log, curves and the checkpoint go; a run there goes on (%(default)s)",
    )
    add("--device", default="auto", help="auto, cpu, or a device such as cuda:0 (%(default)s)")
    add("--workers", type=_workers, help="processes that make batches (1; all cores on a GPU)")
    add("--seed", type=int, default=0, help="of weights, screens and questions (%(default)s)")
    add("--sizes", choices=LARGEST, default="middle", help="the largest screens (%(default)s)")
    add("--screens", type=_count, help=f"in a batch ({CPU_SCREENS}; {GPU_SCREENS} on a GPU)")
    add("--turns", type=_count, help=f"questions each ({CPU_TURNS}; {GPU_TURNS} on a GPU)")
    add(
        "--reading-share",
        type=share,
        help=f"part of a run from scratch in which the vision tower learns alone ({READING_SHARE})",
    )
    add(
        "--learning-rate",
        type=_positive,
        help=f"full one ({SCRATCH_RATE} from scratch, {CONTINUED_RATE} else)",
    )
    add(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help="of the parameters; auto is bfloat16 where the device multiplies it (%(default)s)",
    )
    add(
        "--web",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="of pages that training.web wrote, shown too",
    )
    add("--web-share", type=share, default=SHARE, help="of batches that are pages (%(default)s)")
    add("--materials", type=Path, help="folder of fonts, icons and words, if not the cache")
    return parser


def command_line(program: str, arguments: Sequence[str] | None) -> str:
    """Return what starts a program with these arguments, or with those of this process."""
    words = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["python", "-m", program, *words])


def _positive(text: str) -> float:
    if not 0 < (number := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _workers(text: str) -> int:
    if not 0 <= (number := int(text)) <= 256:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 256")
    return number


def share(text: str) -> float:
    """Read an option that is a part of a whole, 0 included and 1 excluded."""
    if not 0 <= (number := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0 .. 1, 1 excluded")
    return number
