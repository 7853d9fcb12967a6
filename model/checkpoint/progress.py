"""How far a checkpoint is on its way: bytes downloaded, then bytes read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from huggingface_hub.utils import tqdm

Stage: TypeAlias = Literal["downloading", "loading"]
# Called from any thread, with how much of a stage is done, from 0 to 1.
Progress: TypeAlias = Callable[[Stage, float], None]


class ByteCount:
    """Counts what several threads have done of one stage.

    Args:
        stage: what is counted.
        total: bytes in all; nothing is told if it is 0.
        progress: who is told.
    """

    def __init__(self, stage: Stage, total: int, progress: Progress) -> None:
        self._stage = stage
        self._total = total
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, num_bytes: int) -> None:
        """Count ``num_bytes`` more, and tell."""
        if not self._total:
            return
        with self._lock:
            self._done += num_bytes
            self._progress(self._stage, min(max(self._done / self._total, 0.0), 1.0))


def counting_bar(count: ByteCount) -> type[tqdm]:
    """Return the hub's progress bar as a class that also counts what reaches the disk."""

    class CountingBar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # beside it there are bars of files and of what the network carries
            is_transfer = str(kwargs.get("name")).endswith(".transfer")
            self._counts = kwargs.get("unit") == "B" and not is_transfer
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            if self._counts:
                count.add(int(n or 0))
            return super().update(n)

    return CountingBar
