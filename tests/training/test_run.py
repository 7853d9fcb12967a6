"""The folder of a run: it goes on where it was, and nothing that is there is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from training.curves import draw_curves
from training.run import RunError, RunFolder, replacing
from training.schedule import Schedule

SETTINGS = {"seed": 1, "sizes": "small", "steps": None}
SCHEDULE = Schedule(reading_steps=3, grounding_steps=9, largest="small", is_growing=True)


def test_steps_once_fixed_are_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SETTINGS) as run:
        assert run.schedule is None
        run.fix(SCHEDULE)
    with RunFolder(tmp_path / "run", SETTINGS) as again:
        assert again.schedule == SCHEDULE


def test_a_run_with_other_settings_says_what_differs(tmp_path: Path) -> None:
    RunFolder(tmp_path, SETTINGS).close()
    with pytest.raises(RunError, match=r"(?s)seed: there 1, here 2.*another folder") as caught:
        RunFolder(tmp_path, {**SETTINGS, "seed": 2})
    assert "sizes" not in str(caught.value)
    RunFolder(tmp_path, SETTINGS).close()  # not locked by the attempt


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="letter.txt"):
        RunFolder(tmp_path, SETTINGS)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(RunError, match="is a file"):
        RunFolder(tmp_path / "letter.txt", SETTINGS)


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path, SETTINGS),
        pytest.raises(RunError, match="going on"),
    ):
        RunFolder(tmp_path, SETTINGS)


def test_the_state_comes_back_as_it_was(tmp_path: Path) -> None:
    weight = torch.arange(3.0)
    state = {"step": 7, "weights": {"a": weight}, "pending": [(8, 0.25), (9, 0.5)]}
    with RunFolder(tmp_path, SETTINGS) as run:
        assert run.load_state() is None
        run.save_state(state)
        loaded = run.load_state()
    assert loaded is not None and torch.equal(loaded["weights"]["a"], weight)
    assert (loaded["step"], loaded["pending"]) == (7, [(8, 0.25), (9, 0.5)])


def test_writing_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "state.pt"
    file.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(file) as stream:
        stream.write(b"ne")
        raise KeyboardInterrupt
    assert file.read_bytes() == b"old"


def test_lines_of_steps_that_will_be_done_again_are_forgotten(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS) as run:
        for step in (10, 20, 30):
            run.add({"step": step, "phase": "grounding", "loss": 1 / step})
        with (tmp_path / "log.jsonl").open("a") as stream:
            stream.write('{"step": 40, "lo')  # killed while it was written
        run.forget_after(20)
        run.add({"step": 30, "phase": "grounding", "loss": 2.0})
        assert [entry["step"] for entry in run.entries()] == [10, 20, 30]
        assert run.entries()[-1]["loss"] == 2.0


def test_curves_show_every_number_of_the_log(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS) as run:
        for step in range(1, 30):
            phase = "reading" if step < 10 else "grounding"
            run.add({"step": step, "phase": phase, "loss": 5 / step, "hits": step / 30})
        run.add({"step": 30, "phase": "grounding", "text clicks": 0.4})
        run.draw()
        entries = run.entries()
    curves = draw_curves(entries)
    only_loss = draw_curves([{k: v for k, v in e.items() if k != "hits"} for e in entries])
    assert curves.tobytes() != only_loss.tobytes()
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_settings_are_readable(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS) as run:
        run.fix(SCHEDULE)
    about = json.loads((tmp_path / "settings.json").read_text())
    assert about["settings"] == SETTINGS
    assert about["schedule"]["grounding_steps"] == 9
