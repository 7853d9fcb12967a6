"""Images -> ``pixel_values`` and ``image_grid_thw``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from model.processing.checkpoint_files import find_folder, read_processor_settings
from model.processing.image import open_image
from model.processing.patches import PatchSettings, patchify
from model.processing.resize import resize

# The reference class's default; every published checkpoint overrides it (9 633 792).
DEFAULT_MAX_PIXELS = 28 * 28 * 15000


class Glm4vImageProcessor:
    """Resizes images to the budget of the checkpoint and cuts them into patches."""

    def __init__(self, settings: PatchSettings) -> None:
        self.settings = settings

    @classmethod
    def from_pretrained(cls, path_or_hub_id: str | Path) -> Glm4vImageProcessor:
        """Read preprocessor_config.json (or the image part of processor_config.json)."""
        folder = find_folder(path_or_hub_id)
        raw = read_processor_settings(folder, "image")
        if raw is None:
            raise FileNotFoundError(
                f"{folder} has no preprocessor_config.json; copy it from the original checkpoint"
            )
        return cls(PatchSettings.from_dict(raw, max_pixels=DEFAULT_MAX_PIXELS))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) at which the model sees an image of this size, in pixels."""
        return self.settings.target_size(self.settings.temporal_patch_size, height, width)

    def num_tokens(self, height: int, width: int) -> int:
        """Count the prompt tokens that an image of this size takes."""
        rows, columns = self.resized(height, width)
        return rows * columns // (self.settings.patch_size * self.settings.merge_size) ** 2

    def __call__(
        self, images: Sequence[Image.Image | np.ndarray | bytes | str | Path]
    ) -> dict[str, Tensor]:
        """Prepare images for the vision tower.

        Args:
            images: at least one; whatever ``open_image`` takes.

        Returns:
            pixel_values: (N, 1176) float32, the patches of all images one after another.
            image_grid_thw: (images, 3) int64: 1, rows, columns, counted in patches.

        Raises:
            MediaError: an image cannot be used.
        """
        # every image is checked before any is resampled
        opened = [
            open_image(image, name=None if isinstance(image, (str, Path)) else f"image {number}")
            for number, image in enumerate(images, start=1)
        ]
        sizes = [self.resized(image.height, image.width) for image in opened]
        patch_size = self.settings.patch_size
        rows = []
        for image, (height, width) in zip(opened, sizes, strict=True):
            # np.array copies: Pillow's buffer is read-only
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            rows.append(patchify(resize(pixels, height, width)[None], self.settings))
        grid = [[1, height // patch_size, width // patch_size] for height, width in sizes]
        pixel_values = rows[0] if len(rows) == 1 else torch.cat(rows)
        return {"pixel_values": pixel_values, "image_grid_thw": torch.tensor(grid)}
