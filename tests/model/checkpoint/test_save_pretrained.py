"""What is written is a checkpoint as the real ones, and replaces an old one only when complete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import BIAS, assert_same_tensors, checkpoint_tensors
from safetensors import safe_open

from model.checkpoint import CheckpointError, load_pretrained, save_pretrained
from model.checkpoint.save import parse_size
from model.generation_config import GenerationConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration as Model
from model.sampling import Sampling

Pair = Callable[..., tuple[Any, Model]]


def stored_tensors(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            assert opened.metadata() == {"format": "pt"}
            tensors |= {name: opened.get_tensor(name) for name in opened.keys()}
    return tensors


@pytest.mark.parametrize("max_shard_size", ["5GB", "100KB", 1])
def test_files_hold_one_tensor_per_expert_matrix(
    tmp_path: Path, tiny_model: Model, max_shard_size: str | int
) -> None:
    save_pretrained(tiny_model, tmp_path, max_shard_size)
    expected = checkpoint_tensors(tiny_model)
    stored = stored_tensors(tmp_path)
    assert stored.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in stored.items())


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("max_shard_size", ["5GB", "100KB"])
def test_transformers_loads_it_without_a_missing_or_unexpected_key(
    tmp_path: Path, parity_pair: Pair, is_tied: bool, max_shard_size: str
) -> None:
    reference, ours = parity_pair(tie_word_embeddings=is_tied)
    ours.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    loaded, info = type(reference).from_pretrained(
        tmp_path, output_loading_info=True, dtype=torch.float32
    )
    assert {key: value for key, value in info.items() if value} == {}
    ids = torch.tensor([[3, 4, 5, 6]])
    with torch.no_grad():
        # the same code on the same weights
        assert torch.equal(loaded(ids).logits, reference(ids).logits)
        torch.testing.assert_close(loaded(ids).logits, ours(ids).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("is_tied", [False, True])
def test_loading_what_was_saved_gives_the_same_tensors_and_dtypes(
    tmp_path: Path, parity_pair: Pair, dtype: torch.dtype, is_tied: bool
) -> None:
    model = parity_pair(tie_word_embeddings=is_tied)[1].to(dtype)
    save_pretrained(model, tmp_path, "100KB")
    assert ("lm_head.weight" in stored_tensors(tmp_path)) is not is_tied
    loaded = load_pretrained(Model, tmp_path)
    assert_same_tensors(loaded, model)
    assert {t.dtype for n, t in loaded.state_dict().items() if n.endswith(BIAS)} == {torch.float32}


def test_transformers_sees_the_dtype_that_was_saved(tmp_path: Path, parity_pair: Pair) -> None:
    reference, ours = parity_pair()
    save_pretrained(ours.to(torch.bfloat16), tmp_path)
    loaded = type(reference).from_pretrained(tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}


def test_saving_states_the_dtype_without_changing_the_model(
    tmp_path: Path, parity_pair: Pair
) -> None:
    model = parity_pair(text={"dtype": "bfloat16"})[1]
    save_pretrained(model, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["text_config"]["dtype"] == "float32"
    assert model.config.dtype == "bfloat16"


def test_generation_defaults_come_back(tmp_path: Path, parity_pair: Pair) -> None:
    model = parity_pair()[1]
    model.generation_config = GenerationConfig(
        Sampling(do_sample=True, temperature=0.8, top_k=2, top_p=0.6), (7, 8), 5
    )
    save_pretrained(model, tmp_path)
    assert load_pretrained(Model, tmp_path).generation_config == model.generation_config


def test_a_model_with_parts_on_disk_saves_all_of_them(tmp_path: Path, tiny_model: Model) -> None:
    save_pretrained(tiny_model, tmp_path / "one")
    device_map = {"": "cpu", "model.language_model.layers": "disk", "model.visual.merger": "disk"}
    spread = load_pretrained(Model, tmp_path / "one", device_map=device_map)
    save_pretrained(spread, tmp_path / "two", "100KB")
    assert_same_tensors(load_pretrained(Model, tmp_path / "two"), tiny_model)


@pytest.mark.parametrize(
    ("first", "second"), [("5GB", "100KB"), ("100KB", "5GB"), ("100KB", "60KB")]
)
def test_files_of_an_earlier_save_are_replaced_and_others_kept(
    tmp_path: Path, tiny_model: Model, first: str, second: str
) -> None:
    save_pretrained(tiny_model, tmp_path / "clean", second)
    save_pretrained(tiny_model, tmp_path / "used", first)
    (tmp_path / "used" / "tokenizer.json").write_text("{}")
    save_pretrained(tiny_model, tmp_path / "used", second)
    names = {file.name for file in (tmp_path / "used").iterdir()}
    assert names == {file.name for file in (tmp_path / "clean").iterdir()} | {"tokenizer.json"}
    assert_same_tensors(load_pretrained(Model, tmp_path / "used"), tiny_model)


def test_a_save_that_fails_leaves_the_old_checkpoint(
    tmp_path: Path, tiny_model: Model, parity_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pretrained(tiny_model, tmp_path, "100KB")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    other = parity_pair(text={"hidden_size": 32}, vision={"out_hidden_size": 32})[1]

    def fail(folder: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(
        other.config.__class__, "save_pretrained", lambda self, folder: fail(folder)
    )
    with pytest.raises(OSError, match="no space left"):
        save_pretrained(other, tmp_path, "50KB")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_saving_over_the_folder_it_came_from_keeps_the_tensors(
    tmp_path: Path, tiny_model: Model
) -> None:
    save_pretrained(tiny_model, tmp_path, "100KB")
    loaded = load_pretrained(Model, tmp_path)
    save_pretrained(loaded, tmp_path, "70KB")
    assert_same_tensors(load_pretrained(Model, tmp_path), tiny_model)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, tiny_model: Model) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(CheckpointError, match="is a file"):
        save_pretrained(tiny_model, tmp_path / "x")


@pytest.mark.parametrize(
    ("size", "expected"),
    [("5GB", 5 * 10**9), ("1.5 MiB", 3 * 2**19), ("10kb", 10_000), ("7B", 7), (12, 12)],
)
def test_sizes_are_decimal_unless_they_say_binary(size: str | int, expected: int) -> None:
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "5", "GB", "-1GB", "5 gigabytes", 0, -3])
def test_a_size_that_means_nothing_is_refused(size: str | int) -> None:
    with pytest.raises(CheckpointError, match="max_shard_size is"):
        parse_size(size)
