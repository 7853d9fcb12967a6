"""The folder of a training run: what was asked for, where it stands, its log and its curves.

  settings.json   what the run was started with, and the steps that were fixed from its speed
  start/          of a run from scratch: its tokenizer, and the sizes of its model
  state.pt        everything that the next step depends on, as of the last time it was saved
  log.jsonl       a line for every few steps and for every evaluation
  curves.png      the log as curves
  model/          the exported checkpoint, once the run has ended

Every file but the log is replaced as a whole, so a run that is killed leaves the last one intact.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import torch

from training.curves import draw_curves
from training.schedule import Schedule

SETTINGS = "settings.json"
STATE = "state.pt"
LOG = "log.jsonl"
CURVES = "curves.png"
START = "start"
MODEL = "model"
LOCK = ".lock"


class RunError(ValueError):
    """A folder can't be used for a run; the message says why and what to do."""


class RunFolder:
    """Opens the folder of a run, new or to go on with; other processes can't meanwhile.

    Args:
        path: made if there is none.
        settings: all that the result depends on, as plain values.

    Raises:
        RunError: the folder holds something else, a run with other settings, or one that is going
            on right now.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        settings = json.loads(json.dumps(dict(settings)))  # as they will be read: tuples are lists
        _check_is_ours(path)
        path.mkdir(parents=True, exist_ok=True)
        self._lock = (path / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise RunError(
                f"{path} is in use by a run that is going on; wait for its end, or give another "
                "folder"
            ) from error
        self._about: dict[str, Any] = {"settings": settings, "schedule": None}
        if (path / SETTINGS).exists():
            self._about = json.loads((path / SETTINGS).read_text(encoding="utf-8"))
            try:
                _check_agrees(path, self._about["settings"], settings)
            except RunError:
                self.close()
                raise
        else:
            self._write_about()

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def schedule(self) -> Schedule | None:
        """The steps of the run; None until they are fixed."""
        kept = self._about["schedule"]
        return None if kept is None else Schedule(**kept)

    def fix(self, schedule: Schedule) -> None:
        """Keep the steps of the run, for good."""
        self._about["schedule"] = asdict(schedule)
        self._write_about()

    def start(self, write: Callable[[Path], None]) -> Path:
        """Return the folder of what the run began with; ``write`` fills it if there is none."""
        folder = self.path / START
        if not folder.exists():
            beside = self.path / f".{START}.new"
            write(beside)
            os.replace(beside, folder)
        return folder

    @property
    def model(self) -> Path:
        """Where the checkpoint goes."""
        return self.path / MODEL

    def load_state(self) -> dict[str, Any] | None:
        """Return what `save_state` was given last, tensors on the CPU; None if it never was."""
        if not is_run(self.path):
            return None
        return read_state(self.path, remedy="move it away to begin anew")

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep tensors and plain values from which the run goes on."""
        with replacing(self.path / STATE) as stream:
            torch.save(dict(state), stream)

    def entries(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        file = self.path / LOG
        if not file.exists():
            return []
        lines = file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]  # a last one may be torn

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append a line to the log; ``entry["step"]`` counts the steps that were done."""
        with (self.path / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(dict(entry)) + "\n")

    def forget_after(self, step: int) -> None:
        """Take the lines of later steps out of the log: they will be done again."""
        kept = [entry for entry in self.entries() if entry["step"] <= step]
        with replacing(self.path / LOG) as stream:
            stream.writelines(f"{json.dumps(entry)}\n".encode() for entry in kept)

    def draw(self) -> None:
        """Draw the log's curves."""
        picture = draw_curves(self.entries())
        with replacing(self.path / CURVES) as stream:
            picture.save(stream, format="PNG")

    def _write_about(self) -> None:
        with replacing(self.path / SETTINGS) as stream:
            stream.write((json.dumps(self._about, indent=2) + "\n").encode())


def is_run(path: Path) -> bool:
    """Tell whether a folder holds a run that has taken steps."""
    return (path / STATE).is_file()


def read_state(path: Path, *, remedy: str) -> dict[str, Any]:
    """Return what the run in a folder kept last, tensors on the CPU that are read as they are used.

    Raises:
        RunError: the file is damaged; the message ends with ``remedy``.
    """
    file = path / STATE
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise RunError(f"{file} can't be read ({error}); {remedy}") from error


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Give a stream whose content replaces a file in one step, once the context ends well."""
    beside = file.with_name(f".{file.name}.new")
    with beside.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(beside, file)


def _check_is_ours(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; give a folder for the run")
    if path.is_dir() and not (path / SETTINGS).exists():
        names = sorted(file.name for file in path.iterdir() if file.name != LOCK)
        if names and not all(name.startswith(f".{SETTINGS}") for name in names):
            raise RunError(
                f"{path} holds something else ({', '.join(names[:3])}...) and no {SETTINGS}; give "
                "an empty or a new folder for the run"
            )


def _check_agrees(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    differing = [name for name in _either(there, here) if there.get(name) != here.get(name)]
    if differing:
        lines = [f"  {name}: there {there.get(name)}, here {here.get(name)}" for name in differing]
        raise RunError(
            f"{path} holds a run with other settings:\n" + "\n".join(lines) + "\n"
            "give the same ones to go on with it, or another folder for a new run"
        )


def _either(a: Iterable[str], b: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))
