"""Layers that both the language decoder and the vision tower are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import native

Activation = Callable[[Tensor], Tensor]


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def _squared_relu(x: Tensor) -> Tensor:
    return F.relu(x).square()


def _identity(x: Tensor) -> Tensor:
    return x


def _tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Activation] = {
    "silu": F.silu,
    "swish": F.silu,
    "gelu": F.gelu,
    "gelu_python": F.gelu,
    "gelu_new": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "quick_gelu": _quick_gelu,
    "relu": F.relu,
    "relu2": _squared_relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "hardswish": F.hardswish,
    "mish": F.mish,
    "linear": _identity,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def activation(name: str) -> Activation:
    """Return the activation that ``hidden_act`` names.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"hidden_act {name!r} is unknown; known: {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]


class KeepsExactBuffers(nn.Module):
    """Module whose buffers in ``EXACT_BUFFERS`` change device, never dtype or value.

    ``model.to(torch.bfloat16)`` converts every floating-point buffer, and ``to_empty`` forgets what
    they hold; RoPE frequencies and the router's balancing bias must survive both.
    """

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = {name: self._buffers[name] for name in self.EXACT_BUFFERS}
        super()._apply(fn, recurse)
        for name, exact in before.items():
            moved = self._buffers[name]
            if exact is None or moved is None:
                continue
            if exact.is_meta or moved.is_meta:
                self._buffers[name] = torch.empty_like(moved, dtype=exact.dtype)
            else:
                self._buffers[name] = exact.to(moved.device)
        return self


class RMSNorm(nn.Module):
    """Scale to unit root mean square, computed in float32, then times ``weight``."""

    def __init__(self, hidden_size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C), in the dtype of ``x``.

        The normalised value is rounded to the dtype of ``x`` before it meets the weight, as in the
        reference.
        """
        kernels = native.kernels_for_any(x, self.weight)
        if kernels is not None and x.shape[-1] == len(self.weight):
            return kernels.rms_norm(x, self.weight, self.eps)
        return self.weight * F.rms_norm(x.float(), (x.shape[-1],), eps=self.eps).to(x.dtype)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` that reads weights at the speed of memory for a few rows on a CPU.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,) or None.

    Returns:
        (..., out).
    """
    kernels = native.kernels_for(x, weight, bias)
    if kernels is None or x.shape[-1] != weight.shape[-1]:
        return F.linear(x, weight, bias)
    return kernels.linear(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return linear(x, self.weight, self.bias)


def gated(act: Activation, gates: Tensor, ups: Tensor) -> Tensor:
    """``act(gates) * ups``, in one go where it is silu on a CPU: two of one shape -> (...)."""
    kernels = native.kernels_for_any(gates, ups) if act is F.silu else None
    return act(gates) * ups if kernels is None else kernels.gate(gates, ups)


class GatedMLP(nn.Module):
    """Gated feed-forward layer: ``down(act(gate(x)) * up(x))``."""

    def __init__(self, hidden_size: int, intermediate_size: int, hidden_act: str) -> None:
        super().__init__()
        self.gate_proj = Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=False)
        self.act = activation(hidden_act)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.down_proj(gated(self.act, self.gate_proj(x), self.up_proj(x)))
