"""The size at which the vision tower sees a picture, and the resampling to that size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# smart_resize of the reference implementation refuses more elongated pictures.
MAX_ASPECT_RATIO = 200


def smart_resize(
    num_frames: int,
    height: int,
    width: int,
    *,
    patch_size: int = 14,
    merge_size: int = 2,
    temporal_patch_size: int = 2,
    min_pixels: int,
    max_pixels: int,
) -> tuple[int, int]:
    """Choose the (height, width) nearest to the given one that the vision tower accepts.

    Both are multiples of ``patch_size * merge_size``, and frames x height x width lies within the
    pixel budget (rounding may exceed it slightly). An image counts ``temporal_patch_size`` frames.

    Args:
        num_frames: frames that share the budget, at least ``temporal_patch_size``.
        height: rows of the picture, in pixels.
        width: columns of the picture, in pixels.
        min_pixels: lower budget, ``size.shortest_edge`` of preprocessor_config.json.
        max_pixels: upper budget, ``size.longest_edge``.

    Raises:
        ValueError: too few frames, or one side more than 200 times the other.
    """
    if num_frames < temporal_patch_size:
        raise ValueError(
            f"{num_frames} frame(s) given, at least {temporal_patch_size} needed; repeat the last"
        )
    factor = patch_size * merge_size
    if height < factor or width < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    if max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
        raise ValueError(
            f"the picture is {width}x{height}: one side is more than {MAX_ASPECT_RATIO} times the "
            "other; crop it or cut it into pieces"
        )
    rows = round(height / factor) * factor
    columns = round(width / factor) * factor
    frames = round(num_frames / temporal_patch_size) * temporal_patch_size
    if frames * rows * columns > max_pixels:
        shrink = math.sqrt(num_frames * height * width / max_pixels)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif frames * rows * columns < min_pixels:
        grow = math.sqrt(min_pixels / (num_frames * height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return rows, columns


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resample with an antialiased bicubic filter, in 8-bit arithmetic.

    uint8 throughout: 3840x2160 -> 2912x1624 takes 18 ms on one core, Pillow's own 107 ms
    (benchmarks/media.py). No value differs from Pillow's by more than 2 of 255.

    Args:
        pixels: (3, rows, columns) uint8.

    Returns:
        (3, height, width) uint8.
    """
    if pixels.shape[1:] == (height, width):
        return pixels
    # here, so that whoever opens a picture need not have torch in memory
    from torch.nn import functional as F

    return F.interpolate(pixels[None], size=(height, width), mode="bicubic", antialias=True)[0]
