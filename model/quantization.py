"""Weights in integers: half or a quarter of the memory, and of what decoding reads.

"int8": every row of a matrix has a scale of its own, so that its largest weight is 127 of them.
"int4": 32 neighbours in a row share a scale, a bfloat16, so that it takes 4.5 bits a weight
(as Q4_0 of llama.cpp); scales are chosen for the least square error. Activations keep their dtype.

Quantised are the matrices of the decoder's attention and feed-forward layers, experts among them:
nearly all of the weights, and nearly all that a token reads. Kept are the router (a changed score
picks another expert), norms, biases, embeddings, the language head and the vision tower; with
"int4" also a matrix whose rows are no multiple of 32 long.

Kernels on a CPU read the integers themselves (`model.native.integers`). Where there are none, for
more rows than they take and on accelerators, a matrix is written out when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.layers import Activation, KeepsExactBuffers, Linear
from model.moe import Experts, run_experts_reference
from model.native import integers
from model.native.matrix import GROUPS

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

LARGEST = 127
GROUP = 32  # weights that share a scale
GROUP_BYTES = 2 + GROUP // 2  # of the scale, then of pairs of integers
MIDDLE = 8  # the integer that stands for 0
# Parts of the scale with which the largest weight of a group is -8 of them: less rounds the others
# more finely, and it is cut off.
NARROWINGS = (1.0, 0.95, 0.9, 0.85, 0.8)

Quantization = Literal["int8", "int4"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
# the dtype of what is stored, which no other tensor of the model has
FORMS: dict[torch.dtype, Quantization] = {torch.int8: "int8", GROUPS: "int4"}
Quantized = tuple[Tensor, Tensor | None]  # integers or groups; scales of integers


def quantize(weight: Tensor, to: Quantization = "int8") -> Quantized:
    """Round a matrix, or a stack of them.

    Args:
        weight: (..., out, in) of any floating dtype.
        to: for "int4" ``in`` must be a multiple of `GROUP`.

    Returns:
        "int8": integers (..., out, in) int8, from -127 to 127, and their scale (..., out) float32,
        what 1 stands for; 1 for a row of zeros.
        "int4": groups (..., out, in / GROUP, GROUP_BYTES) uint8, as ``groups.h`` describes them,
        and None.

    Raises:
        ValueError: a weight is not a finite number.
    """
    weight = weight.float()
    if to == "int4":
        return _to_groups(weight), None
    largest = weight.abs().amax(dim=-1)
    _check_finite(largest)
    scale = torch.where(largest == 0, 1.0, largest / LARGEST)
    return (weight / scale[..., None]).round_().to(torch.int8), scale


def _check_finite(largest: Tensor) -> None:
    """Of each row or group the largest weight tells: it is NaN if any is."""
    if not bool(largest.isfinite().all()):
        raise ValueError("weights that are not finite can't be quantised")


def _to_groups(weight: Tensor) -> Tensor:
    weight = weight.unflatten(-1, (-1, GROUP))
    largest = weight.gather(-1, weight.abs().argmax(dim=-1, keepdim=True))  # with its sign
    _check_finite(largest)
    size = torch.where(largest == 0, 1.0, largest)  # relative to it, squares are in range
    best, least = torch.ones_like(largest), torch.full_like(largest, torch.inf)
    for part in NARROWINGS:
        scale = _nonzero(largest * (-part / MIDDLE))
        error = ((_rounded(weight, scale) * scale - weight) / size).square().sum(-1, keepdim=True)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    # from 0 to 15
    placed = (_rounded(weight, best) + MIDDLE).to(torch.uint8)
    low, high = placed.chunk(2, dim=-1)
    return torch.cat((best.bfloat16().view(torch.uint8), low | high << 4), dim=-1)


def _nonzero(scale: Tensor) -> Tensor:
    """Round scales to bfloat16; 1 for groups of zeros."""
    scale = scale.bfloat16().float()
    return torch.where(scale == 0, 1.0, scale)


def _rounded(weight: Tensor, scale: Tensor) -> Tensor:
    return (weight / scale).round_().clamp_(-MIDDLE, MIDDLE - 1)


def dequantize_reference(weight: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Write a matrix out: what `quantize` returns -> (..., out, in) ``dtype``."""
    if scale is not None:
        return (weight.float() * scale[..., None]).to(dtype)
    scales = weight[..., :2].contiguous().view(torch.bfloat16).float()
    pairs = weight[..., 2:]
    placed = torch.cat((pairs & 15, pairs >> 4), dim=-1)
    return ((placed.float() - MIDDLE) * scales).flatten(-2).to(dtype)


def inputs_of(weight: Tensor) -> int:
    """Return how many weights a row of integers or groups has."""
    return weight.shape[-1] if weight.dtype is not GROUPS else weight.shape[-2] * GROUP


def dequantize(weight: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """`dequantize_reference` of one matrix, at the speed of memory on a CPU."""
    kernels = integers.kernels_for(dtype, weight, scale)
    if kernels is not None:
        return kernels.dequantize(weight, scale, inputs_of(weight), dtype)
    return dequantize_reference(weight, scale, dtype)


def linear_reference(
    x: Tensor, weight: Tensor, scale: Tensor | None, bias: Tensor | None
) -> Tensor:
    """(..., in) -> (..., out) by the matrix written out; slow and obviously right.

    Args:
        x: (..., in).
        weight: of (out, in), as `quantize` returns it; so is its scale.
        scale: see there.
        bias: (out,) in the dtype of ``x``, or None.
    """
    return F.linear(x, dequantize_reference(weight, scale, x.dtype), bias)


def linear(x: Tensor, weight: Tensor, scale: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """`linear_reference`, by kernels that read the integers if there are any."""
    kernels = integers.kernels_for(x.dtype, weight, scale)
    fits = x.shape[-1] == inputs_of(weight)
    if kernels is not None and fits and integers.can_take(kernels.max_rows, x, bias):
        return kernels.linear(x, weight, bias, scale)
    return F.linear(x, dequantize(weight, scale, x.dtype), bias)


class QuantizedLinear(KeepsExactBuffers):
    """A `Linear` whose ``weight`` and ``scale`` are what `quantize` returns."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = ("weight", "scale")
    weight: Tensor
    scale: Tensor | None

    def __init__(self, weight: Tensor, scale: Tensor | None, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return linear(x, self.weight, self.scale, self.bias)


class QuantizedExperts(KeepsExactBuffers):
    """`Experts` whose stacks and their scales are what `quantize` returns."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = (
        "gate_up_proj",
        "gate_up_proj_scale",
        "down_proj",
        "down_proj_scale",
    )
    gate_up_proj: Tensor
    gate_up_proj_scale: Tensor | None
    down_proj: Tensor
    down_proj_scale: Tensor | None

    def __init__(self, gate_up: Quantized, down: Quantized, act: Activation) -> None:
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
        fits = x.shape[-1] == inputs_of(gate_up[0]) and self.act is F.silu
        kernels = integers.kernels_for(x.dtype, *gate_up) if fits else None
        if kernels is not None and integers.can_take(kernels.max_expert_rows, x):
            scales = gate_up[1], down[1]
            return kernels.routed_experts(x, ids, weights, gate_up[0], down[0], scales)
        return run_experts(x, ids, weights, gate_up, down, self.act)


def run_experts(
    x: Tensor,
    ids: Tensor,
    weights: Tensor,
    gate_up: Quantized,
    down: Quantized,
    act: Activation,
) -> Tensor:
    """`run_experts_of_reference`, each expert only on the tokens that chose it.

    One expert at a time is written out, so the peak is one expert and not all of them.
    """
    chosen, order = ids.flatten().sort(stable=True)  # (N * top_k,)
    counts = torch.bincount(chosen, minlength=len(gate_up[0])).tolist()
    tokens, shares = order // ids.shape[1], weights.flatten()[order, None]
    out = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for expert, (rows, share) in enumerate(
        zip(tokens.split(counts), shares.split(counts), strict=True)
    ):
        if len(rows):
            gate, up = linear(x.index_select(0, rows), *matrix_of(gate_up, expert)).chunk(2, dim=-1)
            part = linear(act(gate) * up, *matrix_of(down, expert))
            out.index_add_(0, rows, part.float() * share)
    return out.to(x.dtype)


def matrix_of(stack: Quantized, expert: int) -> Quantized:
    """Return the matrix of one expert."""
    return stack[0][expert], None if stack[1] is None else stack[1][expert]


def run_experts_of_reference(
    x: Tensor,
    ids: Tensor,
    weights: Tensor,
    gate_up: Quantized,
    down: Quantized,
    act: Activation,
) -> Tensor:
    """`model.moe.run_experts_reference` of the stacks written out; slow and obviously right."""
    gate_up_of, down_of = (dequantize_reference(*stack, x.dtype) for stack in (gate_up, down))
    return run_experts_reference(x, ids, weights, gate_up_of, down_of, act)


def quantizable(model: Glm4vMoeForConditionalGeneration, to: Quantization = "int8") -> set[str]:
    """Return the names of the parameters that are to be quantised."""
    names: set[str] = set()
    for name, module in model.named_modules():
        if not name.startswith("model.language_model.layers."):
            continue
        if type(module) is Linear:
            parameters = {f"{name}.weight": module.weight}
        elif type(module) is Experts:
            stacks = {"gate_up_proj": module.gate_up_proj, "down_proj": module.down_proj}
            parameters = {f"{name}.{stack}": parameter for stack, parameter in stacks.items()}
        else:
            continue
        if to == "int8" or not any(weight.shape[-1] % GROUP for weight in parameters.values()):
            names |= parameters.keys()
    return names


def empty(
    shape: torch.Size, to: Quantization, device: torch.device | str | None = None
) -> Quantized:
    """Return memory for what `quantize` makes of a weight (..., out, in), uninitialised."""
    if to == "int4":
        groups = (*shape[:-1], shape[-1] // GROUP, GROUP_BYTES)
        return torch.empty(groups, dtype=GROUPS, device=device), None
    scale = torch.empty(shape[:-1], dtype=torch.float32, device=device)
    return torch.empty(shape, dtype=torch.int8, device=device), scale


def stored_bytes(numbers: int, dtype: torch.dtype) -> int:
    """Return the bytes of so many numbers in a dtype, which may be one of `FORMS`.

    Scales of int8 are left out: a float32 for a whole row.
    """
    return numbers // GROUP * GROUP_BYTES if dtype is GROUPS else numbers * dtype.itemsize


def install(model: Glm4vMoeForConditionalGeneration, quantized: Mapping[str, Quantized]) -> None:
    """Put quantised layers in place of those whose parameters are given.

    Args:
        model: changed in place.
        quantized: parameter name -> what `quantize` made of it.
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
def quantize_model(model: Glm4vMoeForConditionalGeneration, to: Quantization = "int8") -> None:
    """Quantise a model in memory, in place, as loading with ``quantization=to`` does."""
    # a layer at a time: the floats of one are gone before the next one is rounded
    for _, names in groupby(sorted(quantizable(model, to)), lambda name: name.rpartition(".")[0]):
        install(model, {name: quantize(model.get_parameter(name), to) for name in names})


def is_quantized(model: nn.Module) -> bool:
    """Whether any layer is."""
    return any(isinstance(m, (QuantizedLinear, QuantizedExperts)) for m in model.modules())
