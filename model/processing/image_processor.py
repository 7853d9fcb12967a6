"""Images -> ``pixel_values`` and ``image_grid_thw``."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from model.processing.checkpoint_files import find_folder, read_processor_settings
from model.processing.image import open_image
from model.processing.media import check_file
from model.processing.patches import PatchSettings, patchify
from model.processing.processing_cache import (
    ProcessingCache,
    fingerprint_file,
    fingerprint_image,
)
from model.processing.resize import resize

# The reference class's default; every published checkpoint overrides it (9 633 792).
DEFAULT_MAX_PIXELS = 28 * 28 * 15000


class Glm4vImageProcessor:
    """Resizes images to the budget of the checkpoint and cuts them into patches.

    Args:
        cache: keeps resized images by content, an eighth of the patches' size; a file that is in
            it is read but not decoded. None resizes every image anew.
    """

    def __init__(self, settings: PatchSettings, *, cache: ProcessingCache | None = None) -> None:
        self.settings = settings
        self.cache = cache

    @classmethod
    def from_pretrained(
        cls, path_or_hub_id: str | Path, *, cache: ProcessingCache | None = None
    ) -> Glm4vImageProcessor:
        """Read preprocessor_config.json (or the image part of processor_config.json)."""
        folder = find_folder(path_or_hub_id)
        raw = read_processor_settings(folder, "image")
        if raw is None:
            raise FileNotFoundError(
                f"{folder} has no preprocessor_config.json; copy it from the original checkpoint"
            )
        return cls(PatchSettings.from_dict(raw, max_pixels=DEFAULT_MAX_PIXELS), cache=cache)

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
        opened = [self._open(image, number) for number, image in enumerate(images, start=1)]
        sizes = [
            (image.shape[1], image.shape[2])
            if isinstance(image, Tensor)
            else self.resized(image.height, image.width)
            for image, _ in opened
        ]
        patch_size = self.settings.patch_size
        rows = [
            patchify(self._resize(image, key, size)[None], self.settings)
            for (image, key), size in zip(opened, sizes, strict=True)
        ]
        grid = [[1, height // patch_size, width // patch_size] for height, width in sizes]
        pixel_values = rows[0] if len(rows) == 1 else torch.cat(rows)
        return {"pixel_values": pixel_values, "image_grid_thw": torch.tensor(grid)}

    def _open(
        self, source: Image.Image | np.ndarray | bytes | str | Path, number: int
    ) -> tuple[Image.Image | Tensor, Hashable]:
        """Return a picture, or its (3, H, W) uint8 pixels of before; and the key to keep them by.

        Encoded images are known by their bytes, decoded ones by their pixels.
        """
        name = None if isinstance(source, (str, Path)) else f"image {number}"
        if self.cache is None:
            return open_image(source, name=name), None
        if isinstance(source, (str, Path)):
            content = fingerprint_file(check_file(source, kind="image"))
            key = ("file", content, self.settings)
        elif isinstance(source, bytes):
            key = ("file", hashlib.sha256(source).hexdigest(), self.settings)
        else:
            image = open_image(source, name=name)
            key = ("pixels", fingerprint_image(image), self.settings)
            found = self.cache.find(key)
            return image if found is None else found, key
        found = self.cache.find(key)
        return open_image(source, name=name) if found is None else found, key

    def _resize(self, image: Image.Image | Tensor, key: Hashable, size: tuple[int, int]) -> Tensor:
        """Return (3, height, width) uint8 pixels at the model's size, and keep them."""
        if isinstance(image, Tensor):
            return image
        # np.array copies: Pillow's buffer is read-only
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        pixels = resize(pixels, *size)
        return pixels if self.cache is None else self.cache.keep(key, pixels)
