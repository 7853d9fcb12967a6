"""The dtype of a model's weights, as a caller or ``config.json`` names it."""

from __future__ import annotations

import torch

from model.checkpoint.errors import CheckpointError
from model.config import Glm4vMoeConfig

MODEL_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
CONFIG_KEYS = ("dtype", "torch_dtype")


def resolve_dtype(dtype: str | torch.dtype, config: Glm4vMoeConfig) -> torch.dtype:
    """Return the dtype asked for; ``"auto"`` is the one that ``config.json`` states.

    Raises:
        CheckpointError: a dtype that weights can't have.
    """
    name = config.dtype if dtype == "auto" else str(dtype)
    found = MODEL_DTYPES.get(name.removeprefix("torch."))
    if found is None:
        origin = "config.json states" if dtype == "auto" else "got"
        raise CheckpointError(
            f"{origin} dtype {name!r}; give dtype='auto' or one of {', '.join(MODEL_DTYPES)}"
        )
    return found


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype in which a device multiplies matrices fastest: bfloat16, or else float32.

    Without instructions for bfloat16 torch multiplies it number by number: on an EPYC with AVX2 a
    linear layer runs at 19 GFLOP/s instead of 143 (`benchmarks.dtypes`), its gradients at one.
    Whether there are such instructions is what oneDNN says, which torch multiplies with.
    """
    if device.type != "cpu":
        return torch.bfloat16
    has_products = (
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    return torch.bfloat16 if has_products else torch.float32


def state_dtype(config: Glm4vMoeConfig, dtype: torch.dtype) -> None:
    """Let ``config`` name ``dtype``, in ``text_config`` as the real files do."""
    name = str(dtype).removeprefix("torch.")
    if config.dtype == name:
        return
    for section in (config.extra, config.text_config.extra):
        for key in CONFIG_KEYS:
            section.pop(key, None)
    config.text_config.extra["dtype"] = name
