"""When the kernels of `model.native` read matrices in integers; its rules hold here too.

The twins in torch stand in `model.quantization`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model import native
from model.native import MAX_ROWS, _is_plain, _only_computes
from model.native.matrix import GROUPS


def kernels_for(dtype: torch.dtype, weight: Tensor, scale: Tensor | None) -> native.Kernels | None:
    """Return the kernels if they can read this matrix for activations in ``dtype``, else None."""
    parts = [(weight, GROUPS)] if scale is None else [(weight, torch.int8), (scale, torch.float32)]
    if not all(_is_plain(part, its) and part.is_contiguous() for part, its in parts):
        return None
    return native.load(dtype) if _only_computes() else None


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
