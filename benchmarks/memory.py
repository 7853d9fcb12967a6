"""What the engine holds over many requests: ``python -m benchmarks.memory [--requests 1000]``.

Each request shows the bundled model another picture of another size, so all that could be kept is
new. The bounds are small, to be reached soon; memory is set up as ``app.py`` does.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from typing import TYPE_CHECKING, Any

import psutil

from model.allocator import keep_memory_together

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

MEBIBYTE = 1024**2
MAX_PREFIX_BYTES = 32 * MEBIBYTE
MAX_VISION_BYTES = 8 * MEBIBYTE
PARTS = 10
NEW_TOKENS = 8
AT_ONCE = 4


def picture_prompt(model: Glm4vMoeForConditionalGeneration, rng: random.Random) -> dict[str, Any]:
    """Return a prompt of a random picture, 4 to 16 patches wide and high, and a question."""
    from benchmarks.serving import screenshot_prompt

    patches = 2 * rng.randint(2, 8), 2 * rng.randint(2, 8)
    return screenshot_prompt(model, rng.getrandbits(32), rng.randint(10, 60), patches)


def main() -> None:
    """Parse the command line and print a line for each tenth of the requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    keep_memory_together()
    # the package before torch, which reads what it sets
    from benchmarks.decode import BUNDLED
    from model.engine import Engine
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

    model = Glm4vMoeForConditionalGeneration.from_pretrained(BUNDLED)
    bounds = {"max_prefix_bytes": MAX_PREFIX_BYTES, "max_vision_bytes": MAX_VISION_BYTES}
    engine = Engine(model, **bounds)
    rng = random.Random(0)
    most = [0, 0, 0]
    print("requests  resident MiB  objects of Python  seconds")
    for part in range(1, PARTS + 1):
        started = time.perf_counter()
        for _ in range(options.requests // PARTS // AT_ONCE):
            running = [
                engine.submit(
                    picture_prompt(model, rng), max_new_tokens=NEW_TOKENS, eos_token_id=()
                )
                for _ in range(AT_ONCE)
            ]
            for request in running:
                for _ in request:
                    most = [max(old, new) for old, new in zip(most, engine.memory(), strict=True)]
        del running, request
        gc.collect()
        resident = psutil.Process().memory_info().rss / MEBIBYTE
        print(
            f"{part * options.requests // PARTS:8d}  {resident:12.0f}  "
            f"{len(gc.get_objects()):17d}  {time.perf_counter() - started:7.1f}"
        )
    engine.close()
    _, prefixes, vision = most
    print(
        f"prefixes at most {prefixes / MEBIBYTE:.1f} of {MAX_PREFIX_BYTES // MEBIBYTE} MiB, vision "
        f"{vision / MEBIBYTE:.1f} of {MAX_VISION_BYTES // MEBIBYTE} MiB"
    )


if __name__ == "__main__":
    main()
