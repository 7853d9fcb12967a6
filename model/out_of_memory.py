"""Memory that ran out, as the libraries say it and as people are told."""

from __future__ import annotations

import torch

# In messages of an ordinary RuntimeError: from torch on CPUs, from CUDA's libraries, from MPS.
OUT_OF_MEMORY_WORDS = ("allocate memory", "not enough memory", "ALLOC_FAILED", "out of memory")


class OutOfMemory(RuntimeError):
    """The request was ended because memory ran out; its text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "memory ran out while this was computed with others; ask again in a while, or with "
            "fewer or smaller files"
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; on a CPU, torch raises an ordinary RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return any(words in str(error) for words in OUT_OF_MEMORY_WORDS)
