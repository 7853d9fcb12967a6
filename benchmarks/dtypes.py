"""The bundled model in bfloat16 and in float32 on this CPU: ``python -m benchmarks.dtypes``.

The same weights in this process and on the same threads, one after the other and again: the first
token about a small screenshot, and the tokens that follow. The last column is the rate of matrix
products. ``--dtype auto`` takes float32 where a processor has no instructions for bfloat16
(`model.checkpoint.dtypes.fast_dtype`).
"""

from __future__ import annotations

import argparse
import statistics
import sys

import torch

from benchmarks.conditions import machine, matrix_rate
from benchmarks.decode import BUNDLED
from benchmarks.serving import answering, first_token, screenshot_prompt, tokens_per_second
from model.checkpoint.dtypes import fast_dtype
from model.engine import Engine
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

PATCHES = (32, 32)  # of 448 x 448 pixels, as 200,000 become
NEW_TOKENS = 40


def measure(model: Glm4vMoeForConditionalGeneration) -> tuple[float, float]:
    """Return the seconds until the first token about a screenshot, and tokens per second then."""
    engine = Engine(model, max_prefix_bytes=0, max_vision_bytes=0)
    try:
        seconds = first_token(engine, screenshot_prompt(model, 0, patches=PATCHES))
        prompt = screenshot_prompt(model, 1, patches=PATCHES)
        with answering(engine, [prompt], NEW_TOKENS) as results:
            pass
    finally:
        engine.close()
    return seconds, tokens_per_second(results)


def main() -> None:
    """Parse the command line and print a line for each dtype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{machine()}; auto is {fast_dtype(torch.device('cpu'))}")
    dtypes = (torch.bfloat16, torch.float32)
    models = {
        dtype: Glm4vMoeForConditionalGeneration.from_pretrained(BUNDLED, dtype=dtype)
        for dtype in dtypes
    }
    figures: dict[torch.dtype, list[tuple[float, float]]] = {dtype: [] for dtype in dtypes}
    for repeat in range(options.repeats + 1):  # the first warms up
        for dtype, model in models.items():
            row = measure(model)
            if repeat:
                figures[dtype].append(row)
        print(f"{repeat} of {options.repeats}", file=sys.stderr)
    for dtype, rows in figures.items():
        seconds, speed = (statistics.median(column) for column in zip(*rows, strict=True))
        rate = matrix_rate(dtype, rows=256, size=1024) / 1e9
        print(
            f"{str(dtype).removeprefix('torch.'):9s} first token {1000 * seconds:6.0f} ms  "
            f"{speed:6.1f} tokens/s  products {rate:6.1f} GFLOP/s"
        )


if __name__ == "__main__":
    main()
