"""When the kernels of `model.native` read matrices in 8-bit integers; its rules hold here too.

The twins in torch stand in `model.quantization`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model import native
from model.native import MAX_ROWS, _is_plain, _only_computes


def kernels_for(dtype: torch.dtype, weight: Tensor, scale: Tensor) -> native.Kernels | None:
    """Return the kernels if they can read this matrix for activations in ``dtype``, else None."""
    if not (_only_computes() and _is_plain(weight, torch.int8) and _is_plain(scale, torch.float32)):
        return None
    return native.load(dtype) if weight.is_contiguous() and scale.is_contiguous() else None


def can_take(max_rows: int, x: Tensor, *others: Tensor | None) -> bool:
    """Whether activations are few enough and lie as the kernels read them; so must the others.

    Args:
        max_rows: of a product with a matrix of elements. Up to `MAX_ROWS` it is faster than torch
            with the integers written out, in any case.
        x: activations.
        others: biases; None for one that is not there.
    """
    if x.numel() > max(max_rows, MAX_ROWS) * x.shape[-1]:
        return False
    return all(y is None or (_is_plain(y, x.dtype) and y.is_contiguous()) for y in (x, *others))
