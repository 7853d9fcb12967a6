"""Time from a screenshot to ``pixel_values``: ``python -m benchmarks.preprocessing``.

Against transformers' image processor (its Pillow backend), and step by step. Each figure is the
best of seven runs after a warm-up; one thread unless told otherwise.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.conditions import best_of, machine
from model.processing import Glm4vImageProcessor
from model.processing.patches import patchify
from model.processing.resize import resize

# GLM-4.5V's own preprocessor_config.json, as far as it differs from the class defaults.
SETTINGS = '{"size": {"shortest_edge": 12544, "longest_edge": 9633792}}'


def best_ms(run: Callable[[], object]) -> float:
    """Return the shortest of several runs after a warm-up, in milliseconds."""
    return best_of(run, repeats=7) * 1e3


def screenshot(width: int, height: int) -> Image.Image:
    """Draw flat rectangles with sharp edges and a noisy photograph in one corner."""
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (height // 40 + 1, width // 60 + 1, 3), dtype=np.uint8)
    pixels = tiles.repeat(40, axis=0).repeat(60, axis=1)[:height, :width].copy()
    corner = pixels[: height // 3, : width // 3]
    corner[:] = rng.integers(0, 256, corner.shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def main() -> None:
    """Print the table."""
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=3840)
    parser.add_argument("--height", type=int, default=2160)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "preprocessor_config.json").write_text(SETTINGS)
        ours = Glm4vImageProcessor.from_pretrained(folder)
        reference = Glm4vImageProcessorPil.from_pretrained(folder)
    image = screenshot(options.width, options.height)
    height, width = ours.resized(image.height, image.width)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    small = resize(pixels, height, width)

    print(machine())
    print(f"{image.width}x{image.height} -> {width}x{height}, {options.threads} thread(s)")
    print(f"  Pillow to array      {best_ms(lambda: np.array(image)):7.1f} ms")
    print(f"  resize               {best_ms(lambda: resize(pixels, height, width)):7.1f} ms")
    pillow = best_ms(lambda: image.resize((width, height), Image.Resampling.BICUBIC))
    print(f"    the same by Pillow {pillow:7.1f} ms")
    print(f"  patchify, normalise  {best_ms(lambda: patchify(small[None], ours.settings)):7.1f} ms")
    mine = best_ms(lambda: ours([image]))
    theirs = best_ms(lambda: reference([image], return_tensors="pt"))
    print(f"whole, ours            {mine:7.1f} ms")
    print(f"whole, transformers    {theirs:7.1f} ms  ({theirs / mine:.2f}x)")

    got = ours([image])["pixel_values"]
    wanted = reference([image], return_tensors="pt")["pixel_values"]
    std = torch.tensor(ours.settings.image_std).repeat_interleave(2 * 14 * 14)
    levels = (got - wanted).abs() * std * 255
    share = (levels > 0.5).float().mean().item()
    print(f"largest difference {levels.max():.2f} of 255 levels; {share:.2%} of values differ")


if __name__ == "__main__":
    main()
