"""Checkpoint folders for the tests, written tensor by tensor and without the code under test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

BIAS = "e_score_correction_bias"


def checkpoint_tensors(
    model: nn.Module, dtype: torch.dtype = torch.float32, stacked_layers: tuple[int, ...] = ()
) -> dict[str, Tensor]:
    """Return the tensors of a real checkpoint: one per expert, except in ``stacked_layers``."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        value = tensor.clone() if name.endswith(BIAS) else tensor.to(dtype, copy=True)
        prefix, _, leaf = name.rpartition(".")
        is_stacked = any(f".layers.{layer}." in name for layer in stacked_layers)
        if leaf == "gate_up_proj" and not is_stacked:
            for expert, both in enumerate(value):
                gate, up = both.chunk(2)
                tensors[f"{prefix}.{expert}.gate_proj.weight"] = gate.clone()
                tensors[f"{prefix}.{expert}.up_proj.weight"] = up.clone()
        elif leaf == "down_proj" and not is_stacked:
            for expert, down in enumerate(value):
                tensors[f"{prefix}.{expert}.down_proj.weight"] = down.clone()
        else:
            tensors[name] = value
    return tensors


def write_checkpoint(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], shards: int = 1
) -> Path:
    """Write config.json and one file, or ``shards`` files that each hold every n-th tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        save_file(dict(tensors), folder / "model.safetensors")
        return folder
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        names = list(tensors)[shard::shards]
        save_file({name: tensors[name] for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def assert_same_tensors(found: nn.Module, expected: nn.Module) -> None:
    """Every parameter and buffer is equal bit for bit, with the same dtype."""
    mine, theirs = found.state_dict(), expected.state_dict()
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(
            tensor, theirs[name], rtol=0, atol=0, msg=lambda m, n=name: n + m
        )
