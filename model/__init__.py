"""GLM-4.5V in PyTorch: network, checkpoints, processing, generation. Lists the public names.

A name is imported when it is first used, so that the page can open before torch is in memory.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.config import Glm4vMoeConfig, Glm4vMoeTextConfig, Glm4vMoeVisionConfig
    from model.decoder import Glm4vMoeTextModel
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration, Glm4vMoeModel
    from model.processing import Glm4vProcessor
    from model.vision import Glm4vMoeVisionModel

# Torch keeps what it made for each size of a matrix product on a CPU, up to 1024 of them, in
# oneDNN and once more in its own layer above it; prompts and the shares of experts have all sizes.
# 100 questions of all lengths to the bundled model end at 1.3 GB with 1024 and 1024, at 1.1 GB with
# 128 and 1024, and at 0.66 GB with these, in the same time (17.9, 17.8 and 17.9 s on two cores).
# What a size costs depends on the CPU's instructions: 1200 take 6 MB either way with AVX2, 268
# instead of 2232 MB with AVX-512, 335 instead of 1181 MB with AMX.
# Tensors of 2 MB and more lie in huge pages where Linux has them to give: two cores read weights at
# 28 GB/s instead of 19.
# Read when torch is loaded, so they must be set before; an operator's own values stay.
for _variable, _value in (
    ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128"),
    ("LRU_CACHE_CAPACITY", "16"),
    ("THP_MEM_ALLOC_ENABLE", "1"),
):
    os.environ.setdefault(_variable, _value)

_MODULES = {
    "Glm4vMoeConfig": "model.config",
    "Glm4vMoeTextConfig": "model.config",
    "Glm4vMoeVisionConfig": "model.config",
    "Glm4vMoeVisionModel": "model.vision",
    "Glm4vMoeTextModel": "model.decoder",
    "Glm4vMoeModel": "model.glm4v_moe",
    "Glm4vMoeForConditionalGeneration": "model.glm4v_moe",
    "Glm4vProcessor": "model.processing",
}

__all__ = [
    "Glm4vMoeConfig",
    "Glm4vMoeForConditionalGeneration",
    "Glm4vMoeModel",
    "Glm4vMoeTextConfig",
    "Glm4vMoeTextModel",
    "Glm4vMoeVisionConfig",
    "Glm4vMoeVisionModel",
    "Glm4vProcessor",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'model' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
