"""A model whose parts live in several places answers as the one in memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import BIAS, assert_same_tensors, checkpoint_tensors, write_checkpoint
from torch import Tensor, nn

from model.checkpoint import load_pretrained
from model.checkpoint.names import model_tensors
from model.checkpoint.placement import Placement, plan_placement
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration as Model

LAYERS = "model.language_model.layers"
MAPS: dict[str, Any] = {
    "all on disk": "disk",
    "tower in memory": {
        "model.visual": "cpu",
        "model.language_model": "disk",
        "lm_head": "cpu",
    },
    "nested": {"": "cpu", f"{LAYERS}.1": "disk", f"{LAYERS}.1.self_attn": "cpu"},
    "experts on disk": {"": "cpu", f"{LAYERS}.1.mlp.experts": "disk", "model.visual": "disk"},
    "tied pair apart": {"": "disk", "lm_head": "cpu"},
    "tied pair apart, other way": {"": "cpu", "lm_head": "disk", "model.visual": "disk"},
}


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def in_memory(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    parity_pair: Callable[..., tuple[Any, Model]],
) -> tuple[Path, Model]:
    """A checkpoint, and its model loaded the plain way."""
    model = parity_pair(tie_word_embeddings=request.param)[1]
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, model.config.to_dict(), checkpoint_tensors(model), shards=2)
    return folder, load_pretrained(Model, folder, dtype="float32")


def prompt_with_image(model: Model) -> dict[str, Tensor]:
    image = model.config.image_token_id
    return {
        "input_ids": torch.tensor([[5, 6, image, image, image, image, 7, 8]]),
        "pixel_values": torch.randn(16, 3 * 2 * 14 * 14),
        "image_grid_thw": torch.tensor([[1, 4, 4]]),
    }


@pytest.mark.parametrize("device_map", MAPS.values(), ids=MAPS.keys())
def test_logits_and_generated_tokens_equal_those_of_the_model_in_memory(
    in_memory: tuple[Path, Model], device_map: Any
) -> None:
    folder, model = in_memory
    spread = load_pretrained(Model, folder, dtype="float32", device_map=device_map)
    assert any(parameter.is_meta for parameter in spread.parameters())
    prompt = prompt_with_image(model)
    with torch.no_grad():
        assert torch.equal(spread(**prompt).logits, model(**prompt).logits)
    options = {"max_new_tokens": 5, "do_sample": False}
    assert torch.equal(spread.generate(**prompt, **options), model.generate(**prompt, **options))


def test_parts_on_disk_are_converted_and_the_router_bias_stays_float32(
    in_memory: tuple[Path, Model],
) -> None:
    folder, _ = in_memory
    spread = load_pretrained(Model, folder, dtype="bfloat16", device_map="disk")
    plain = load_pretrained(Model, folder, dtype="bfloat16")
    ids = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        assert torch.equal(spread(ids).logits, plain(ids).logits)
    biases = [buffer for name, buffer in spread.named_buffers() if name.endswith(BIAS)]
    assert [(bias.dtype, bias.device.type) for bias in biases] == [(torch.float32, "cpu")] * 2


def test_offload_files_go_with_the_model(in_memory: tuple[Path, Model], tmp_path: Path) -> None:
    folder, _ = in_memory
    parent = tmp_path / "offload"
    kept = parent / "mine.txt"
    parent.mkdir()
    kept.write_text("not of this model")
    spread = load_pretrained(Model, folder, device_map="disk", offload_folder=parent)
    assert len(list(parent.rglob("*.dat"))) > 10
    del spread
    gc.collect()
    assert list(parent.iterdir()) == [kept]


def test_offload_files_of_a_load_that_fails_are_removed(
    in_memory: tuple[Path, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("model.checkpoint.load.stream_shards", fail)
    with pytest.raises(OSError, match="no space left"):
        load_pretrained(Model, in_memory[0], device_map="disk", offload_folder=tmp_path)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_two_models_may_share_an_offload_folder(
    in_memory: tuple[Path, Model], tmp_path: Path
) -> None:
    folder, model = in_memory
    options = {"dtype": "float32", "device_map": "disk", "offload_folder": tmp_path}
    one, two = (load_pretrained(Model, folder, **options) for _ in range(2))
    ids = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        assert torch.equal(one(ids).logits, model(ids).logits)
        del one
        gc.collect()
        assert torch.equal(two(ids).logits, model(ids).logits)


@pytest.mark.parametrize("device_map", [None, "cpu", torch.device("cpu"), "auto", {"": "cpu"}])
def test_a_model_in_one_place_needs_no_hooks(
    in_memory: tuple[Path, Model], device_map: Any
) -> None:
    folder, model = in_memory
    loaded = load_pretrained(Model, folder, dtype="float32", device_map=device_map)
    assert_same_tensors(loaded, model)
    assert not any(hasattr(module, "_hf_hook") for module in loaded.modules())


def test_auto_puts_what_memory_cannot_hold_on_disk_layer_by_layer(
    in_memory: tuple[Path, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, model = in_memory
    monkeypatch.setattr(
        "model.checkpoint.placement.get_balanced_memory", lambda *a, **k: {"cpu": 500_000}
    )
    spread = load_pretrained(Model, folder, dtype="float32", device_map="auto")
    ids = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        assert torch.equal(spread(ids).logits, model(ids).logits)
    homes = [
        {parameter.is_meta for parameter in layer.parameters()}
        for layer in (*spread.model.language_model.layers, *spread.model.visual.blocks)
    ]
    assert all(len(home) == 1 for home in homes)
    assert {True, False} == set().union(*homes)


def meta_model() -> nn.Module:
    with torch.device("meta"):
        return Model(Glm4vMoeConfig())


def test_nested_entries_become_separate_ones_that_cover_the_same_tensors() -> None:
    model = meta_model()
    tensors, aliases = model_tensors(model)
    wanted = {"": "cpu", LAYERS: "disk", f"{LAYERS}.3.mlp": "cpu", "lm_head": "disk"}
    dtypes = dict.fromkeys(tensors, torch.bfloat16)
    placement = plan_placement(model, aliases, wanted, dtypes)
    for name in placement.devices:
        assert not any(other.startswith(f"{name}.") for other in placement.devices)
    assert [name for name in tensors if placement.of(name) != Placement(wanted).of(name)] == []
    assert placement.devices[f"{LAYERS}.3.mlp"] == "cpu"
    assert placement.devices["model.visual"] == "cpu"


@pytest.mark.parametrize(
    ("devices", "main", "is_spread"),
    [
        ({"": "cpu"}, "cpu", False),
        ({"": "disk"}, "cpu", True),
        ({"": "cuda:1"}, "cuda:1", False),
        ({"a": "disk", "b": "cuda:1", "c": "cuda:0", "d": "cpu"}, "cuda:1", True),
    ],
)
def test_parts_off_an_accelerator_are_computed_on_the_first_one(
    devices: dict[str, str], main: str, is_spread: bool
) -> None:
    placement = Placement(devices)
    assert (placement.main_device, placement.is_spread) == (main, is_spread)
    assert placement.of("unknown.weight") in (main, devices.get(""))
