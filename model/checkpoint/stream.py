"""Bytes of the shards -> the model's memory, or a file for what is kept on disk.

A tensor whose dtype is already right is read straight into its slot: no second copy exists, so the
peak is the model itself plus one piece of `PIECE_BYTES` per thread. Memory-mapping the shards and
copying from the map would count up to a shard per thread as ours while it is read; using the map
as the parameter would save the copy, but only where the layout agrees (not for experts stored one
by one), and a checkpoint that is replaced or cut short later would then kill the process (SIGBUS).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from math import prod
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from model.checkpoint.errors import CheckpointError
from model.checkpoint.names import Slot
from model.checkpoint.progress import ByteCount, Progress
from model.checkpoint.shards import FLOAT_DTYPES, Entry
from model.quantization import Quantization, Quantized, empty, quantize

# Large enough that the calls cost nothing, small enough that a piece stays in a CPU's last cache.
PIECE_BYTES = 16 * 2**20

# To round weights takes several floats for each.
ROUNDED_BYTES = 2 * 2**20

# Reading leaves Python's lock, so shards load side by side; a disk gains little beyond a few.
MAX_THREADS = 4


class Target(Protocol):
    """A tensor of the model that is being filled."""

    def fill(self, file: FileIO, entry: Entry, start: int) -> None:
        """Read ``entry`` into the elements from ``start`` on, counted in the flattened tensor."""


class MemoryTarget:
    """A tensor in the memory of any device."""

    def __init__(self, tensor: Tensor) -> None:
        self.flat = tensor.detach().view(-1)

    def fill(self, file: FileIO, entry: Entry, start: int) -> None:
        run = self.flat[start : start + prod(entry.shape)]
        if run.device.type == "cpu" and run.dtype == FLOAT_DTYPES[entry.dtype]:
            read_exactly(file, entry.offset, run)
            return
        for position, values in read_pieces(file, entry):
            run[position : position + values.numel()].copy_(values)


class QuantizingTarget:
    """Matrices in integers in the memory of any device; floats exist a piece at a time.

    Args:
        shape: (..., out, in) of the weights.
        to: what they become.
        device: where.

    Attributes:
        quantized: as `quantize` would return it of the whole.
    """

    def __init__(self, shape: torch.Size, to: Quantization, device: str) -> None:
        self.quantized: Quantized = empty(shape, to, device)
        self._columns = shape[-1]
        self._dims = len(shape) - 1  # of rows
        self._to = to

    def fill(self, file: FileIO, entry: Entry, start: int) -> None:
        targets = [part.flatten(0, self._dims - 1) for part in self.quantized if part is not None]
        pieces = read_pieces(file, entry, self._columns, piece_bytes=ROUNDED_BYTES)
        for position, values in pieces:
            first = (start + position) // self._columns
            try:
                quantized = quantize(values.view(-1, self._columns), self._to)
            except ValueError as error:
                raise CheckpointError(f"{file.name}: {error}") from error
            parts = [part for part in quantized if part is not None]
            for target, part in zip(targets, parts, strict=True):
                target[first : first + len(part)].copy_(part)


class FileTarget:
    """A file of raw values in C order, as accelerate's disk offload reads them."""

    def __init__(self, path: Path, dtype: torch.dtype, num_elements: int) -> None:
        self.path = path
        self.dtype = dtype
        with path.open("wb") as file:
            file.truncate(num_elements * dtype.itemsize)

    def fill(self, file: FileIO, entry: Entry, start: int) -> None:
        with self.path.open("r+b") as out:
            out.seek(start * self.dtype.itemsize)
            for _, values in read_pieces(file, entry):
                out.write(as_bytes(values.to(self.dtype)))


def as_bytes(flat: Tensor) -> memoryview:
    """Return the memory of a contiguous 1-D CPU tensor."""
    return flat.view(torch.uint8).numpy().data


def read_exactly(file: FileIO, offset: int, flat: Tensor) -> None:
    """Fill a contiguous 1-D CPU tensor with the bytes of ``file`` from ``offset`` on."""
    rest = as_bytes(flat)
    file.seek(offset)
    while rest:
        # one call returns at most 2 GiB on Linux
        count = file.readinto(rest)
        if not count:
            raise CheckpointError(
                f"{file.name} ended {len(rest)} bytes early; was it changed while being read?"
            )
        rest = rest[count:]


def read_pieces(
    file: FileIO, entry: Entry, columns: int = 1, piece_bytes: int | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first element, values) of ``entry``; a piece is valid until the next one.

    A piece has whole rows of ``columns`` elements, and ``piece_bytes`` or `PIECE_BYTES` at most,
    unless a row alone has more.
    """
    dtype = FLOAT_DTYPES[entry.dtype]
    total = prod(entry.shape)
    rows = max((piece_bytes or PIECE_BYTES) // dtype.itemsize // columns, 1)
    size = min(total, rows * columns)
    piece = torch.empty(size, dtype=dtype)
    for position in range(0, total, size):
        values = piece[: total - position]
        read_exactly(file, entry.offset + position * dtype.itemsize, values)
        yield position, values


def holds_same_values(one: Entry, other: Entry) -> bool:
    """Tell whether two tensors of a checkpoint are equal bit for bit."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    with open_raw(one.file) as file, open_raw(other.file) as other_file:
        pairs = zip(read_pieces(file, one), read_pieces(other_file, other), strict=True)
        return all(as_bytes(a) == as_bytes(b) for (_, a), (_, b) in pairs)


def open_raw(path: Path) -> FileIO:
    """Open for reading without Python's own buffer, which would copy once more."""
    return FileIO(path, "rb")


def stream_shards(
    reads: Sequence[tuple[Entry, Slot]],
    targets: Mapping[str, Target],
    progress: Progress | None = None,
) -> None:
    """Fill ``targets`` (model tensor name -> target), every shard once and front to back."""
    total = sum(entry.num_bytes for entry, _ in reads)
    count = ByteCount("loading", total, progress) if progress is not None else None
    shards: dict[Path, list[tuple[Entry, Slot]]] = {}
    for entry, slot in reads:
        shards.setdefault(entry.file, []).append((entry, slot))

    def stream(shard: Path) -> None:
        with open_raw(shard) as file:
            for entry, slot in sorted(shards[shard], key=lambda read: read[0].offset):
                targets[slot.target].fill(file, entry, slot.start)
                if count is not None:
                    count.add(entry.num_bytes)

    threads = min(MAX_THREADS, os.cpu_count() or 1, max(1, len(shards)))
    with ThreadPoolExecutor(threads) as pool:
        # list: so that a shard's error is raised here
        list(pool.map(stream, shards))
