"""Random initial weights."""

from __future__ import annotations

from torch import nn


def initialize(model: nn.Module, std: float) -> None:
    """Draw matrices, kernels and tables from N(0, std) and zero the biases; norms stay at one.

    Source: ``initializer_range`` of ``config.json``. Parameters on the meta device stay empty.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_meta:  # drawing would be a no-op, but one that imports torch's compiler
            continue
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=std)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
