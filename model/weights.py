"""Random initial weights."""

from __future__ import annotations

from torch import nn

from model.moe import Experts, Router


def initialize(model: nn.Module, std: float) -> None:
    """Draw weights from N(0, std), zero biases; norms stay at one.

    Source: ``initializer_range`` of ``config.json``. Does nothing for parameters on the meta device.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, Router):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, Experts):
            nn.init.normal_(module.gate_up_proj, std=std)
            nn.init.normal_(module.down_proj, std=std)
