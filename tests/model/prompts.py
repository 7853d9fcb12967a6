"""Prompts with images and videos in the tiny models' token ids."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

IMAGE, IMAGE_START, IMAGE_END, VIDEO_START, VIDEO_END = 150, 152, 153, 154, 155
PATCH_DIM = 3 * 2 * 14 * 14


@dataclass
class Prompt:
    """Token ids and the media they stand for, built piece by piece."""

    ids: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    image_grids: list[list[int]] = field(default_factory=list)
    video_grids: list[list[int]] = field(default_factory=list)

    def _put(self, ids: list[int], kind: int = 0) -> Prompt:
        self.ids += ids
        self.types += [kind] * len(ids)
        return self

    def text(self, count: int) -> Prompt:
        """Add ``count`` ordinary tokens."""
        return self._put(torch.randint(1, 140, (count,)).tolist())

    def image(self, rows: int, columns: int) -> Prompt:
        """Add an image of rows x columns patches."""
        self.image_grids.append([1, rows, columns])
        self._put([IMAGE_START])._put([IMAGE] * (rows * columns // 4), 1)
        return self._put([IMAGE_END])

    def video(self, frames: int, rows: int, columns: int) -> Prompt:
        """Add a video of ``frames`` temporal patches, each followed by a time stamp."""
        self.video_grids.append([frames, rows, columns])
        self._put([VIDEO_START])
        for _ in range(frames):
            self._put([IMAGE_START])._put([IMAGE] * (rows * columns // 4), 2)
            self._put([IMAGE_END]).text(1)
        return self._put([VIDEO_END])

    def tensors(self) -> dict[str, Tensor]:
        """Return the inputs of one conversation, without token types."""
        inputs = {"input_ids": torch.tensor([self.ids])}
        for grids, pixels, grid_name in (
            (self.image_grids, "pixel_values", "image_grid_thw"),
            (self.video_grids, "pixel_values_videos", "video_grid_thw"),
        ):
            if grids:
                grid = torch.tensor(grids)
                inputs[pixels] = torch.randn(int(grid.prod(-1).sum()), PATCH_DIM)
                inputs[grid_name] = grid
        return inputs

    def token_types(self) -> Tensor:
        """(1, T): 0 text, 1 image, 2 video."""
        return torch.tensor([self.types], dtype=torch.int32)


def pad_together(prompts: list[Prompt], side: str) -> dict[str, Tensor]:
    """Return the inputs of several conversations, padded with token 0 on ``side``."""
    length = max(len(prompt.ids) for prompt in prompts)
    parts = [prompt.tensors() for prompt in prompts]
    ids = torch.zeros(len(prompts), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    types = torch.zeros_like(ids, dtype=torch.int32)
    for row, prompt in enumerate(prompts):
        size = len(prompt.ids)
        at = slice(length - size, None) if side == "left" else slice(0, size)
        ids[row, at] = torch.tensor(prompt.ids)
        types[row, at] = torch.tensor(prompt.types, dtype=torch.int32)
        mask[row, at] = 1
    batch = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": types}
    for name in ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw"):
        found = [part[name] for part in parts if name in part]
        if found:
            batch[name] = torch.cat(found)
    return batch
