"""Every form of a checkpoint gives exactly its tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import BIAS, assert_same_tensors, checkpoint_tensors, write_checkpoint
from safetensors.torch import save_file

from model.checkpoint import CheckpointError, load_pretrained
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration as Model

EMBEDDING = "model.language_model.embed_tokens.weight"

Pair = Callable[..., tuple[Any, Model]]


@pytest.fixture(scope="module")
def tied_model(parity_pair: Pair) -> Model:
    return parity_pair(tie_word_embeddings=True)[1]


@pytest.mark.parametrize("stacked_layers", [(), (1, 2), (1,)], ids=["each", "stacked", "mixed"])
@pytest.mark.parametrize("shards", [1, 3])
def test_experts_load_from_either_form_and_any_number_of_files(
    tmp_path: Path, tiny_model: Model, stacked_layers: tuple[int, ...], shards: int
) -> None:
    tensors = checkpoint_tensors(tiny_model, stacked_layers=stacked_layers)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors, shards)
    assert_same_tensors(load_pretrained(Model, tmp_path, dtype="float32"), tiny_model)


@pytest.mark.parametrize("max_shard_size", ["1GB", "100KB"])
def test_a_checkpoint_that_transformers_wrote_loads(
    tmp_path: Path, parity_pair: Pair, max_shard_size: str
) -> None:
    reference, ours = parity_pair()
    reference.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert_same_tensors(Model.from_pretrained(tmp_path), ours)


def test_a_tied_checkpoint_that_transformers_wrote_loads(tmp_path: Path, parity_pair: Pair) -> None:
    reference, ours = parity_pair(tie_word_embeddings=True)
    reference.save_pretrained(tmp_path)
    loaded = Model.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.language_model.embed_tokens.weight
    assert_same_tensors(loaded, ours)


@pytest.mark.parametrize("absent", ["lm_head.weight", EMBEDDING, None])
def test_tied_weights_load_from_either_name_or_both(
    tmp_path: Path, tied_model: Model, absent: str | None
) -> None:
    tensors = checkpoint_tensors(tied_model)
    tensors.pop(absent, None)
    write_checkpoint(tmp_path, tied_model.config.to_dict(), tensors)
    loaded = load_pretrained(Model, tmp_path, dtype="float32")
    assert loaded.lm_head.weight is loaded.model.language_model.embed_tokens.weight
    assert_same_tensors(loaded, tied_model)


def test_tied_weights_that_differ_are_refused(tmp_path: Path, tied_model: Model) -> None:
    tensors = checkpoint_tensors(tied_model)
    tensors["lm_head.weight"][-1, -1] += 1
    write_checkpoint(tmp_path, tied_model.config.to_dict(), tensors)
    with pytest.raises(CheckpointError, match=f"lm_head.weight and {EMBEDDING} differ"):
        load_pretrained(Model, tmp_path)


def test_layers_after_the_last_and_rotary_tables_are_passed_over(
    tmp_path: Path, tiny_model: Model
) -> None:
    extra = {
        "model.language_model.layers.3.eh_proj.weight": torch.ones(2),
        "model.layers.3.mlp.experts.0.up_proj.weight": torch.ones(2),
        "model.language_model.rotary_emb.inv_freq": torch.ones(2),
    }
    tensors = checkpoint_tensors(tiny_model) | extra
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    assert_same_tensors(load_pretrained(Model, tmp_path, dtype="float32"), tiny_model)


def test_tensors_the_index_does_not_list_still_count(tmp_path: Path, tiny_model: Model) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model), 2)
    shard = tmp_path / "model-00001-of-00002.safetensors"
    names = list(checkpoint_tensors(tiny_model))[::2]
    tensors = {name: checkpoint_tensors(tiny_model)[name] for name in names}
    save_file(tensors | {"stray": torch.ones(3)}, shard)
    with pytest.raises(CheckpointError, match=r"1 unexpected:\n  stray \[3\]"):
        load_pretrained(Model, tmp_path)


def test_a_tensor_larger_than_a_piece_is_converted_whole(
    tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.checkpoint.stream.PIECE_BYTES", 100)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    loaded = load_pretrained(Model, tmp_path, dtype="float64")
    for name, tensor in tiny_model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.to(loaded.state_dict()[name].dtype))


def test_the_model_is_ready_to_answer(tmp_path: Path, tiny_model: Model) -> None:
    folder = write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    (folder / "generation_config.json").write_text('{"do_sample": false, "eos_token_id": [7, 8]}')
    loaded = load_pretrained(Model, folder, dtype="float32")
    ids = torch.tensor([[3, 4, 5]])
    assert not any(module.training for module in loaded.modules())
    assert loaded.generation_config.eos_token_id == (7, 8)
    assert torch.equal(loaded(ids).logits, tiny_model(ids).logits)


def config_with_dtype(model: Model, section: str | None, key: str) -> dict[str, Any]:
    raw = model.config.to_dict()
    (raw if section is None else raw[section])[key] = "float16"
    return raw


@pytest.mark.parametrize("section", ["text_config", None])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_auto_dtype_is_found_wherever_real_files_state_it(
    tmp_path: Path, tiny_model: Model, section: str | None, key: str
) -> None:
    tensors = checkpoint_tensors(tiny_model, torch.bfloat16)
    write_checkpoint(tmp_path, config_with_dtype(tiny_model, section, key), tensors)
    loaded = load_pretrained(Model, tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float16}


def test_auto_dtype_is_bfloat16_if_no_file_says_so(tmp_path: Path, tiny_model: Model) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    loaded = load_pretrained(Model, tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wanted", ["float32", "torch.float16", torch.bfloat16])
def test_weights_are_converted_and_the_router_bias_stays_float32(
    tmp_path: Path, tiny_model: Model, stored: torch.dtype, wanted: str | torch.dtype
) -> None:
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model, stored))
    loaded = load_pretrained(Model, tmp_path, dtype=wanted)
    dtype = getattr(torch, str(wanted).removeprefix("torch."))
    for name, tensor in loaded.state_dict().items():
        expected = tiny_model.state_dict()[name]
        if not name.endswith(BIAS):
            expected = expected.to(stored).to(dtype)
        torch.testing.assert_close(tensor, expected, rtol=0, atol=0)
    assert loaded.config.dtype == str(dtype).removeprefix("torch.")


def test_a_router_bias_stored_in_bfloat16_becomes_float32(
    tmp_path: Path, tiny_model: Model
) -> None:
    tensors = {name: t.bfloat16() for name, t in checkpoint_tensors(tiny_model).items()}
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    loaded = load_pretrained(Model, tmp_path)
    name = f"model.language_model.layers.1.mlp.gate.{BIAS}"
    assert torch.equal(loaded.state_dict()[name], tensors[name].float())


def test_section_names_of_older_copies_are_accepted(tmp_path: Path, tiny_model: Model) -> None:
    raw = tiny_model.config.to_dict()
    raw["text_config"]["model_type"] = "Glm4vMoe_text"
    raw["vision_config"]["model_type"] = "glm4v_moe"
    write_checkpoint(tmp_path, raw, checkpoint_tensors(tiny_model))
    assert_same_tensors(load_pretrained(Model, tmp_path, dtype="float32"), tiny_model)


def test_building_on_the_meta_device_needs_no_memory_for_the_real_sizes() -> None:
    with torch.device("meta"):
        model = Model(Glm4vMoeConfig())
    assert all(parameter.is_meta for parameter in model.parameters())
