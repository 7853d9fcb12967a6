"""Fitting to one's own screens: folders are checked first, nothing measured is learnt from."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from grounding.evaluation.datasets import DatasetError
from grounding.evaluation.options import BUNDLED_FOLDER
from model.processing import Glm4vProcessor
from training import fit
from training.batches import Request
from training.evaluation import Score
from training.own_screens import (
    OwnAndDrawnScreens,
    OwnScreen,
    ask_about_part,
    check_apart,
    cut,
    questions_about,
    read_own_screens,
    split,
)
from training.tasks import NOT_THERE, Turn

RED = (220, 30, 30)
BLUE = (20, 30, 230)


@pytest.fixture(scope="module")
def processor() -> Glm4vProcessor:
    return Glm4vProcessor.from_pretrained(BUNDLED_FOLDER)


def write_own(folder: Path, count: int = 2, *, size: tuple[int, int] = (230, 170)) -> None:
    """Write screens with a red button each, a little further to the right on each."""
    folder.mkdir(exist_ok=True)
    entries = []
    for number in range(count):
        left = 20 + 10 * number
        image = Image.new("RGB", size, "white")
        image.paste(RED, (left, 60, left + 80, 100))
        image.save(folder / f"{number}.png")
        box = [left, 60, 80, 40]
        entries.append(entry(f"{number}.png", bbox=box))
    write_entries(folder, entries)


def entry(picture: str, **changes: Any) -> dict[str, Any]:
    about = {"instruction": f"button {picture}", "data_type": "text", "data_source": "mine"}
    return {"img_filename": picture, "bbox": [1, 1, 9, 9], **about, **changes}


def write_entries(folder: Path, entries: list[dict[str, Any]]) -> None:
    (folder / "screenspot_own.json").write_text(json.dumps(entries))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"img_filename": "lost.png"}, r"missing, the first is lost\.png"),
        ({"bbox": [200, 10, 60, 20]}, r"box from \(200, 10\) to \(260, 30\) is not inside 0\.png"),
        ({"bbox": [10, 10, 0, 20]}, "has no area"),
        ({"instruction": "  "}, "instruction is '  '; expected a text"),
        ({"img_filename": "bad.png"}, r"bad\.png.*save it again"),
    ],
    ids=["no picture", "box outside", "empty box", "no instruction", "damaged picture"],
)
def test_a_folder_that_is_wrong_is_refused_before_work_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "own"
    write_own(folder)
    (folder / "bad.png").write_bytes(b"no picture")
    write_entries(folder, [entry("1.png"), entry("0.png", **wrong)])
    with pytest.raises(SystemExit, match=f"(?s){said}.*Nothing was trained"):
        fit.main([str(folder), "--to", str(tmp_path / "fitted")])
    assert not (tmp_path / "fitted").exists()
    assert capsys.readouterr().err == ""


def test_pictures_are_split_not_their_targets(tmp_path: Path, processor: Glm4vProcessor) -> None:
    write_own(tmp_path, 6)
    screens = read_own_screens(tmp_path, processor)
    learnt, held_out = split(screens, 0.33, seed=1)
    assert (len(learnt), len(held_out)) == (4, 2)
    assert not {s.file for s in learnt} & {s.file for s in held_out}
    assert split(screens, 0.33, seed=1) == (learnt, held_out)
    with pytest.raises(DatasetError, match="one screen cannot be both"):
        split(screens[:1], 0.33, seed=1)


def test_a_picture_that_is_learnt_from_is_not_measured_on(
    tmp_path: Path, processor: Glm4vProcessor
) -> None:
    write_own(tmp_path / "a")
    write_own(tmp_path / "b", 1)
    learnt, held_out = (read_own_screens(tmp_path / name, processor) for name in "ab")
    with pytest.raises(DatasetError, match="same picture"):
        check_apart(learnt, held_out)
    check_apart(learnt[1:], held_out)


def test_targets_stay_on_their_pixels_in_every_part_of_a_screen(
    tmp_path: Path, processor: Glm4vProcessor
) -> None:
    write_own(tmp_path, 1)
    [own] = read_own_screens(tmp_path, processor)
    assert own.seen_size == (532, 392)  # as large as the processor's least size, 28 divides it
    rng = random.Random(0)
    seen = 0
    for _ in range(40):
        part = cut(own, (448, 308), rng).screen
        assert part.image.shape == (308, 448, 3)
        for element in part.elements:
            seen += 1
            x0, y0, x1, y1 = element.box
            rows, columns = np.nonzero(part.image[..., 1] < 128)
            assert columns.min() == pytest.approx(x0, abs=1.5)
            assert columns.max() + 1 == pytest.approx(x1, abs=1.5)
            assert rows.min() == pytest.approx(y0, abs=1.5)
            assert rows.max() + 1 == pytest.approx(y1, abs=1.5)
    assert seen > 10


def test_what_a_part_lacks_is_asked_for_and_said_to_be_missing(
    tmp_path: Path, processor: Glm4vProcessor
) -> None:
    write_own(tmp_path, 1)
    with Image.open(tmp_path / "0.png") as image:
        image.paste(BLUE, (195, 140, 225, 165))
        image.save(tmp_path / "0.png")
    blue = entry("0.png", instruction="blue one", bbox=[195, 140, 30, 25])
    write_entries(tmp_path, [entry("0.png", bbox=[20, 60, 80, 40]), blue])
    [own] = read_own_screens(tmp_path, processor)
    rng = random.Random(0)
    lacking = 0
    for _ in range(60):
        part = cut(own, (336, 252), rng)
        shown = part.screen.image.astype(int)
        is_there = bool((shown[..., 2] - shown[..., 0] > 120).any())
        assert not (is_there and "blue one" in part.missing)
        assert is_there or all(e.name != "blue one" for e in part.screen.elements)
        turns = ask_about_part(part, rng, 8)
        assert len(turns) == (8 if part.screen.elements else 0)
        assert any(turn.element for turn in turns) == bool(part.screen.elements)
        for turn in turns:
            assert (turn.answer == NOT_THERE) == any(n in turn.question for n in part.missing)
            lacking += turn.answer == NOT_THERE
    assert lacking > 10


def test_a_whole_screen_lacks_nothing(tmp_path: Path, processor: Glm4vProcessor) -> None:
    write_own(tmp_path, 1)
    [own] = read_own_screens(tmp_path, processor)
    part = cut(own, own.seen_size, random.Random(0))
    assert part.missing == ()
    asked = ask_about_part(part, random.Random(0), 8)
    assert all(turn.element is not None for turn in asked)


def test_batches_are_own_screens_and_drawn_ones_and_repeat(
    tmp_path: Path, processor: Glm4vProcessor
) -> None:
    write_own(tmp_path)
    screens = read_own_screens(tmp_path, processor)
    make = OwnAndDrawnScreens(BUNDLED_FOLDER, screens, drawn_share=0.5)

    def request(step: int) -> Request:
        return Request(0, step, "grounding", ((168, 140),), 2, 4, False, False, 0.0, 1.0)

    batches = [make(request(step)) for step in range(8)]
    assert all(not batch.is_complete for batch in batches)
    has_red = [bool((batch.images == RED).all(-1).any()) for batch in batches]
    assert True in has_red
    assert False in has_red
    assert all((batch.lengths > 0).all() for batch in batches)
    again = make(request(3))
    np.testing.assert_array_equal(again.images, batches[3].images)
    np.testing.assert_array_equal(again.input_ids, batches[3].input_ids)


def test_what_is_measured_is_asked_about_the_picture_as_it_is(
    tmp_path: Path, processor: Glm4vProcessor
) -> None:
    write_own(tmp_path, 1)
    [asking] = questions_about(read_own_screens(tmp_path, processor))
    screen, turn = asking.question.screen, asking.question.turn
    assert asking.file == tmp_path / "0.png"
    assert (screen.width, screen.height) == (230, 170)
    assert turn.question == "Click on button 0.png"
    assert isinstance(turn, Turn)
    assert turn.element is not None
    assert turn.element.box == (20, 60, 100, 100)


@pytest.mark.slow
@pytest.mark.parametrize(("right_after", "verdict"), [(7, "is better"), (5, "is not better")])
def test_the_better_model_is_kept_and_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    right_after: int,
    verdict: str,
) -> None:
    measured: list[Path] = []

    def measure(_: Any, checkpoint: Path) -> list[Score]:
        measured.append(checkpoint)
        assert (checkpoint / "model.safetensors").is_file()
        return [Score("text", False, 10, right_after if len(measured) == 2 else 5, 0.5)]

    trained: list[dict[str, torch.Tensor]] = []
    train = fit._Fit.train

    def note(self: Any, model: Any) -> Any:
        after, steps = train(self, model)
        trained.append(copy.deepcopy(after.state_dict()))
        return after, steps

    monkeypatch.setattr(fit._Fit, "measure", measure)
    monkeypatch.setattr(fit._Fit, "train", note)
    write_own(tmp_path / "own", 4, size=(168, 140))
    to = tmp_path / "fitted"
    fit.main([str(tmp_path / "own"), "--to", str(to), "--steps", "2", "--workers", "0"])
    said = capsys.readouterr().err
    assert "before: 50.0% right" in said
    assert f"after:  {right_after}0.0% right" in said
    assert verdict in said
    assert measured[0] == BUNDLED_FOLDER
    kept = load_file(to / "model.safetensors")
    start = load_file(BUNDLED_FOLDER / "model.safetensors")
    is_as_it_was = all(torch.equal(kept[name], start[name]) for name in start)
    assert is_as_it_was is (verdict == "is not better")
    name = "lm_head.weight"
    assert not torch.equal(trained[0][name], start[name])
    if not is_as_it_was:  # half of what it was, half of what it became
        mean = (trained[0][name].float() + start[name].float()) / 2
        assert torch.equal(kept[name], mean.bfloat16())
    assert f"{max(right_after, 5)}0%" in (to / "README.md").read_text()


@pytest.mark.slow
def test_the_kept_model_is_measured_by_the_engine(tmp_path: Path) -> None:
    write_own(tmp_path, 2, size=(168, 140))
    options = [str(tmp_path), "--to", str(tmp_path / "to"), "--hold-out-share", "0.5"]
    [score] = fit._Fit(fit._read_settings(options)).measure(BUNDLED_FOLDER)
    assert (score.task, score.thinking, score.count) == ("text", False, 1)


def test_a_screen_is_what_the_evaluation_counts(tmp_path: Path, processor: Glm4vProcessor) -> None:
    write_own(tmp_path, 1)
    [own] = read_own_screens(tmp_path, processor)
    assert own == OwnScreen(
        tmp_path / "0.png", (230, 170), (532, 392), (("button 0.png", (20, 60, 100, 100), "text"),)
    )
