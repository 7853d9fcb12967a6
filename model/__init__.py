"""GLM-4.5V in PyTorch: network, checkpoints, processing, generation. Lists the public names.

A name is imported when it is first used, so that the page can open before torch is in memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.config import Glm4vMoeConfig, Glm4vMoeTextConfig, Glm4vMoeVisionConfig
    from model.decoder import Glm4vMoeTextModel
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration, Glm4vMoeModel
    from model.processing import Glm4vProcessor
    from model.vision import Glm4vMoeVisionModel

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
