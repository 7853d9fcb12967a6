"""A matrix as the kernels read it."""

from __future__ import annotations

from ctypes import Structure, c_int64, c_void_p

import torch
from torch import Tensor

GROUPS = torch.uint8  # the dtype of `Group` of ``groups.h``


class Matrix(Structure):
    """``Matrix`` of ``quantized.h``."""

    _fields_ = [("values", c_void_p), ("scale", c_void_p), ("is_grouped", c_int64)]

    @classmethod
    def of(cls, weight: Tensor, scale: Tensor | None = None) -> Matrix:
        """Describe a weight, or one of `model.quantization`; both must outlive the call."""
        pointer = None if scale is None else scale.data_ptr()
        return cls(weight.data_ptr(), pointer, weight.dtype is GROUPS)
