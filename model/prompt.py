"""A prompt as the engine computes it: piece by piece, and comparable with other prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.glm4v_moe import Glm4vMoeModel
from model.positions import IMAGE, VIDEO, mrope_positions, token_types_of
from model.vision import MAX_GROUP_PATCHES


@dataclass(slots=True)
class Medium:
    """An image or a video in a prompt.

    Attributes:
        digest: of pixels and grid; equal media have equal ones.
        pixels: (t * h * w, patch_dim); none once there are embeddings.
        grid: t, h, w in patches.
        where: (tokens,) int64, the places of its tokens in the prompt, ascending.
        embeddings: (tokens, C) once the vision tower has run.
    """

    digest: int
    pixels: Tensor
    grid: tuple[int, int, int]
    where: Tensor
    embeddings: Tensor | None = None
    _parts: list[Tensor] = field(default_factory=list)

    def encode_next(
        self, model: Glm4vMoeModel, between_layers: Callable[[], None] | None = None
    ) -> None:
        """Run the vision tower over the next temporal patches, at least one.

        Args:
            model: whose tower.
            between_layers: as `Glm4vMoeVisionModel.forward`.
        """
        frames, height, width = self.grid
        patches = height * width
        done = sum(len(part) for part in self._parts) * len(self.pixels) // len(self.where)
        count = min(max(MAX_GROUP_PATCHES // patches, 1), frames - done // patches)
        grid = torch.tensor([[count, height, width]], device=self.pixels.device)
        pixels = self.pixels[done : done + count * patches]
        part = model.get_image_features(pixels, grid, between_layers)
        parts = [*self._parts, part]
        if done + count * patches == len(self.pixels):
            self.settle(torch.cat(parts))
        else:
            self._parts = parts

    def settle(self, embeddings: Tensor) -> None:
        """Take the embeddings, and let go of what they were or would be computed from."""
        self.embeddings = embeddings
        self.pixels = self.pixels.new_empty(0)
        self._parts = []


class Prompt:
    """Token ids, positions and media of one conversation (B = 1).

    Attributes:
        ids: (1, T) int64.
        position_ids: (3, 1, T) int64.
        rope_delta: next position minus T.
        num_layers: of the decoder that runs it.
        media: images, then videos, each in order, as long as they are needed.
        keys: (T,) int64 on the CPU. Two prompts whose first n keys are equal have equal keys and
            values of these n tokens: a text token's key is its id, that of a media token depends on
            the medium and the place in it.
    """

    def __init__(self, model: Glm4vMoeModel, inputs: Mapping[str, Tensor]) -> None:
        """
        Args:
            model: which will run it.
            inputs: as `Glm4vMoeModel.forward`: input_ids (1, T), pixel values and grids; no mask.

        Raises:
            ValueError: several conversations, or tokens and media that don't match.
        """
        self.ids = inputs["input_ids"]
        if len(self.ids) != 1:
            raise ValueError(
                f"input_ids is {tuple(self.ids.shape)}; expected one conversation, (1, tokens): "
                "submit each by itself"
            )
        types = inputs.get("mm_token_type_ids")
        if types is None:
            types = token_types_of(self.ids, model.config)
        types = types.cpu()
        grids = (inputs.get("image_grid_thw"), inputs.get("video_grid_thw"))
        self.num_layers = model.config.text_config.num_hidden_layers
        merge = model.config.vision_config.spatial_merge_size
        start = torch.zeros(1, dtype=torch.int64)
        positions, following = mrope_positions(types, grids[0], grids[1], merge, None, start)
        self.position_ids = positions.to(self.ids.device)
        self.rope_delta = int(following) - self.ids.shape[1]
        self.keys = self.ids[0].cpu().clone()
        self.media: list[Medium] = []
        for kind, name, grid in zip(
            (IMAGE, VIDEO), ("pixel_values", "pixel_values_videos"), grids, strict=True
        ):
            if name in inputs:
                if grid is None:
                    raise ValueError(f"{name} need image_grid_thw or video_grid_thw beside them")
                where = (types[0] == kind).nonzero()[:, 0]
                # as the tower takes them: in bfloat16 half as many bytes to keep and to digest
                pixels = inputs[name].to(model.visual.patch_embed.proj.weight.dtype)
                self.media += _split_media(pixels, grid, where, merge)
        for medium in self.media:
            self.keys[medium.where] = _media_keys(medium)

    @property
    def length(self) -> int:
        """T."""
        return self.ids.shape[1]

    def media_after(self, start: int) -> Iterator[Medium]:
        """Yield the media with tokens at ``start`` or later."""
        return (medium for medium in self.media if int(medium.where[-1]) >= start)

    def embed(self, model: Glm4vMoeModel, start: int, end: int) -> Tensor:
        """Return (1, end - start, C): what the decoder takes for these tokens."""
        x = model.language_model.embed_tokens(self.ids[:, start:end])
        for medium in self.media_after(start):
            inside = (medium.where >= start) & (medium.where < end)
            if bool(inside.any()):
                assert medium.embeddings is not None
                rows = medium.embeddings[inside.to(medium.embeddings.device)]
                x[0, (medium.where[inside] - start).to(x.device)] = rows.to(x)
        return x


def _split_media(pixels: Tensor, grid_thw: Tensor, where: Tensor, merge: int) -> list[Medium]:
    """Return the media of one kind, whose tokens are at the places ``where``."""
    media, patch, token = [], 0, 0
    for t, h, w in grid_thw.tolist():
        size, tokens = t * h * w, t * h * w // merge**2
        own = pixels[patch : patch + size]
        places = where[token : token + tokens]
        if len(own) != size or len(places) != tokens:
            raise ValueError(
                f"a medium of {t} x {h} x {w} patches needs {size} rows of pixels and {tokens} "
                f"tokens; there are {len(own)} and {len(places)}; build the prompt with "
                "Glm4vProcessor"
            )
        media.append(Medium(_digest(own, (t, h, w)), own, (t, h, w), places))
        patch, token = patch + size, token + tokens
    if patch != len(pixels) or token != len(where):
        raise ValueError(
            f"the grids stand for {patch} rows of pixels and {token} tokens; there are "
            f"{len(pixels)} and {len(where)}; build the prompt with Glm4vProcessor"
        )
    return media


def _digest(pixels: Tensor, grid: tuple[int, int, int]) -> int:
    # processors have instructions for it: twice as fast as blake2b
    content = hashlib.sha256(repr((grid, pixels.dtype)).encode())
    content.update(pixels.contiguous().view(torch.uint8).cpu().numpy().data)
    return int.from_bytes(content.digest()[:8], "little")


def _media_keys(medium: Medium) -> Tensor:
    """(tokens,) int64, all negative: no id of a text token is."""
    first = medium.digest % 2**62
    return -1 - (first + torch.arange(len(medium.where))) % 2**62


def common_length(a: Tensor, b: Tensor) -> int:
    """Return how many first keys two prompts share."""
    size = min(len(a), len(b))
    different = (a[:size] != b[:size]).nonzero()
    return int(different[0]) if len(different) else size
