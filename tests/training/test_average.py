"""The mean of models: of every weight, in their own dtypes, and of nothing that does not fit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import randomize, tiny_config

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from training.average import main, move_to_mean

Model = Glm4vMoeForConditionalGeneration


def random_model(seed: int, text: dict[str, Any] | None = None) -> Model:
    torch.manual_seed(seed)
    model = Model(Glm4vMoeConfig(**tiny_config(text))).eval()
    randomize(model)
    return model


def test_every_weight_becomes_the_mean_by_shares() -> None:
    models = [random_model(seed) for seed in range(3)]
    before = [copy.deepcopy(model.state_dict()) for model in models]
    move_to_mean(models[0], models[1:], (1, 2, 1))
    for name, mean in models[0].state_dict().items():
        want = (before[0][name] + 2 * before[1][name] + before[2][name]) / 4
        torch.testing.assert_close(mean, want)
    for model, state in zip(models[1:], before[1:], strict=True):
        assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)


def test_weights_that_have_two_names_are_averaged_once() -> None:
    with torch.no_grad():
        one, other = (random_model(seed) for seed in range(2))
        for model in (one, other):
            model.lm_head.weight = model.model.language_model.embed_tokens.weight
        want = (one.lm_head.weight + other.lm_head.weight) / 2
    move_to_mean(one, [other], (0.5, 0.5))
    torch.testing.assert_close(one.lm_head.weight, want)
    assert one.lm_head.weight is one.model.language_model.embed_tokens.weight


def test_dtypes_are_kept_and_sums_are_exact() -> None:
    one, other = random_model(0).bfloat16(), random_model(1).bfloat16()
    dtypes = {name: tensor.dtype for name, tensor in one.state_dict().items()}
    weight = one.lm_head.weight.float() * 0.25 + other.lm_head.weight.float() * 0.75
    move_to_mean(one, [other], (0.25, 0.75))
    assert {name: tensor.dtype for name, tensor in one.state_dict().items()} == dtypes
    assert torch.equal(one.lm_head.weight, weight.bfloat16())


def test_models_of_other_shapes_have_no_mean() -> None:
    with pytest.raises(ValueError, match="different weights"):
        move_to_mean(random_model(0), [random_model(0, {"intermediate_size": 160})], (1, 1))


def test_there_is_a_share_for_each() -> None:
    with pytest.raises(ValueError, match="1 shares for 2 models"):
        move_to_mean(random_model(0), [random_model(1)], (1,))


def test_the_command_writes_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        random_model(seed).save_pretrained(tmp_path / str(seed))
    (tmp_path / "0" / "tokenizer_config.json").write_text("{}")
    folders = [str(tmp_path / name) for name in ("0", "1")]
    main([*folders, "--to", str(tmp_path / "mean"), "--shares", "0.75", "0.25"])
    mean = Model.from_pretrained(tmp_path / "mean").state_dict()
    one, other = (Model.from_pretrained(folder).state_dict() for folder in folders)
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, 0.75 * one[name] + 0.25 * other[name])
    assert (tmp_path / "mean" / "tokenizer_config.json").exists()
    assert "mean" in capsys.readouterr().err


def test_a_folder_that_exists_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["bundled", "bundled", "--to", str(tmp_path)])
    assert "exists; give a new folder" in capsys.readouterr().err
