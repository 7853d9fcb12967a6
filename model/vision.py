"""The vision tower: patches of images and video frames in, merged embeddings out.

Each image, and each temporal patch of a video, is a *segment*: attention never crosses segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import native
from model.config import Glm4vMoeVisionConfig
from model.layers import GatedMLP, Linear, RMSNorm, activation, gated, linear
from model.native.vision import blocks_for
from model.outputs import VisionModelOutput
from model.rope import VisionRotaryEmbedding, rotate_in_float
from model.weights import initialize

# Segments run together up to this many patches. At GLM-4.5V's sizes (hidden 1536, feed-forward
# 4096, bfloat16) a block's activations are then below 1 GB; one larger segment still runs alone.
MAX_GROUP_PATCHES = 16_384
# On a CPU the gradient of fused attention is slow: written out, both ways of 8 images in bfloat16
# take half the time at 220 patches and a sixth at 48 (5 heads of 64, one core). The weights
# of longer segments would fill memory.
MAX_WRITTEN_OUT_PATCHES = 1024


class PatchProjection(nn.Conv3d):
    """The patch embedding's convolution; kernel and stride are one patch: a matrix product.

    2.7 to 4 times as fast on a CPU as the convolution (1024 patches of GLM-4.5V).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels * frames * rows * columns) -> (N, C)."""
        return linear(x.to(self.weight.dtype), self.weight.flatten(1), self.bias)


class PatchEmbed(nn.Module):
    """Patches to vectors."""

    def __init__(self, config: Glm4vMoeVisionConfig) -> None:
        super().__init__()
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = PatchProjection(config.in_channels, config.hidden_size, kernel, stride=kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(N, patch_dim) -> (N, C)."""
        return self.proj(x)


@lru_cache(maxsize=128)
def cubic_weights(positions: int, entries: int) -> np.ndarray:
    """How much each entry counts where a row of entries is read at the centres of ``positions``.

    Cubic convolution with a = -0.75 over the four nearest entries; beyond the border, the border's
    entry counts for those that are not there (R. Keys, Cubic convolution interpolation for digital
    image processing, 1981, formula 4).

    Returns:
        (positions, entries) float32, not to be changed.
    """
    a = -0.75
    centres = (np.arange(positions) + 0.5) / positions * entries - 0.5
    before = np.floor(centres)
    past = centres - before  # of a step from one entry to the next
    weights = np.zeros((positions, entries))
    for step in range(-1, 3):
        distance = np.abs(past - step)
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        nearest = np.clip(before + step, 0, entries - 1).astype(int)
        weights[np.arange(positions), nearest] += np.where(distance <= 1, near, far)
    return weights.astype(np.float32)


class PositionTable(nn.Module):
    """Learned square table of positions, read between its entries for grids of any size."""

    def __init__(self, entries: int, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entries, hidden_size))

    def forward(self, height: int, width: int) -> Tensor:
        """Sample the table at the patch centres of a grid.

        Bicubic in float32, as the checkpoint was trained; a grid of the table's own size reads the
        table itself. As products with the weights of rows, then of columns, it takes a sixth of the
        time of `F.grid_sample` on a CPU (58 x 92 patches of GLM-4.5V).

        Args:
            height: patches of the grid, vertically.
            width: patches of the grid, horizontally.

        Returns:
            (height, width, C) in the table's dtype.
        """
        side, device = round(len(self.weight) ** 0.5), self.weight.device
        table = self.weight.float().view(side, -1)  # (rows, columns * C)
        down, across = (
            torch.from_numpy(cubic_weights(size, side)).to(device) for size in (height, width)
        )
        sampled = across @ (down @ table).view(height, side, -1)
        return sampled.to(self.weight.dtype)


class VisionEmbeddings(nn.Module):
    """Holds the position table under its name in the checkpoint."""

    def __init__(self, config: Glm4vMoeVisionConfig) -> None:
        super().__init__()
        entries = (config.image_size // config.patch_size) ** 2
        self.position_embedding = PositionTable(entries, config.hidden_size)

    def forward(self, height: int, width: int) -> Tensor:
        """As `PositionTable.forward`."""
        return self.position_embedding(height, width)


def attend_segments_reference(q: Tensor, k: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """Attention within segments as one dense product under a block-diagonal mask; slow.

    Args:
        q: (N, H, D).
        k: (N, H, D).
        v: (N, H, D).
        lengths: patches of each segment, summing to N.

    Returns:
        (N, H, D).
    """
    sizes = torch.tensor(lengths, device=q.device)
    segment = torch.repeat_interleave(torch.arange(len(lengths), device=q.device), sizes)
    apart = segment[:, None] != segment[None]
    scores = torch.einsum("qhd,khd->hqk", q.float(), k.float()) * q.shape[-1] ** -0.5
    weights = scores.masked_fill(apart, float("-inf")).softmax(dim=-1)
    return torch.einsum("hqk,khd->qhd", weights, v.float()).to(q.dtype)


def attend_segments(
    q: Tensor, k: Tensor, v: Tensor, lengths: list[int], dropout: float = 0.0
) -> Tensor:
    """`attend_segments_reference` by fused attention, one call per run of equally long segments."""
    outputs = []
    start = 0
    for length, count in _runs(lengths):
        end = start + length * count
        batched = [x[start:end].unflatten(0, (count, length)).transpose(1, 2) for x in (q, k, v)]
        is_short = length <= MAX_WRITTEN_OUT_PATCHES
        if q.is_cpu and q.requires_grad and is_short and dropout == 0:
            weights = (batched[0] * q.shape[-1] ** -0.5 @ batched[1].mT).softmax(dim=-1)
            out = weights @ batched[2]
        else:
            out = _attend_all(batched[0], batched[1], batched[2], dropout)
        outputs.append(out.transpose(1, 2).flatten(0, 1))
        start = end
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _attend_all(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """Let every query see every key: (B, H, T, D) -> (B, H, T, D)."""
    kernels = native.kernels_for_attention(q, k, v) if dropout == 0 else None
    if kernels is not None and kernels.can_attend_prompt(q.shape[-1]):
        return kernels.attend_prompt(q, k, v, causal=False)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)


def _runs(lengths: list[int]) -> Iterator[tuple[int, int]]:
    """Yield (length, how many in a row)."""
    count = 0
    for index, length in enumerate(lengths):
        count += 1
        if index + 1 == len(lengths) or lengths[index + 1] != length:
            yield length, count
            count = 0


class VisionAttention(nn.Module):
    """Full attention within each segment, rotated by row and column."""

    def __init__(self, config: Glm4vMoeVisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.dropout = config.attention_dropout
        size = config.hidden_size
        self.qkv = Linear(size, 3 * size, bias=config.attention_bias)
        self.proj = Linear(size, size, bias=False)

    def forward(self, x: Tensor, lengths: list[int], rope: tuple[Tensor, Tensor]) -> Tensor:
        """(N, C) -> (N, C); rope is cos and sin, each (N, 1, D) float32."""
        heads = self.qkv(x).unflatten(-1, (3 * self.num_heads, -1))  # (N, 3H, D)
        both = rotate_in_float(heads[:, : 2 * self.num_heads], *rope)
        q, k = both.chunk(2, dim=1)
        v = heads[:, 2 * self.num_heads :]  # each (N, H, D)
        dropout = self.dropout if self.training else 0.0
        return self.proj(attend_segments(q, k, v, lengths, dropout).flatten(1))


class Glm4vMoeVisionBlock(nn.Module):
    """``x += attention(norm1(x)); x += mlp(norm2(x))``."""

    def __init__(self, config: Glm4vMoeVisionConfig) -> None:
        super().__init__()
        self.norm1 = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.norm2 = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attn = VisionAttention(config)
        self.mlp = GatedMLP(config.hidden_size, config.out_hidden_size, config.hidden_act)

    def forward(self, x: Tensor, lengths: list[int], rope: tuple[Tensor, Tensor]) -> Tensor:
        """(N, C) -> (N, C)."""
        x = x + self.attn(self.norm1(x), lengths, rope)
        return x + self.mlp(self.norm2(x))


class Downsample(nn.Conv2d):
    """Joins the patches of a merge block; the kernel is the block, so it is a matrix product."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) in merge-block order -> (N / block, out)."""
        block = self.weight.shape[2] * self.weight.shape[3]
        blocks = x.unflatten(0, (-1, block)).transpose(1, 2).flatten(1)  # (N / block, C * block)
        return linear(blocks, self.weight.flatten(1), self.bias)


class PatchMerger(nn.Module):
    """Maps merged patches into the decoder's space."""

    def __init__(self, config: Glm4vMoeVisionConfig) -> None:
        super().__init__()
        size, inner = config.out_hidden_size, config.intermediate_size
        self.proj = Linear(size, size, bias=False)
        self.post_projection_norm = nn.LayerNorm(size)
        self.gate_proj = Linear(size, inner, bias=False)
        self.up_proj = Linear(size, inner, bias=False)
        self.down_proj = Linear(inner, size, bias=False)
        self.act = activation(config.hidden_act)

    def forward(self, x: Tensor) -> Tensor:
        """(N / 4, C) -> (N / 4, C)."""
        x = F.gelu(self.post_projection_norm(self.proj(x)))
        return self.down_proj(gated(self.act, self.gate_proj(x), self.up_proj(x)))


class Glm4vMoeVisionModel(nn.Module):
    """Patches to embeddings that stand for image tokens in the decoder's input."""

    def __init__(self, config: Glm4vMoeVisionConfig) -> None:
        super().__init__()
        self.config = config
        merge = config.spatial_merge_size
        self.embeddings = VisionEmbeddings(config)
        self.patch_embed = PatchEmbed(config)
        self.rotary_pos_emb = VisionRotaryEmbedding(config.hidden_size // config.num_heads)
        self.blocks = nn.ModuleList(Glm4vMoeVisionBlock(config) for _ in range(config.depth))
        self.merger = PatchMerger(config)
        self.post_conv_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.downsample = Downsample(config.hidden_size, config.out_hidden_size, merge, merge)
        self.post_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        initialize(self, config.initializer_range)

    def forward(
        self,
        hidden_states: Tensor,
        grid_thw: Tensor,
        max_patches: int = MAX_GROUP_PATCHES,
        between_layers: Callable[[], None] | None = None,
    ) -> VisionModelOutput:
        """Embed images and videos.

        Segments run in groups of at most ``max_patches``, so memory beyond input and output does
        not grow with their number.

        Args:
            hidden_states: (N, patch_dim) pixel values, patches in merge-block order.
            grid_thw: (n, 3) int64, temporal patches, rows and columns of each image or video.
            max_patches: patches that run at once; a larger segment runs alone.
            between_layers: called after every block but the last of a group. What it raises ends
                the call.

        Returns:
            Both fields (N / merge**2, out_hidden_size).

        Raises:
            ValueError: there is no image, or the number of patches is not what the grids say.
        """
        segments = [(h, w) for t, h, w in grid_thw.tolist() for _ in range(t)]
        patches = sum(h * w for h, w in segments)
        merge = self.config.spatial_merge_size
        if not segments or any(h % merge or w % merge for h, w in segments):
            raise ValueError(
                f"grid_thw {grid_thw.tolist()} must name at least one image, each with rows and "
                f"columns of patches that are multiples of {merge}"
            )
        if len(hidden_states) != patches:
            raise ValueError(
                f"grid_thw {grid_thw.tolist()} means {patches} patches; pixel values have "
                f"{len(hidden_states)}"
            )
        downsampled, merged, start = [], [], 0
        for group in group_segments(segments, max_patches):
            end = start + sum(h * w for h, w in group)
            x = self._encode(hidden_states[start:end], group, between_layers)
            downsampled.append(x)
            merged.append(self.merger(x))
            start = end
        return VisionModelOutput(torch.cat(downsampled), torch.cat(merged))

    def _encode(
        self,
        pixels: Tensor,
        segments: list[tuple[int, int]],
        between_layers: Callable[[], None] | None,
    ) -> Tensor:
        """(N, patch_dim) of some segments -> (N / merge**2, out_hidden_size) before the merger."""
        x = self.post_conv_layernorm(self.patch_embed(pixels))
        tables = {size: self._position_tables(*size, x.device) for size in set(segments)}
        learned, cos, sin = (
            torch.cat(parts) for parts in zip(*(tables[size] for size in segments), strict=True)
        )
        x = x + learned
        lengths = [h * w for h, w in segments]
        whole = None if self.training else blocks_for(self, x)
        room = None if whole is None else whole.room(len(x))
        for index, block in enumerate(self.blocks):
            if index and between_layers is not None:
                between_layers()
            if whole is None or room is None:
                x = block(x, lengths, (cos, sin))
            else:
                whole.run(index, x, lengths, (cos, sin), room)
        return self.downsample(self.post_layernorm(x))

    def _position_tables(self, height: int, width: int, device: torch.device) -> list[Tensor]:
        """Learned positions (N, C), cos and sin (N, 1, D) of a grid, in merge-block order."""
        merge = self.config.spatial_merge_size
        learned = in_merge_blocks(self.embeddings(height, width), merge)
        rows, columns = block_coordinates(height, width, merge, device)
        return [learned, *self.rotary_pos_emb(rows, columns)]


def in_merge_blocks(x: Tensor, merge: int) -> Tensor:
    """Order patches by merge block: (height, width, ...) -> (height * width, ...)."""
    blocks = x.unflatten(1, (-1, merge)).unflatten(0, (-1, merge))  # (H/m, m, W/m, m, ...)
    return blocks.transpose(1, 2).flatten(0, 3)


def block_coordinates(
    height: int, width: int, merge: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Row and column, each (height * width,) int64, of patches in merge-block order."""
    order = in_merge_blocks(torch.arange(height * width, device=device).view(height, width), merge)
    return order // width, order % width


def group_segments(
    segments: list[tuple[int, int]], max_patches: int
) -> Iterator[list[tuple[int, int]]]:
    """Cut segments, (rows, columns) each, into groups of at most ``max_patches`` in order."""
    group: list[tuple[int, int]] = []
    patches = 0
    for height, width in segments:
        if group and patches + height * width > max_patches:
            yield group
            group, patches = [], 0
        group.append((height, width))
        patches += height * width
    if group:
        yield group
