"""Weights in 8-bit integers: half of the memory, and half of what decoding reads.

Every row of a matrix has a scale of its own, so that its largest weight is 127 of them (absmax;
"W8A16": activations keep their dtype). Quantised are the matrices of the decoder's attention and
feed-forward layers, experts among them: nearly all of the weights, and nearly all that a token
reads. Kept are the router (a changed score picks another expert), norms, biases, embeddings, the
language head and the vision tower.

Kernels on a CPU read the integers themselves (`model.native.int8`). Where there are none, for more
rows than they take and on accelerators, a matrix is written out when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.layers import Activation, KeepsExactBuffers, Linear
from model.moe import Experts, run_experts_reference
from model.native import int8

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

LARGEST = 127
QUANTIZATIONS = ("int8",)


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row to integers.

    Args:
        weight: (..., out, in) of any floating dtype.

    Returns:
        integers: (..., out, in) int8, from -127 to 127.
        scale: (..., out) float32, what 1 stands for; 1 for a row of zeros.

    Raises:
        ValueError: a weight is not a finite number.
    """
    weight = weight.float()
    largest = weight.abs().amax(dim=-1)
    if not bool(largest.isfinite().all()):
        raise ValueError("weights that are not finite can't be quantised")
    scale = torch.where(largest == 0, 1.0, largest / LARGEST)
    return (weight / scale[..., None]).round_().to(torch.int8), scale


def dequantize_reference(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Write a matrix out: int8 (..., out, in), float32 (..., out) -> (..., out, in) ``dtype``."""
    return (weight.float() * scale[..., None]).to(dtype)


def dequantize(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """`dequantize_reference` of one matrix, at the speed of memory on a CPU."""
    kernels = int8.kernels_for(dtype, weight, scale)
    if kernels is not None:
        return kernels.dequantize(weight, scale, dtype)
    return dequantize_reference(weight, scale, dtype)


def linear_reference(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """(..., in) -> (..., out) by the matrix written out; slow and obviously right.

    Args:
        x: (..., in).
        weight: (out, in) int8.
        scale: (out,) float32.
        bias: (out,) in the dtype of ``x``, or None.
    """
    return F.linear(x, dequantize_reference(weight, scale, x.dtype), bias)


def linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """`linear_reference`, by kernels that read the integers if there are any."""
    kernels = int8.kernels_for(x.dtype, weight, scale)
    fits = x.shape[-1] == weight.shape[-1]
    if kernels is not None and fits and int8.can_take(kernels.max_rows, x, bias):
        return kernels.linear(x, weight, bias, scale)
    return F.linear(x, dequantize(weight, scale, x.dtype), bias)


class QuantizedLinear(KeepsExactBuffers):
    """A `Linear` whose ``weight`` is int8 (out, in), times ``scale`` (out,) float32."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = ("weight", "scale")
    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return linear(x, self.weight, self.scale, self.bias)


class QuantizedExperts(KeepsExactBuffers):
    """`Experts` whose stacks are int8; a scale has the stack's shape without its last dimension."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = (
        "gate_up_proj",
        "gate_up_proj_scale",
        "down_proj",
        "down_proj_scale",
    )
    gate_up_proj: Tensor
    gate_up_proj_scale: Tensor
    down_proj: Tensor
    down_proj_scale: Tensor

    def __init__(
        self, gate_up: tuple[Tensor, Tensor], down: tuple[Tensor, Tensor], act: Activation
    ) -> None:
        super().__init__()
        self.register_buffer("gate_up_proj", gate_up[0])
        self.register_buffer("gate_up_proj_scale", gate_up[1])
        self.register_buffer("down_proj", down[0])
        self.register_buffer("down_proj_scale", down[1])
        self.act = act

    def forward(self, x: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
        """(N, C) -> (N, C); ids and weights as `model.moe.route` returns them."""
        gate_up = self.gate_up_proj, self.gate_up_proj_scale
        down = self.down_proj, self.down_proj_scale
        kernels = int8.kernels_for(x.dtype, *gate_up) if self.act is F.silu else None
        if kernels is not None and int8.can_take(kernels.max_expert_rows, x):
            stacks, scales = zip(gate_up, down, strict=True)
            return kernels.routed_experts(x, ids, weights, *stacks, scales)
        return run_experts(x, ids, weights, gate_up, down, self.act)


def run_experts(
    x: Tensor,
    ids: Tensor,
    weights: Tensor,
    gate_up: tuple[Tensor, Tensor],
    down: tuple[Tensor, Tensor],
    act: Activation,
) -> Tensor:
    """`run_experts_of_reference`, each expert only on the tokens that chose it.

    One expert at a time is written out, so the peak is one expert and not all of them.
    """
    chosen, order = ids.flatten().sort(stable=True)  # (N * top_k,)
    counts = torch.bincount(chosen, minlength=gate_up[0].shape[0]).tolist()
    tokens, shares = order // ids.shape[1], weights.flatten()[order, None]
    out = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for expert, (rows, share) in enumerate(
        zip(tokens.split(counts), shares.split(counts), strict=True)
    ):
        if len(rows):
            both = linear(x.index_select(0, rows), gate_up[0][expert], gate_up[1][expert])
            gate, up = both.chunk(2, dim=-1)
            part = linear(act(gate) * up, down[0][expert], down[1][expert])
            out.index_add_(0, rows, part.float() * share)
    return out.to(x.dtype)


def run_experts_of_reference(
    x: Tensor,
    ids: Tensor,
    weights: Tensor,
    gate_up: tuple[Tensor, Tensor],
    down: tuple[Tensor, Tensor],
    act: Activation,
) -> Tensor:
    """`model.moe.run_experts_reference` of the stacks written out; slow and obviously right."""
    gate_up_of, down_of = (dequantize_reference(*stack, x.dtype) for stack in (gate_up, down))
    return run_experts_reference(x, ids, weights, gate_up_of, down_of, act)


def quantizable(model: Glm4vMoeForConditionalGeneration) -> set[str]:
    """Return the names of the parameters that are to be quantised."""
    names = set()
    for name, module in model.named_modules():
        if not name.startswith("model.language_model.layers."):
            continue
        if type(module) is Linear:
            names.add(f"{name}.weight")
        elif type(module) is Experts:
            names |= {f"{name}.gate_up_proj", f"{name}.down_proj"}
    return names


def install(
    model: Glm4vMoeForConditionalGeneration, quantized: Mapping[str, tuple[Tensor, Tensor]]
) -> None:
    """Put quantised layers in place of those whose parameters are given.

    Args:
        model: changed in place.
        quantized: parameter name -> its integers and scales.
    """
    for name, module in list(model.named_modules()):
        layer: nn.Module
        if isinstance(module, Linear) and f"{name}.weight" in quantized:
            layer = QuantizedLinear(*quantized[f"{name}.weight"], module.bias)
        elif isinstance(module, Experts) and f"{name}.gate_up_proj" in quantized:
            gate_up, down = (quantized[f"{name}.{part}_proj"] for part in ("gate_up", "down"))
            layer = QuantizedExperts(gate_up, down, module.act)
        else:
            continue
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer.train(module.training))


@torch.no_grad()
def quantize_model(model: Glm4vMoeForConditionalGeneration) -> None:
    """Quantise a model in memory, in place, as loading with ``quantization="int8"`` does."""
    # a layer at a time: the floats of one are gone before the next one is rounded
    for _, names in groupby(sorted(quantizable(model)), lambda name: name.rpartition(".")[0]):
        install(model, {name: quantize(model.get_parameter(name)) for name in names})


def is_quantized(model: nn.Module) -> bool:
    """Whether any layer is."""
    return any(isinstance(m, (QuantizedLinear, QuantizedExperts)) for m in model.modules())
