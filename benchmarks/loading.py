"""Seconds and peak memory of loading a checkpoint, ours and transformers'.

    python -m benchmarks.loading [--folder FOLDER] [--runs 3]

Writes a GLM-shaped bfloat16 checkpoint of random weights in shards of 400 MB (about 2.3 GB in all),
then loads it in fresh processes. Peak RSS counts everything that is resident, mapped file pages
included, less what the interpreter and its imports hold before the load. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.conditions import machine
from benchmarks.shapes import glm_shaped_config
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

LOADERS = ("ours", "ours, all on disk", "transformers")
SAMPLE_S = 0.005


def write_checkpoint(folder: Path) -> int:
    """Write the checkpoint and return the bytes of its tensors."""
    with torch.device("meta"):
        # GLM-4.5V's own vocabulary: the embeddings are the largest tensors of a real checkpoint
        config = Glm4vMoeConfig(**glm_shaped_config(vocab_size=151552))
        model = Glm4vMoeForConditionalGeneration(config).to(torch.bfloat16)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.uniform_(-0.03, 0.03)
    model.save_pretrained(folder, max_shard_size="400MB")
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


def evict(folder: Path) -> None:
    """Drop the checkpoint's pages from the page cache."""
    os.sync()
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_status(key: str) -> int:
    """Return a size of this process in bytes, such as ``VmHWM``, its highest RSS."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


class AnonymousPeak:
    """Samples memory that is not mapped from files; the kernel keeps no record of its peak."""

    def __init__(self) -> None:
        self.value = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.value = max(self.value, read_status("RssAnon"))

    def __enter__(self) -> AnonymousPeak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def loader(name: str) -> Callable[[str], Any]:
    """Return a function that loads a folder, everything it needs being imported."""
    if name == "transformers":
        from transformers import Glm4vMoeForConditionalGeneration as Reference

        return lambda folder: Reference.from_pretrained(folder, dtype=torch.bfloat16)
    from model.checkpoint import load_pretrained

    device_map = "disk" if name == "ours, all on disk" else None
    return lambda folder: load_pretrained(
        Glm4vMoeForConditionalGeneration,
        folder,
        device_map=device_map,
        offload_folder=Path(folder).parent,
    )


def measure(name: str, folder: str) -> dict[str, float]:
    """Load once in this process; bytes and seconds."""
    load = loader(name)
    # the peak of the imports must not count as that of the load
    Path("/proc/self/clear_refs").write_text("5")
    baseline, baseline_anonymous = read_status("VmRSS"), read_status("RssAnon")
    with AnonymousPeak() as anonymous:
        started = time.perf_counter()
        model = load(folder)
        seconds = time.perf_counter() - started
    assert next(model.parameters()).dtype == torch.bfloat16
    return {
        "seconds": seconds,
        "baseline": baseline,
        "peak": read_status("VmHWM"),
        "anonymous": anonymous.value - baseline_anonymous,
    }


def measure_in_fresh_process(name: str, folder: Path) -> dict[str, float]:
    """Run `measure` where nothing has been loaded before."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.loading",
        "--measure",
        name,
        "--folder",
        str(folder),
    ]
    quiet = os.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=quiet, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_table(folder: Path, model_bytes: int, runs: int) -> None:
    """Measure and print, best of ``runs``."""
    from transformers import __version__ as transformers_version

    shards = len(list(folder.glob("*.safetensors")))
    print(f"model {model_bytes / 1e9:.3f} GB bfloat16, {shards} shards of at most 400 MB")
    print(f"{machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    print(f"transformers {transformers_version}, best seconds and highest peak of {runs} runs")
    head = ("loader", "page cache", "seconds", "GB/s", "baseline MB", "peak MB", "peak / model")
    print("{:18} {:>10} {:>8} {:>6} {:>12} {:>8} {:>13} {:>15}".format(*head, "anonymous only"))
    for cache in ("warm", "cold"):
        for name in LOADERS:
            results = []
            for _ in range(runs + (cache == "warm")):
                if cache == "cold":
                    evict(folder)
                results.append(measure_in_fresh_process(name, folder))
            # the first warm run warms
            results = results[-runs:]
            best = min(results, key=lambda result: result["seconds"])
            peak = max(result["peak"] - result["baseline"] for result in results)
            anonymous = max(result["anonymous"] for result in results)
            print(
                f"{name:18} {cache:>10} {best['seconds']:8.2f} "
                f"{model_bytes / 1e9 / best['seconds']:6.2f} {best['baseline'] / 1e6:12.0f} "
                f"{best['peak'] / 1e6:8.0f} {peak / model_bytes:13.3f} "
                f"{anonymous / model_bytes:15.3f}",
                flush=True,
            )


def main() -> None:
    """Parse the command line; with --measure, be the fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, help="where to write; a temporary folder if not given"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--measure", choices=LOADERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, str(options.folder))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as parent:
        folder = Path(parent) / "checkpoint"
        print_table(folder, write_checkpoint(folder), options.runs)


if __name__ == "__main__":
    main()
