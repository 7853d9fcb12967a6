"""Rotary position embedding: frequencies, the three M-RoPE planes of text, the two axes of vision.

GLM-4.5V pairs dimension ``i`` of the rotated part with ``i + rotary_dim / 2`` (half-split), in the
decoder over the first half of each head, in the vision tower over whole heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from model import native
from model.config import Glm4vMoeTextConfig
from model.layers import KeepsExactBuffers

Rope = Mapping[str, Any]


def _base_frequencies(theta: float, dim: int) -> Tensor:
    """``theta ** (-2i / dim)``, i = 0 .. dim/2 - 1 (RoFormer, section 3.2.2); (dim/2,) float32."""
    exponents = torch.arange(0, dim, 2, dtype=torch.float32, device="cpu") / dim
    return 1.0 / theta**exponents


def _dynamic(rope: Rope, dim: int, seq_len: int, max_positions: int) -> Tensor:
    """NTK-aware frequencies: the base grows with the length beyond ``max_positions``."""
    factor = rope["factor"]
    stretch = factor * max(seq_len, max_positions) / max_positions - (factor - 1)
    return _base_frequencies(rope["rope_theta"] * stretch ** (dim / (dim - 2)), dim)


def _yarn(rope: Rope, dim: int, max_positions: int) -> tuple[Tensor, float]:
    """YaRN (arXiv 2309.00071, section 3): interpolate slow frequencies, keep fast ones."""
    original = rope.get("original_max_position_embeddings") or max_positions
    factor = rope.get("factor") or max_positions / original
    theta = rope["rope_theta"]

    def dimension_at(rotations: float) -> float:
        """Dimension that turns ``rotations`` times over the original context."""
        return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low = dimension_at(rope.get("beta_fast") or 32)
    high = dimension_at(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    high += 0.001 if low == high else 0.0

    ramp = (torch.arange(dim // 2, dtype=torch.float32, device="cpu") - low) / (high - low)
    kept = 1 - ramp.clamp(0, 1)
    fast = _base_frequencies(theta, dim)
    inv_freq = fast / factor * (1 - kept) + fast * kept

    def magnitude(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    scale = rope.get("attention_factor")
    if scale is None:
        mscale, mscale_all = rope.get("mscale"), rope.get("mscale_all_dim")
        scale = magnitude(1.0)
        if mscale and mscale_all:
            scale = magnitude(mscale) / magnitude(mscale_all)
    return inv_freq, float(scale)


def _longrope(rope: Rope, dim: int, seq_len: int, max_positions: int) -> tuple[Tensor, float]:
    """LongRoPE (arXiv 2402.13753): a rescale factor per frequency, another set for long inputs."""
    original = rope.get("original_max_position_embeddings") or max_positions
    factors = rope["long_factor"] if seq_len > original else rope["short_factor"]
    factor = rope.get("factor") or max_positions / original
    scale = rope.get("attention_factor")
    if scale is None:
        grown = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
        scale = grown
    rescale = torch.tensor(factors, dtype=torch.float32, device="cpu")
    return _base_frequencies(rope["rope_theta"], dim) / rescale, float(scale)


def _llama3(rope: Rope, dim: int, max_positions: int) -> Tensor:
    """Llama 3.1: divide slow frequencies by ``factor``, keep fast ones, blend those between."""
    original = rope.get("original_max_position_embeddings") or max_positions
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    inv_freq = _base_frequencies(rope["rope_theta"], dim)
    turns = original * inv_freq / (2 * math.pi)  # full turns over the original context
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return inv_freq / factor * (1 - kept) + inv_freq * kept


def rope_frequencies(config: Glm4vMoeTextConfig, seq_len: int = 0) -> tuple[Tensor, float]:
    """Return the decoder's inverse frequencies and the factor on cos and sin.

    Args:
        config: ``rope_parameters`` says which of the six types and its constants.
        seq_len: highest position + 1; only "dynamic" and "longrope" depend on it.

    Returns:
        inv_freq: (rotary_dim / 2,) float32 on the CPU.
        scale: multiplies cos and sin; 1.0 except for "yarn" and "longrope".
    """
    rope, dim = config.rope_parameters, config.rotary_dim
    assert rope is not None
    max_positions = config.max_position_embeddings
    kind = rope["rope_type"]
    try:
        if kind == "dynamic":
            return _dynamic(rope, dim, seq_len, max_positions), 1.0
        if kind == "yarn":
            return _yarn(rope, dim, max_positions)
        if kind == "longrope":
            return _longrope(rope, dim, seq_len, max_positions)
        if kind == "llama3":
            return _llama3(rope, dim, max_positions), 1.0
        divisor = rope["factor"] if kind == "linear" else 1.0
        return _base_frequencies(rope["rope_theta"], dim) / divisor, 1.0
    except KeyError as missing:
        raise ValueError(f"rope_type {kind!r} needs {missing} in rope_scaling") from missing


class TextRotaryEmbedding(KeepsExactBuffers):
    """Angles of the decoder: each frequency turns with the time, row or column position."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = ("inv_freq", "planes")
    inv_freq: Tensor
    planes: Tensor

    def __init__(self, config: Glm4vMoeTextConfig) -> None:
        super().__init__()
        self.config = config
        self.depends_on_length = config.rope_parameters["rope_type"] in ("dynamic", "longrope")
        # built on the CPU even when the model is built on the meta device: these are never loaded
        inv_freq, self.scale = rope_frequencies(config)
        section = torch.tensor(config.rope_parameters["mrope_section"], device="cpu")
        planes = torch.repeat_interleave(torch.arange(len(section), device="cpu") % 3, section)
        self.register_buffer("inv_freq", inv_freq, persistent=False)
        self.register_buffer("planes", planes, persistent=False)

    def forward(self, position_ids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return cos and sin for `rotate`, each (B, 1, T, rotary_dim).

        Args:
            position_ids: (3, B, T) int64.
            dtype: of the result; the angles are computed in float32.
        """
        inv_freq, scale = self.inv_freq, self.scale
        if self.depends_on_length:
            seq_len = int(position_ids.max()) + 1
            inv_freq, scale = rope_frequencies(self.config, seq_len)
            inv_freq = inv_freq.to(position_ids.device)
        angles = position_ids[self.planes].movedim(0, -1)[:, None].float() * inv_freq
        cos, sin = cos_and_sin(angles)  # (B, 1, T, rotary_dim)
        if scale != 1:  # a decoding step is made of small operations
            cos, sin = cos * scale, sin * scale
        return cos.to(dtype), sin.to(dtype)


class VisionRotaryEmbedding(KeepsExactBuffers):
    """Angles of the vision tower: half of them turn with the row, half with the column."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = ("inv_freq",)
    inv_freq: Tensor

    THETA = 10_000.0

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        inv_freq = _base_frequencies(self.THETA, head_dim // 2)
        self.register_buffer("inv_freq", inv_freq, persistent=False)

    def forward(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos and sin for `rotate`, each (N, 1, head_dim) float32.

        Args:
            rows: (N,) int64, the patches' rows.
            columns: (N,) int64.
        """
        coordinates = torch.stack((rows, columns), dim=-1).float()
        return cos_and_sin((coordinates[:, :, None] * self.inv_freq).flatten(1)[:, None])


def cos_and_sin(angles: Tensor) -> tuple[Tensor, Tensor]:
    """(..., D/2) angles -> cos and sin, each (..., D), of both halves; sin negated in the first."""
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the first ``cos.shape[-1]`` dimensions of ``x``; the others pass unchanged.

    Args:
        x: (..., D).
        cos: broadcastable to the rotated part of ``x``, as `cos_and_sin` returns it.
        sin: as ``cos``.

    Returns:
        (..., D) in the dtype that ``x * cos`` has.
    """
    dim = cos.shape[-1]
    turned = x[..., :dim]
    first, second = turned.chunk(2, dim=-1)
    turned = torch.addcmul(turned * cos, torch.cat((second, first), dim=-1), sin)
    return turned if dim == x.shape[-1] else torch.cat((turned, x[..., dim:]), dim=-1)


def rotate_heads(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """`rotate` of queries (B, H, T, D) and keys (B, K, T, D) by (B, 1, T, rotary_dim)."""
    kernels = native.kernels_for_turning(q, k, cos, sin)
    if kernels is not None:
        return kernels.turn_heads(q, cos, sin), kernels.turn_heads(k, cos, sin)
    # turned together: a decoding step is made of small operations, and this halves them
    both = rotate(torch.cat((q, k), dim=1), cos, sin)
    return both[:, : q.shape[1]], both[:, q.shape[1] :]


def rotate_in_float(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`rotate` of all dimensions, computed in float32 and rounded once.

    Args:
        x: (N, heads, D).
        cos: (N, 1, D) float32.
        sin: as ``cos``.

    Returns:
        (N, heads, D) in the dtype of ``x``.
    """
    kernels = native.kernels_for_rotation(x, cos, sin)
    if kernels is not None:
        return kernels.rotate(x, cos, sin)
    return rotate(x.float(), cos, sin).to(x.dtype)
