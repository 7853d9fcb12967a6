"""The trainer as a command: it learns, goes on where it was stopped, and says what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_config

import training.options
import training.train
from grounding.evaluation.options import BUNDLED_FOLDER
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing import Glm4vProcessor
from training.materials import Materials
from training.objectives import ObjectiveWeights
from training.objectives.weights import CONTINUED, GROUNDING
from training.train import main

ROOT = Path(__file__).parents[2]
TIMES = ("seconds", "screens_per_second")  # in the log: what differs from run to run


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights that is as small as can be, with the bundled tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    bundled = json.loads((BUNDLED_FOLDER / "config.json").read_text())
    ids = {name: value for name, value in bundled.items() if name.endswith("_token_id")}
    names = ("vocab_size", "eos_token_id", "pad_token_id", "max_position_embeddings")
    text = {name: bundled["text_config"][name] for name in names}
    torch.manual_seed(0)
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config(text=text, **ids)))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json",
                 "video_preprocessor_config.json"):  # fmt: skip
        shutil.copyfile(BUNDLED_FOLDER / name, folder / name)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, materials: Materials) -> None:
    """Runs from scratch have the tiny sizes too, and little is asked at the end."""
    monkeypatch.setattr(training.options, "BUNDLED_FOLDER", tiny_folder)
    monkeypatch.setattr(training.train, "MIN_SCREENS", 1)
    monkeypatch.setattr(training.train, "WHITENED_SCREENS", 8)


def options(folder: Path, *more: str) -> list[str]:
    """In float32, which for tiny products is the fastest."""
    return ["--to", str(folder), "--sizes", "tiny", "--screens", "2", "--turns", "3",
            "--device", "cpu", "--workers", "0", "--dtype", "float32", *more]  # fmt: skip


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{n: v for n, v in json.loads(line).items() if n not in TIMES} for line in lines]


def weights_of(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C as the line of ``step`` is printed."""

    def say(entry: Mapping[str, Any], *, steps: int) -> None:
        if entry["step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training.train, "say", say)


@pytest.mark.slow
def test_a_run_from_scratch_leaves_log_curves_state_and_a_model_with_its_card(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(options(run, "--steps", "6", "--reading-share", "0.34")) == 0
    entries = log_of(run)
    assert [entry["phase"] for entry in entries] == ["reading"] * 2 + ["grounding"] * 4
    assert all(entry["loss"] > 0 for entry in entries)
    assert {"curves.png", "state.pt", "settings.json"} <= {file.name for file in run.iterdir()}
    card = (run / "model" / "README.md").read_text()
    assert "random weights" in card and "6 steps" in card and "--steps 6" in card
    model = Glm4vMoeForConditionalGeneration.from_pretrained(run / "model")
    assert model.lm_head.weight.dtype == torch.bfloat16
    processor = Glm4vProcessor.from_pretrained(run / "model")
    assert processor.tokenizer.added_tokens["<|image|>"] == model.config.image_token_id
    assert processor.tokenizer.vocab_size == model.lm_head.out_features
    assert "written" in capfd.readouterr().err


def test_the_loss_falls(tmp_path: Path, tiny_folder: Path) -> None:
    run = tmp_path / "run"
    main(options(run, "--from", str(tiny_folder), "--steps", "16", "--learning-rate", "0.01"))
    losses = [entry["loss/answers"] for entry in log_of(run)]
    assert sum(losses[-4:]) < 2 / 3 * sum(losses[:4])


def test_a_run_goes_on_from_another_with_what_only_training_needs(
    tmp_path: Path, tiny_folder: Path
) -> None:
    first, whole, weights = tmp_path / "first", tmp_path / "whole", tmp_path / "weights"
    asked = ("--steps", "12", "--learning-rate", "0.01")
    assert main(options(first, "--from", str(tiny_folder), *asked)) == 0
    asked = ("--steps", "1", "--seed", "1")
    assert main(options(whole, "--from", str(first), *asked)) == 0
    assert main(options(weights, "--from", str(first / "model"), *asked)) == 0
    (step,), (step_of_weights,) = log_of(whole), log_of(weights)
    # the same model on the same screens, but the heads that are not exported begin anew
    answers = pytest.approx(step_of_weights["loss/answers"], rel=0.02)  # the export is rounded
    assert step["loss/answers"] == answers
    for head in ("image_coordinates", "token_characters", "roles", "boxes", "letters"):
        assert step[f"loss/{head}"] < step_of_weights[f"loss/{head}"]
    assert step["loss/patch_characters"] < 0.9 * step_of_weights["loss/patch_characters"]
    states = [torch.load(run / "state.pt", weights_only=True) for run in (first, whole)]
    steps = [state["trainer"]["optimizer"]["steps"] for state in states]
    assert steps == [12, 13]


@pytest.mark.parametrize(
    ("start", "weights"),
    [("bundled", CONTINUED), pytest.param("scratch", GROUNDING, marks=pytest.mark.slow)],
)
def test_the_loss_of_a_model_that_has_learnt_is_mostly_that_of_its_answers(
    tmp_path: Path, start: str, weights: ObjectiveWeights
) -> None:
    run = tmp_path / "run"
    more = ("--reading-share", "0") if start == "scratch" else ()
    assert main(options(run, "--from", start, "--steps", "1", *more)) == 0
    (step,) = log_of(run)
    parts = [weight * step[f"loss/{name}"] for name, weight in asdict(weights).items()]
    assert step["loss"] == pytest.approx(sum(parts), rel=1e-3)


def test_a_run_that_has_not_ended_is_not_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped, other = tmp_path / "stopped", tmp_path / "other"
    stopped.mkdir()
    (stopped / "state.pt").touch()
    for start, to, message in (
        (stopped, other, "this run has not ended; end it with its own command"),
        (stopped, stopped, "a run cannot go on from itself"),
    ):
        with pytest.raises(SystemExit):
            main(options(to, "--from", str(start)))
        assert message in capsys.readouterr().err
    assert not other.exists()


def test_a_damaged_state_of_the_run_to_go_on_from_leaves_no_folder_behind(
    tmp_path: Path, tiny_folder: Path
) -> None:
    damaged, other = tmp_path / "damaged", tmp_path / "other"
    shutil.copytree(tiny_folder, damaged / "model")
    (damaged / "state.pt").write_bytes(b"PK torn")
    weights_alone = re.escape(f"--from {damaged / 'model'} goes on from its weights alone")
    with pytest.raises(SystemExit, match=rf"(?s)state\.pt can't be read .*{weights_alone}"):
        main(options(other, "--from", str(damaged)))
    assert not other.exists()


# in the first phase; before a step of the second whose batch was asked for in the first
@pytest.mark.parametrize("stop", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_ends_as_an_unbroken_one(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    asked = ("--steps", "5", "--reading-share", "0.5")
    assert main(options(unbroken, *asked)) == 0
    with monkeypatch.context() as patch:
        stop_after(stop, patch)
        assert main(options(broken, *asked)) == training.train.INTERRUPTED
    assert len(log_of(broken)) == stop
    assert not (broken / "model").exists()
    assert main(options(broken, *asked)) == 0
    assert log_of(broken) == log_of(unbroken)
    assert weights_of(broken) == weights_of(unbroken)


@pytest.mark.slow
def test_other_settings_do_not_go_on_with_a_run(tmp_path: Path, tiny_folder: Path) -> None:
    run = tmp_path / "run"
    asked = ("--from", str(tiny_folder), "--steps", "1")
    assert main(options(run, *asked)) == 0
    before = weights_of(run)
    with pytest.raises(SystemExit, match=r"(?s)seed: there 0, here 1"):
        main(options(run, *asked, "--seed", "1"))
    assert weights_of(run) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minutes", "0"], "not a positive number"),
        (["--minutes", "1", "--steps", "1"], "not both"),
        (["--from", "nowhere"], "nowhere has no config.json"),
        (["--from", "bundled", "--reading-share", "0.5"], "belongs to --from scratch"),
        (["--device", "abacus"], "no such device"),
        (["--sizes", "huge"], "invalid choice"),
        (["--workers", "-1"], "not between"),
        (["--web", "nowhere"], "there is no screens.json"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--device", "cuda"])
    assert "no CUDA device" in capsys.readouterr().err


def test_a_broken_checkpoint_leaves_no_folder_behind(tmp_path: Path, tiny_folder: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(SystemExit, match="model.safetensors"):
        main(options(tmp_path / "run", "--from", str(broken), "--steps", "1"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_measuring_in_between_changes_nothing(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--from", str(tiny_folder), "--steps", "4")
    assert main(options(tmp_path / "plain", *asked)) == 0
    monkeypatch.setattr(training.train, "SCREENS_BETWEEN", 1)
    monkeypatch.setattr(training.train.Training, "_evaluations", lambda self: 1)
    assert main(options(tmp_path / "measured", *asked)) == 0
    measured = [entry for entry in log_of(tmp_path / "measured") if "text right" in entry]
    assert [entry["step"] for entry in measured] == [2]
    assert weights_of(tmp_path / "measured") == weights_of(tmp_path / "plain")


# Saves after each step, and kills itself hard as a line is printed.
KILLED = """
import os, signal, sys
import training.loop, training.options, training.train
from pathlib import Path

training.loop.SAVE_EVERY_S = 0.0
training.options.BUNDLED_FOLDER = Path(sys.argv[1])
training.train.MIN_SCREENS, training.train.WHITENED_SCREENS = 1, 8

def say(entry, *, steps):
    if entry["step"] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

training.train.say = say
if __name__ == "__main__":
    sys.exit(training.train.main(sys.argv[3:]))
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_from_its_last_state(
    tmp_path: Path, tiny_folder: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    asked = ("--steps", "5", "--reading-share", "0.25", "--workers", "2")

    def train(run: Path, kill_at: int) -> int:
        command = [sys.executable, str(script), str(tiny_folder), str(kill_at)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [*command, *options(run, *asked)], env=environment, capture_output=True, timeout=240
        ).returncode

    assert train(tmp_path / "unbroken", 99) == 0
    assert train(tmp_path / "broken", 3) == -signal.SIGKILL
    assert len(log_of(tmp_path / "broken")) == 3  # one more than in the state
    assert train(tmp_path / "broken", 99) == 0
    assert weights_of(tmp_path / "broken") == weights_of(tmp_path / "unbroken")
    assert log_of(tmp_path / "broken") == log_of(tmp_path / "unbroken")


@pytest.mark.slow
def test_steps_are_fixed_from_the_speed_once(tmp_path: Path, tiny_folder: Path) -> None:
    run = tmp_path / "run"
    asked = ("--from", str(tiny_folder), "--minutes", "0.2")
    assert main(options(run, *asked)) == 0
    schedule = json.loads((run / "settings.json").read_text())["schedule"]
    assert schedule["reading_steps"] == 0
    assert log_of(run)[-1]["step"] == schedule["grounding_steps"]
    assert main(options(run, *asked)) == 0
    assert json.loads((run / "settings.json").read_text())["schedule"] == schedule
