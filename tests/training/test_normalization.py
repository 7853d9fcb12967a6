"""The norm with its gradient written out is the model's norm."""

from __future__ import annotations

import pytest
import torch

from model.layers import RMSNorm
from training.normalization import rms_norm


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_norm_and_its_gradients_are_those_of_the_module(dtype: torch.dtype) -> None:
    norm = RMSNorm(24, eps=1e-3)
    norm.weight.data = torch.randn(24)
    norm.to(dtype)
    x = (torch.randn(2, 9, 24) * 0.1).to(dtype).requires_grad_()  # eps counts
    mark = torch.randn(2, 9, 24).to(dtype)
    results = []
    for y in (rms_norm(x, norm), norm(x)):
        results.append((y, *torch.autograd.grad((y * mark).sum(), (x, norm.weight))))
    for got, want in zip(*results, strict=True):
        assert got.dtype == dtype
        torch.testing.assert_close(got.float(), want.float(), **tolerance(dtype))


def tolerance(dtype: torch.dtype) -> dict[str, float]:
    """Bfloat16 rounds each step to 8 bits, and the two take other steps."""
    return {"atol": 0.1, "rtol": 0.03} if dtype == torch.bfloat16 else {"atol": 1e-5, "rtol": 1e-5}
