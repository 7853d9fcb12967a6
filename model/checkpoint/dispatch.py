"""Give a model on the meta device its memory, and let it run from where its parts are.

accelerate moves the weights of a part that isn't where it is computed in before each module's
forward and out after it. Parts on disk are files in a folder that is removed with the model.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accelerate
import psutil
import torch
from torch import Tensor, nn

from model.checkpoint.errors import CheckpointError
from model.checkpoint.placement import DISK, Placement
from model.checkpoint.stream import FileTarget, MemoryTarget, QuantizingTarget, Target
from model.quantization import FORMS, stored_bytes


def make_offload_folder(parent: str | Path | None, model: nn.Module) -> Path:
    """Return a new folder, in ``parent`` or among the temporary files, that goes with ``model``."""
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="offload-", dir=parent)
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def check_room(
    tensors: Mapping[str, Tensor],
    placement: Placement,
    dtypes: Mapping[str, torch.dtype],
    folder: Path | None,
) -> None:
    """Raise CheckpointError if the parts for the CPU or the disk can't fit there.

    Without it the system ends the process half-way, without a message.
    """
    memory = psutil.virtual_memory().available + psutil.swap_memory().free
    free = {"cpu": memory} | ({DISK: shutil.disk_usage(folder).free} if folder else {})
    for place, available in free.items():
        needed = sum(
            stored_bytes(tensor.numel(), dtypes[name])
            for name, tensor in tensors.items()
            if placement.of(name) == place
        )
        if needed > available:
            raise CheckpointError(
                f"{needed / 1e9:.1f} GB of weights do not fit the {available / 1e9:.1f} GB free "
                f"({'memory' if place == 'cpu' else folder}); {_remedy(dtypes)}"
            )


def _remedy(dtypes: Mapping[str, torch.dtype]) -> str:
    form = next((FORMS[dtype] for dtype in dtypes.values() if dtype in FORMS), None)
    if form is None:
        return (
            "use device_map='auto' to spread them over GPUs, memory and disk, an offload_folder "
            "on a larger disk, or a smaller dtype"
        )
    smaller = "use int4, or" if form == "int8" else "use"
    return (
        f"{smaller} a device with more room, or device_map='auto' without quantization, which "
        "spreads them over GPUs, memory and disk"
    )


def allocate(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    placement: Placement,
    dtypes: Mapping[str, torch.dtype],
    folder: Path | None,
) -> dict[str, Target]:
    """Give the meta tensors of ``model`` memory, uninitialised, or a file in ``folder``.

    Returns:
        model tensor name -> what to fill. A parameter on disk stays a meta tensor in the model, and
        so does one that is to be quantised: its quantised layer comes when it is filled.
    """
    targets: dict[str, Target] = {}
    replacements: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        device, dtype = placement.of(name), dtypes[name]
        is_parameter = isinstance(tensor, nn.Parameter)
        if dtype in FORMS:
            targets[name] = QuantizingTarget(tensor.shape, FORMS[dtype], device)
            continue
        if device == DISK and is_parameter:
            assert folder is not None
            targets[name] = FileTarget(folder / f"{name}.dat", dtype, tensor.numel())
            real = torch.empty(tensor.shape, dtype=dtype, device="meta")
        else:
            # buffers are small and stay in memory
            real = torch.empty(
                tensor.shape, dtype=dtype, device="cpu" if device == DISK else device
            )
            targets[name] = MemoryTarget(real)
        replacements[id(tensor)] = (
            nn.Parameter(real, requires_grad=tensor.requires_grad) if is_parameter else real
        )
    for module in model.modules():
        # by identity, so that shared parameters stay shared
        groups: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for group in groups:
            for name, old in group.items():
                if id(old) in replacements:
                    group[name] = replacements[id(old)]
    return targets


def dispatch(
    model: nn.Module,
    targets: Mapping[str, Target],
    aliases: Mapping[str, str],
    placement: Placement,
    folder: Path | None,
) -> None:
    """Let ``model`` run from where its filled parts are; constant tables go along."""
    if not placement.is_spread:
        model.to(placement.main_device)
        return
    if folder is not None:
        _write_offload_index(model, targets, aliases, folder)
    accelerate.dispatch_model(
        model, placement.devices, main_device=placement.main_device, offload_dir=folder
    )


def _write_offload_index(
    model: nn.Module, targets: Mapping[str, Target], aliases: Mapping[str, str], folder: Path
) -> None:
    """Tell accelerate of the files in ``folder``, shared parameters under each of their names."""
    files = {name: target for name, target in targets.items() if isinstance(target, FileTarget)}
    shapes = {name: list(p.shape) for name, p in model.named_parameters()}
    index = {
        name: {"dtype": str(target.dtype).removeprefix("torch."), "shape": shapes[name]}
        for name, target in files.items()
    }
    for alias, first in aliases.items():
        if first in files:
            os.link(files[first].path, folder / f"{alias}.dat")
            index[alias] = index[first]
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
