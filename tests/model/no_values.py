"""Networks whose tensors have shapes and no values, for use inside of a ``FakeTensorMode``."""

from __future__ import annotations

import torch
from torch import nn


def forget_values(model: nn.Module) -> None:
    """Replace parameters and buffers by fake ones."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                fake = torch.empty(parameter.shape, dtype=parameter.dtype)
                module._parameters[name] = nn.Parameter(fake, requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
