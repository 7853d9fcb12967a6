"""What a GPU computes and what is known of it, without one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model import moe, native


def compute_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No kernels of ours, and experts computed as those of bfloat16 on CUDA are."""
    monkeypatch.setattr(native, "_kernels", dict.fromkeys(native.DEFINES))
    monkeypatch.setattr(moe, "run_experts", moe.run_experts_grouped)


def forget_values(model: nn.Module) -> None:
    """Inside of a ``FakeTensorMode``: tensors have shapes and no values."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                fake = torch.empty(parameter.shape, dtype=parameter.dtype)
                module._parameters[name] = nn.Parameter(fake, requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
