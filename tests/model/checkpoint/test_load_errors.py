"""What can be wrong with a checkpoint is said before weights are read, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import checkpoint_tensors, write_checkpoint

from model.checkpoint import CheckpointError, load_pretrained
from model.glm4v_moe import Glm4vMoeForConditionalGeneration as Model

EXPERT = "model.language_model.layers.1.mlp.experts"


@pytest.fixture(autouse=True)
def no_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if an error comes later than it could."""

    def refuse(*args: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr("model.checkpoint.load.stream_shards", refuse)
    monkeypatch.setattr("model.checkpoint.load.allocate", refuse)


def message_of(folder: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(Model, folder, **options)
    return str(caught.value)


def test_all_missing_unexpected_and_mis_shaped_tensors_are_named_at_once(
    tmp_path: Path, tiny_model: Model
) -> None:
    tensors = checkpoint_tensors(tiny_model, stacked_layers=(2,))
    del tensors[f"{EXPERT}.3.up_proj.weight"], tensors["model.visual.downsample.bias"]
    tensors["model.visual.stray"] = torch.ones(2, 3)
    tensors[f"{EXPERT}.8.up_proj.weight"] = torch.ones(32, 64)
    tensors[f"{EXPERT}.0.down_proj.weight"] = torch.ones(64, 31)
    tensors["lm_head.weight"] = torch.ones(160, 63)
    tensors["model.language_model.norm.weight"] = torch.ones(64, dtype=torch.int64)
    stacked = "model.language_model.layers.2.mlp.experts.down_proj"
    tensors[stacked] = torch.ones(7, 64, 32)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    assert message_of(tmp_path).splitlines()[1:-1] == [
        "2 missing:",
        "  model.visual.downsample.bias [64]",
        f"  {EXPERT}.3.up_proj.weight [32, 64]",
        "2 unexpected:",
        f"  {EXPERT}.8.up_proj.weight [32, 64]",
        "  model.visual.stray [2, 3]",
        "4 of the wrong shape or dtype:",
        "  lm_head.weight: expected [160, 64], found [160, 63]",
        f"  {EXPERT}.0.down_proj.weight: expected [64, 32], found [64, 31]",
        f"  {stacked}: expected [8, 64, 32], found [7, 64, 32]",
        "  model.language_model.norm.weight: expected one of F64, F32, F16, BF16, found I64",
    ]


def test_experts_in_both_forms_are_refused(tmp_path: Path, tiny_model: Model) -> None:
    both = checkpoint_tensors(tiny_model) | checkpoint_tensors(tiny_model, stacked_layers=(1, 2))
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), both)
    assert f"{EXPERT}.0.gate_proj.weight" in message_of(tmp_path)


def test_a_missing_head_of_an_untied_model_is_named(tmp_path: Path, tiny_model: Model) -> None:
    tensors = checkpoint_tensors(tiny_model)
    del tensors["lm_head.weight"]
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    assert "1 missing:\n  lm_head.weight [160, 64]" in message_of(tmp_path)


def test_a_very_long_list_of_names_is_cut(
    tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.checkpoint.match.MAX_NAMES_SHOWN", 3)
    tensors = {"lm_head.weight": torch.ones(160, 64)}
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    missing = len(checkpoint_tensors(tiny_model)) - 1
    lines = message_of(tmp_path).splitlines()
    assert lines[1] == f"{missing} missing:"
    assert lines[5] == f"  and {missing - 3} more"


@pytest.mark.parametrize("model_type", ["llama", "glm4v", "glm4_moe", "glm_ocr", None])
def test_another_models_checkpoint_is_refused_by_name(
    tmp_path: Path, tiny_model: Model, model_type: str | None
) -> None:
    raw = tiny_model.config.to_dict() | {"model_type": model_type}
    write_checkpoint(tmp_path, raw, checkpoint_tensors(tiny_model))
    message = message_of(tmp_path)
    assert repr(model_type) in message
    assert "glm4v_moe" in message


def test_a_folder_without_config_says_so(tmp_path: Path) -> None:
    assert "config.json" in message_of(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"glm4v_moe"', "\x00"])
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_a_broken_json_file_is_a_checkpoint_error(
    tmp_path: Path, tiny_model: Model, file: str, text: str
) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    (tmp_path / file).write_text(text)
    assert str(tmp_path) in message_of(tmp_path)


@pytest.mark.parametrize("section", [None, "text_config"])
def test_a_quantised_checkpoint_is_refused_by_its_config(
    tmp_path: Path, tiny_model: Model, section: str | None
) -> None:
    raw = tiny_model.config.to_dict()
    (raw if section is None else raw[section])["quantization_config"] = {"quant_method": "awq"}
    write_checkpoint(tmp_path, raw, checkpoint_tensors(tiny_model))
    assert "quant_method 'awq'" in message_of(tmp_path)


def test_float8_weights_are_refused(tmp_path: Path, tiny_model: Model) -> None:
    tensors = checkpoint_tensors(tiny_model)
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    assert f"quantised weights ({name} is F8_E4M3)" in message_of(tmp_path)


def test_weights_with_scales_are_refused(tmp_path: Path, tiny_model: Model) -> None:
    tensors = checkpoint_tensors(tiny_model)
    tensors["model.language_model.layers.0.self_attn.q_proj.weight_scale"] = torch.ones(64, 1)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    assert "quantised weights" in message_of(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path, tiny_model: Model) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model), 3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    assert "1 of the 3 shards" in message_of(tmp_path)


def test_a_truncated_shard_is_named(tmp_path: Path, tiny_model: Model) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model), 3)
    shard = tmp_path / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    message = message_of(tmp_path)
    assert "model-00002-of-00003.safetensors is damaged" in message


@pytest.mark.parametrize("dtype", ["int8", torch.float8_e4m3fn, "half precision"])
def test_a_dtype_that_weights_cannot_have_is_refused(
    tmp_path: Path, tiny_model: Model, dtype: str | torch.dtype
) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    assert str(dtype).removeprefix("torch.") in message_of(tmp_path, dtype=dtype)


def test_a_dtype_in_config_that_weights_cannot_have_is_refused(
    tmp_path: Path, tiny_model: Model
) -> None:
    raw = tiny_model.config.to_dict() | {"dtype": "int4"}
    write_checkpoint(tmp_path, raw, checkpoint_tensors(tiny_model))
    assert "config.json states dtype 'int4'" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("device_map", "expected"),
    [
        ("gpu", "device 'gpu' can't be used here"),
        ("cuda:99", "device 'cuda:99' can't be used here"),
        ({"": "cpu", "model.layers.7": "cpu"}, "names model.layers.7, which the model does not"),
        ({"model": "cpu"}, "no device for lm_head.weight"),
    ],
)
def test_a_device_map_that_does_not_fit_is_refused(
    tmp_path: Path, tiny_model: Model, device_map: Any, expected: str
) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    assert expected in message_of(tmp_path, device_map=device_map)


@pytest.mark.parametrize("device_map", ["cpu", "disk"])
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch, device_map: str
) -> None:
    class Full:
        available = free = 1000

    for function in ("psutil.virtual_memory", "psutil.swap_memory"):
        monkeypatch.setattr(f"model.checkpoint.dispatch.{function}", Full)
    monkeypatch.setattr("model.checkpoint.dispatch.shutil.disk_usage", lambda folder: Full)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    assert "use device_map='auto'" in message_of(tmp_path, device_map=device_map)


def test_an_index_of_another_checkpoint_is_refused(tmp_path: Path, tiny_model: Model) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model), 2)
    index = tmp_path / "model.safetensors.index.json"
    raw = json.loads(index.read_text())
    raw["weight_map"] = {"x": "../outside.safetensors"}
    index.write_text(json.dumps(raw))
    assert "is not a plain file name" in message_of(tmp_path)
