"""The safetensors files of a folder: which there are and what their headers say.

A file is 8 bytes of header length (little-endian), a JSON header, then the tensors' bytes. Headers
alone tell names, dtypes, shapes and places, so everything is checked before a weight is read.
Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from model.checkpoint.errors import CheckpointError

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

# The format's own limit, as in the safetensors library.
MAX_HEADER_BYTES = 100_000_000

FLOAT_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
# Parts of quantised tensors: compressed-tensors, block-wise FP8, AWQ and GPTQ.
QUANTISED_SUFFIXES = (".weight_scale", ".weight_scale_inv", ".weight_packed", ".qweight", ".qzeros")


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor in a file.

    Attributes:
        file: the safetensors file.
        dtype: the format's name, such as ``BF16``.
        shape: sizes of its dimensions.
        offset: first byte, counted from the start of the file.
        num_bytes: its length; the values lie in C order.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int


def read_folder(folder: Path) -> dict[str, Entry]:
    """Return every tensor of a checkpoint folder by name; reads headers only.

    Raises:
        CheckpointError: no weights, a shard missing, or a file that isn't whole.
    """
    home = _weight_files(folder)
    entries: dict[str, Entry] = {}
    for file, names in home.items():
        for name, entry in read_header(file).items():
            # where two shards hold a tensor, the index says which one counts
            if name not in entries or name in names:
                entries[name] = entry
    return entries


def refuse_quantised(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Raise CheckpointError if the tensors are stored in a form other than plain floats."""
    for name, entry in entries.items():
        if entry.dtype.startswith(("F8", "F4")) or name.endswith(QUANTISED_SUFFIXES):
            raise CheckpointError(
                f"{folder} holds quantised weights ({name} is {entry.dtype}), which this engine "
                "does not read; use the bfloat16 checkpoint of the same model"
            )


def _weight_files(folder: Path) -> dict[Path, frozenset[str]]:
    """Return file -> names that the index puts there (empty without an index)."""
    # one file wins over an index, as in transformers
    if (folder / SINGLE_FILE).is_file():
        return {folder / SINGLE_FILE: frozenset()}
    if not (folder / INDEX_FILE).is_file():
        others = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".pt", ".gguf"})
        raise CheckpointError(
            f"{folder} holds neither {SINGLE_FILE} nor {INDEX_FILE}"
            + (f", only {', '.join(others)}; save it as safetensors" if others else "")
            + "; is the download complete?"
        )
    weight_map = _read_weight_map(folder / INDEX_FILE)
    names: dict[str, set[str]] = {}
    for tensor, file in weight_map.items():
        names.setdefault(file, set()).add(tensor)
    missing = sorted(file for file in names if not (folder / file).is_file())
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} of the {len(names)} shards that {INDEX_FILE} names: "
            f"{', '.join(missing)}; repeat the download, finished files are kept"
        )
    return {folder / file: frozenset(names[file]) for file in sorted(names)}


def _read_weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        for file in weight_map.values():
            if Path(file).name != file:
                raise ValueError(f"{file!r} is not a plain file name")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{index} has no weight_map of tensor name -> file name in the same folder "
            f"({error}); download it again"
        ) from error
    return weight_map


def read_header(file: Path) -> dict[str, Entry]:
    """Return the tensors of one safetensors file by name.

    Raises:
        CheckpointError: the file is truncated, not safetensors, or its header contradicts itself.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(64)
        if start.startswith(b"version https://git-lfs"):
            raise CheckpointError(
                f"{file} is a Git LFS pointer, not the weights; run `git lfs pull` in its folder"
            )
        length = int.from_bytes(start[:8], "little")
        if len(start) < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise _broken(file, f"a header of {length} bytes does not fit a file of {size} bytes")
        stream.seek(8)
        text = stream.read(length)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        entries = {name: _entry(file, 8 + length, raw) for name, raw in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(file, f"its header can't be read ({error})") from error
    _check_extent(file, entries, 8 + length, size)
    return entries


def _entry(file: Path, data_start: int, raw: Mapping[str, Any]) -> Entry:
    begin, end = raw["data_offsets"]
    shape = tuple(int(size) for size in raw["shape"])
    entry = Entry(file, str(raw["dtype"]), shape, data_start + begin, end - begin)
    dtype = FLOAT_DTYPES.get(entry.dtype)
    if dtype is not None and entry.num_bytes != prod(shape) * dtype.itemsize:
        raise ValueError(f"{entry.num_bytes} bytes for {entry.dtype} of shape {shape}")
    return entry


def _check_extent(file: Path, entries: Mapping[str, Entry], start: int, size: int) -> None:
    """Raise unless the tensors lie one after another and end with the file."""
    position = start
    for entry in sorted(entries.values(), key=lambda entry: (entry.offset, entry.num_bytes)):
        if entry.offset != position or entry.num_bytes < 0:
            raise _broken(file, f"its tensors overlap or leave a gap at byte {position}")
        position += entry.num_bytes
    if position != size:
        raise _broken(file, f"its header describes {position} bytes, it has {size}")


def _broken(file: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{file} is damaged or incomplete: {reason}; delete it and download it again"
    )
