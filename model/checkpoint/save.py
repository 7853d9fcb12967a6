"""Model -> checkpoint folder, laid out as the real checkpoints: one tensor per expert matrix."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from accelerate.utils import align_module_device
from safetensors.torch import save_file
from torch import Tensor, nn

from model.checkpoint.dtypes import state_dtype
from model.checkpoint.errors import CheckpointError
from model.checkpoint.names import model_tensors, split_experts
from model.checkpoint.shards import INDEX_FILE, SINGLE_FILE
from model.quantization import is_quantized

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B", re.IGNORECASE)
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


def save_pretrained(
    model: Glm4vMoeForConditionalGeneration, path: str | Path, max_shard_size: str | int = "5GB"
) -> None:
    """Write a checkpoint that `load_pretrained` and transformers read.

    Everything is written beside the old files first and moved over them once it is complete, so a
    save that fails leaves a checkpoint that was in ``path`` as it was. Tensors of a CPU model go to
    disk from where they are; from another device or from disk, at most one shard and one module at
    a time are brought into memory.

    Args:
        model: a `Glm4vMoeForConditionalGeneration`, also one with parts offloaded.
        path: folder, made if needed; other files in it are left alone.
        max_shard_size: bytes, or text such as ``"5GB"`` (10**9) or ``"5GiB"`` (2**30). A tensor
            that is larger gets a file of its own.

    Raises:
        CheckpointError: the weights are quantised, ``path`` is a file, or ``max_shard_size`` can't
            be understood.
    """
    if is_quantized(model):
        raise CheckpointError(
            "the weights are in integers, which a checkpoint of this model does not hold; "
            "load it without quantization to save it"
        )
    limit = parse_size(max_shard_size)
    folder = Path(path).expanduser()
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder} is a file; give a folder to save into")
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    try:
        _write_weights(model, staging, limit)
        _write_configs(model, staging)
        written = {file.name for file in staging.iterdir()}
        for file in sorted(staging.iterdir()):
            _flush(file)
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(staging)
    for file in folder.iterdir():
        # weights of an earlier save in another number of shards would be found first, or lie about
        is_weights = file.name in (SINGLE_FILE, INDEX_FILE) or SHARD.fullmatch(file.name)
        if is_weights and file.name not in written:
            file.unlink()


def parse_size(size: str | int) -> int:
    """Return bytes of ``"5GB"`` (10**9), ``"5GiB"`` (2**30) or a number of bytes."""
    if isinstance(size, str):
        parts = SIZE.fullmatch(size.strip())
        number = 0.0
        if parts:
            base = 1024 if parts[3] else 1000
            number = float(parts[1]) * base ** " KMGT".index(parts[2].upper() or " ")
    else:
        number = size
    if number < 1:
        raise CheckpointError(
            f"max_shard_size is {size!r}; use bytes or text such as '5GB', '500MB'"
        )
    return int(number)


def plan_shards(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Cut names, in order, into shards of at most ``limit`` bytes; a larger tensor stays alone."""
    shards: list[list[str]] = []
    filled = limit
    for name, size in sizes.items():
        if not shards or filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def _write_weights(model: nn.Module, folder: Path, limit: int) -> None:
    tensors, _ = model_tensors(model)
    sizes = {
        piece: tensor.element_size() * (slot.stop - slot.start)
        for name, tensor in tensors.items()
        for piece, slot in split_experts(name, tuple(tensor.shape)).items()
    }
    shards = plan_shards(sizes, limit)
    files = [SINGLE_FILE]
    if len(shards) > 1:
        files = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    pieces = _checkpoint_tensors(model, tensors)
    for file, names in zip(files, shards, strict=True):
        shard = dict(next(pieces) for _ in names)
        assert list(shard) == names
        save_file(shard, folder / file, metadata={"format": "pt"})
    if len(shards) > 1:
        weight_map = {
            name: file for file, names in zip(files, shards, strict=True) for name in names
        }
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _checkpoint_tensors(
    model: nn.Module, tensors: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the checkpoint's names and CPU tensors, in the order of ``tensors``."""
    for name, tensor in tensors.items():
        parent, _, leaf = name.rpartition(".")
        module = model.get_submodule(parent)
        # accelerate brings an offloaded module's weights in for the time of the context
        with align_module_device(module, "cpu") if tensor.is_meta else nullcontext():
            flat = getattr(module, leaf).detach().contiguous().view(-1)
        for piece, slot in split_experts(name, tuple(tensor.shape)).items():
            yield piece, flat[slot.start : slot.stop].view(slot.shape).cpu()


def _write_configs(model: Glm4vMoeForConditionalGeneration, folder: Path) -> None:
    config = copy.deepcopy(model.config)
    state_dtype(config, next(model.parameters()).dtype)
    config.save_pretrained(folder)
    text = json.dumps(model.generation_config.to_dict(), indent=2)
    (folder / "generation_config.json").write_text(text + "\n", encoding="utf-8")


def _flush(file: Path) -> None:
    """Let the disk hold ``file`` before its name replaces an older one."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
