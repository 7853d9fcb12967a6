"""Decoding steps in C for matrices in 8-bit integers; as `model.native`, whose rules hold here too.

The twins in torch stand in `model.quantization`.
"""

from __future__ import annotations

from ctypes import c_int, c_int64, c_void_p

import torch
from torch import Tensor

from model import native
from model.native import MAX_ROWS, _check, _is_plain, _only_computes, threads_for

# pointers of tensors, then sizes
SIGNATURES: dict[str, list[type]] = {
    "linear_int8": [c_void_p] * 5 + [c_int64] * 3 + [c_int],
    "routed_experts_int8": [c_void_p] * 8 + [c_int64] * 5 + [c_int],
    "dequantize": [c_void_p] * 3 + [c_int64] * 2 + [c_int],
}


class Int8Kernels:
    """The functions of ``int8.h`` for one dtype of activations.

    Attributes:
        max_rows: up to so many rows `linear` is faster than torch with the matrix written out.
        max_expert_rows: the same of `routed_experts`.
    """

    def __init__(self, kernels: native.Kernels) -> None:
        self._compiled = kernels.compiled
        self.max_rows = max(kernels.max_rows, MAX_ROWS)
        self.max_expert_rows = max(kernels.max_expert_rows, MAX_ROWS)
        for name, types in SIGNATURES.items():
            function = getattr(self._compiled, name)
            function.argtypes, function.restype = types, c_int

    def linear(self, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        """`model.quantization.linear_reference`: (..., in) -> (..., out)."""
        outputs, inputs = weight.shape
        rows = x.numel() // inputs
        out = x.new_empty(*x.shape[:-1], outputs)
        status = self._compiled.linear_int8(
            x.data_ptr(),
            weight.data_ptr(),
            scale.data_ptr(),
            None if bias is None else bias.data_ptr(),
            out.data_ptr(),
            rows,
            inputs,
            outputs,
            threads_for(weight.nbytes * -(-rows // MAX_ROWS)),
        )
        _check(status)
        return out

    def routed_experts(
        self,
        x: Tensor,
        ids: Tensor,
        weights: Tensor,
        gate_up: tuple[Tensor, Tensor],
        down: tuple[Tensor, Tensor],
    ) -> Tensor:
        """`model.moe.run_experts_reference` with silu, of (integers, scales): (N, C) -> (N, C)."""
        rows, top_k = ids.shape
        experts, hidden, inner = down[0].shape
        ids, weights = ids.long().contiguous(), weights.float().contiguous()
        out = torch.empty_like(x)
        status = self._compiled.routed_experts_int8(
            x.data_ptr(),
            ids.data_ptr(),
            weights.data_ptr(),
            *(part.data_ptr() for part in (*gate_up, *down)),
            out.data_ptr(),
            rows,
            top_k,
            experts,
            hidden,
            inner,
            threads_for(3 * rows * top_k * hidden * inner),
        )
        _check(status)
        return out

    def dequantize(self, weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        """`model.quantization.dequantize_reference` of a (out, in) matrix."""
        outputs, inputs = weight.shape
        out = torch.empty(outputs, inputs, dtype=dtype)
        threads = threads_for(out.nbytes)
        pointers = (weight.data_ptr(), scale.data_ptr(), out.data_ptr())
        _check(self._compiled.dequantize(*pointers, outputs, inputs, threads))
        return out


_kernels: dict[torch.dtype, Int8Kernels | None] = {}


def load(dtype: torch.dtype) -> Int8Kernels | None:
    """Return the kernels for activations in ``dtype``; None if they can't be had."""
    if dtype not in _kernels:
        kernels = native.load(dtype)
        _kernels[dtype] = None if kernels is None else Int8Kernels(kernels)
    return _kernels[dtype]


def kernels_for(dtype: torch.dtype, weight: Tensor, scale: Tensor) -> Int8Kernels | None:
    """Return the kernels if they can read this matrix for activations in ``dtype``, else None."""
    if not (_only_computes() and _is_plain(weight, torch.int8) and _is_plain(scale, torch.float32)):
        return None
    return load(dtype) if weight.is_contiguous() and scale.is_contiguous() else None


def can_take(max_rows: int, x: Tensor, *others: Tensor | None) -> bool:
    """Whether activations are few enough and lie as the kernels read them; so must the others."""
    if x.numel() > max_rows * x.shape[-1]:
        return False
    return all(y is None or (_is_plain(y, x.dtype) and y.is_contiguous()) for y in (x, *others))
