"""What a number depends on: the machine, the versions, and the memory bandwidth it could reach."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import torch


def machine() -> str:
    """Describe processor, threads and versions in one line."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            names = [line.split(":", 1)[1].strip() for line in cpuinfo if "model name" in line]
        processor = names[0] if names else processor
    except OSError:
        pass
    return (
        f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def best_of(run: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest of ``repeats`` run times in seconds, after one warm-up run."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def read_bandwidth() -> float:
    """Measure how fast memory can be read, in bytes per second: the sum of 400 MB of float32."""
    data = torch.ones(100_000_000)
    return data.numel() * 4 / best_of(data.sum)


def matrix_rate(dtype: torch.dtype, *, rows: int = 1024, size: int = 4096) -> float:
    """Measure how fast (rows, size) is multiplied by (size, size), in FLOP per second."""
    x, weight = torch.randn(rows, size).to(dtype), torch.randn(size, size).to(dtype)
    return 2 * rows * size * size / best_of(lambda: torch.nn.functional.linear(x, weight))
