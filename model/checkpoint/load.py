"""Folder or hub id -> model, ready to run."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from model.checkpoint.dispatch import allocate, check_room, dispatch, make_offload_folder
from model.checkpoint.dtypes import resolve_dtype, state_dtype
from model.checkpoint.errors import CheckpointError
from model.checkpoint.hub import find_folder
from model.checkpoint.match import Match, match_checkpoint
from model.checkpoint.names import is_ignored, model_tensors
from model.checkpoint.placement import DISK, Device, DeviceMap, one_device, plan_placement
from model.checkpoint.progress import Progress
from model.checkpoint.shards import Entry, read_folder, refuse_quantised
from model.checkpoint.stream import QuantizingTarget, holds_same_values, stream_shards
from model.config import Glm4vMoeConfig
from model.generation_config import GenerationConfig
from model.quantization import FORMS, QUANTIZATIONS, install, quantizable, stored_bytes

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

ModelT = TypeVar("ModelT", bound="Glm4vMoeForConditionalGeneration")

LOG = logging.getLogger(__name__)


def load_pretrained(
    model_class: type[ModelT],
    path_or_hub_id: str | Path,
    *,
    dtype: str | torch.dtype = "auto",
    device_map: Device | DeviceMap | None = None,
    offload_folder: str | Path | None = None,
    quantization: str | None = None,
    progress: Progress | None = None,
) -> ModelT:
    """Return the checkpoint's model, in evaluation mode.

    Everything that can be wrong with a checkpoint is found in its headers, before weights are read
    and memory is taken. The peak is the model's own size plus some 16 MiB per thread; parts on disk
    pass through in such pieces too.

    Args:
        model_class: built as ``model_class(config)`` on the meta device.
        path_or_hub_id: a folder, or a hub id to download (its ``*.safetensors`` and texts only).
        dtype: of the parameters; ``"auto"`` as ``config.json`` says. Buffers keep their own, so
            the router's ``e_score_correction_bias`` is float32 in any case.
        device_map: None for the CPU; a device such as ``"cuda"``; ``"auto"`` for GPUs, then CPU,
            then disk, as they have room; ``"disk"``; or a mapping of module name -> device.
        offload_folder: where parts on disk are kept, in a new folder that is removed with the
            model; None for the system's temporary folder.
        quantization: "int8" or "int4" for weights in integers (`model.quantization`), on one
            device; ``"auto"`` is then the first accelerator that has room for all, else the CPU.
        progress: told, in several threads, how far downloading and then loading are.

    Raises:
        ValueError: an unknown ``quantization``.
        CheckpointError: the checkpoint is absent, incomplete, damaged, another model's or
            quantised, or doesn't fit the machine as asked. The message says what to do.
    """
    if quantization not in (None, *QUANTIZATIONS):
        raise ValueError(f"quantization is {quantization!r}; known: {', '.join(QUANTIZATIONS)}")
    started = time.perf_counter()
    # the few MB of descriptions first: a repository of another model is refused before its weights
    folder = find_folder(path_or_hub_id, with_weights=False)
    config, generation_config = _read_configs(folder)
    parameter_dtype = resolve_dtype(dtype, config)
    state_dtype(config, parameter_dtype)

    folder = find_folder(path_or_hub_id, with_weights=True, progress=progress)
    entries = read_folder(folder)
    refuse_quantised(folder, entries)
    with torch.device("meta"):
        model = model_class(config).eval()
    model.generation_config = generation_config
    match = _match(model, folder, entries, config)
    dtypes = _dtypes(model, parameter_dtype, quantization)
    num_bytes = _fill(model, match, dtypes, device_map, offload_folder, progress)
    LOG.info("loaded %s: %.2f GB in %.1f s", folder, num_bytes / 1e9, time.perf_counter() - started)
    return model


def _read_configs(folder: Path) -> tuple[Glm4vMoeConfig, GenerationConfig]:
    """Read both; an error in either, and a quantised checkpoint, is a `CheckpointError`."""
    try:
        config = Glm4vMoeConfig.from_pretrained(folder)
        generation_config = GenerationConfig.from_pretrained(folder)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(f"{folder} can't be loaded: {error}") from error
    found: Any = config.extra.get("quantization_config")
    found = found or config.text_config.extra.get("quantization_config")
    if found:
        method = found.get("quant_method", "unknown") if isinstance(found, dict) else found
        raise CheckpointError(
            f"{folder} is quantised (quant_method {method!r}), which this engine does not read; "
            "use the bfloat16 checkpoint of the same model"
        )
    return config, generation_config


def _match(
    model: nn.Module, folder: Path, entries: dict[str, Entry], config: Glm4vMoeConfig
) -> Match:
    layers = config.text_config.num_hidden_layers
    tensors, aliases = model_tensors(model)
    match = match_checkpoint(
        folder,
        entries,
        tensors,
        aliases,
        is_ignored=partial(is_ignored, num_hidden_layers=layers),
    )
    for alias, alias_entry, first, first_entry in match.copies:
        if not holds_same_values(alias_entry, first_entry):
            raise CheckpointError(
                f"{folder}: tie_word_embeddings is true, but {alias} and {first} differ; set it to "
                "false in config.json if both were trained, or remove the one that was not"
            )
    return match


def weight_bytes(
    model: Glm4vMoeForConditionalGeneration, dtype: torch.dtype, quantization: str | None
) -> int:
    """Return how many bytes a model's tensors take as `load_pretrained` stores them.

    Args:
        model: on any device, the meta device too.
    """
    tensors, _ = model_tensors(model)
    return _bytes(tensors, _dtypes(model, dtype, quantization))


def _bytes(tensors: Mapping[str, Tensor], dtypes: Mapping[str, torch.dtype]) -> int:
    return sum(stored_bytes(tensor.numel(), dtypes[name]) for name, tensor in tensors.items())


def _dtypes(
    model: Glm4vMoeForConditionalGeneration, dtype: torch.dtype, quantization: str | None
) -> dict[str, torch.dtype]:
    """Return what each tensor of ``model`` is to be: ``dtype``, of `FORMS`, or a buffer's own."""
    tensors, _ = model_tensors(model)
    dtypes = {
        name: dtype if isinstance(tensor, nn.Parameter) else tensor.dtype
        for name, tensor in tensors.items()
    }
    for form, to in FORMS.items():
        if to == quantization:
            dtypes |= dict.fromkeys(quantizable(model, to), form)
    return dtypes


def _fill(
    model: Glm4vMoeForConditionalGeneration,
    match: Match,
    dtypes: dict[str, torch.dtype],
    device_map: Device | DeviceMap | None,
    offload_folder: str | Path | None,
    progress: Progress | None,
) -> int:
    """Place ``model``, read its tensors and make it runnable; return its bytes."""
    tensors, aliases = model_tensors(model)
    num_bytes = _bytes(tensors, dtypes)
    is_quantized = not FORMS.keys().isdisjoint(dtypes.values())
    if is_quantized and device_map == "auto":
        device_map = one_device(num_bytes)
        LOG.info("weights in integers go to one device: %s", device_map)
    placement = plan_placement(model, aliases, device_map, dtypes)
    if placement.is_spread and is_quantized:
        raise CheckpointError(
            "weights in integers run on one device only, and here they would be spread over "
            f"{', '.join(sorted(set(placement.devices.values())))}; name one device, or leave the "
            "weights as they are"
        )
    has_disk_parts = DISK in placement.devices.values()
    disk_folder = make_offload_folder(offload_folder, model) if has_disk_parts else None
    check_room(tensors, placement, dtypes, disk_folder)
    targets = allocate(model, tensors, placement, dtypes, disk_folder)
    stream_shards(match.reads, targets, progress)
    install(
        model,
        {
            name: target.quantized
            for name, target in targets.items()
            if isinstance(target, QuantizingTarget)
        },
    )
    dispatch(model, targets, aliases, placement, disk_folder)
    return num_bytes
