"""Cut pictures into the rows that the vision tower reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.processing.resize import smart_resize

# Rows normalised at a time, which bounds the intermediate floats to 10 MB.
CHUNK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """What preprocessor_config.json and video_preprocessor_config.json say in common."""

    min_pixels: int  # size.shortest_edge: budget of frames x rows x columns, in pixels
    max_pixels: int  # size.longest_edge
    patch_size: int = 14
    temporal_patch_size: int = 2
    merge_size: int = 2
    do_resize: bool = True
    do_rescale: bool = True
    do_normalize: bool = True
    rescale_factor: float = 1 / 255
    image_mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise ValueError(
                f"size must hold 0 < shortest_edge <= longest_edge, got {self.min_pixels} and "
                f"{self.max_pixels}"
            )
        if len(self.image_mean) != 3 or len(self.image_std) != 3 or not all(self.image_std):
            raise ValueError(
                f"image_mean and image_std need three values each, the latter not 0; got "
                f"{self.image_mean} and {self.image_std}"
            )

    @classmethod
    def from_dict(cls, raw: dict[str, Any], *, max_pixels: int) -> PatchSettings:
        """Read the file's values; ``max_pixels`` is the class default for a missing budget."""
        if raw.get("resample", 3) != 3:
            raise ValueError(
                f"resample is {raw['resample']}, but only 3 (bicubic) is implemented, "
                "which is what every GLM checkpoint uses"
            )
        size = raw.get("size") or {}
        values: dict[str, Any] = {
            "min_pixels": size.get("shortest_edge", 112 * 112),
            "max_pixels": size.get("longest_edge", max_pixels),
        }
        for name in (
            "patch_size", "temporal_patch_size", "merge_size",
            "do_resize", "do_rescale", "do_normalize", "rescale_factor",
        ):  # fmt: skip
            if raw.get(name) is not None:
                values[name] = raw[name]
        for name in ("image_mean", "image_std"):
            if raw.get(name) is not None:
                values[name] = tuple(raw[name])
        return cls(**values)

    def target_size(self, num_frames: int, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) at which the model sees frames of this size, in pixels."""
        if self.do_resize:
            return smart_resize(
                num_frames,
                height,
                width,
                patch_size=self.patch_size,
                merge_size=self.merge_size,
                temporal_patch_size=self.temporal_patch_size,
                min_pixels=self.min_pixels,
                max_pixels=self.max_pixels,
            )
        factor = self.patch_size * self.merge_size
        if height % factor or width % factor:
            raise ValueError(
                f"do_resize is off, so sides must be multiples of {factor}; got {width}x{height}"
            )
        return height, width

    def affine(self) -> tuple[Tensor, Tensor]:
        """Rescaling and normalisation as one ``x * scale + shift``; (3,) float32 each."""
        scale = torch.full(
            (3,), self.rescale_factor if self.do_rescale else 1.0, dtype=torch.float64
        )
        shift = torch.zeros(3, dtype=torch.float64)
        if self.do_normalize:
            std = torch.tensor(self.image_std, dtype=torch.float64)
            scale = scale / std
            shift = -torch.tensor(self.image_mean, dtype=torch.float64) / std
        return scale.float(), shift.float()


def patchify(frames: Tensor, settings: PatchSettings) -> Tensor:
    """Cut frames into patches, 2x2 neighbours next to each other, and normalise them.

    The permutation moves bytes, not floats, and one affine map then writes the floats once. A
    single frame is an image: it is normalised once and written ``temporal_patch_size`` times.

    Args:
        frames: (F, 3, H, W) uint8; F is 1 or a multiple of ``temporal_patch_size``, H and W are
            multiples of ``patch_size * merge_size``.

    Returns:
        (N, 3 * temporal_patch_size * patch_size ** 2) float32. Rows run over time, blocks of
        ``merge_size`` x ``merge_size`` patches in reading order, then the patches of a block; a
        row holds channel, frame, pixel row, pixel column, the last fastest.
    """
    count, channels, height, width = frames.shape
    p, m, times = settings.patch_size, settings.merge_size, settings.temporal_patch_size
    distinct = 1 if count == 1 else times
    assert count % distinct == 0 and height % (p * m) == 0 and width % (p * m) == 0

    blocks = frames.view(
        count // distinct, distinct, channels, height // (p * m), m, p, width // (p * m), m, p
    )
    # -> time, block row, block column, patch row, patch column, channel, frame, pixel row, column
    blocks = blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    patches = blocks.reshape(-1, channels, distinct, p * p)  # (N, 3, 1 or 2, 196) uint8

    scale, shift = (x[:, None, None] for x in settings.affine())
    # numpy asks the kernel for huge pages, torch does not: filling 114 MB takes 19 ms, not 45
    rows = torch.from_numpy(np.empty((len(patches), channels, times, p * p), dtype=np.float32))
    for start in range(0, len(patches), CHUNK_ROWS):
        part = patches[start : start + CHUNK_ROWS].float().mul_(scale).add_(shift)
        rows[start : start + CHUNK_ROWS] = part
    return rows.view(len(rows), -1)
