"""Sizes and weights of the tiny random models that the tests run."""

from __future__ import annotations

from typing import Any

import torch

SPECIAL_IDS = {
    "image_token_id": 150,
    "video_token_id": 151,
    "image_start_token_id": 152,
    "image_end_token_id": 153,
    "video_start_token_id": 154,
    "video_end_token_id": 155,
}


def tiny_text_config(**changes: Any) -> dict[str, Any]:
    """Text section of a model with one dense layer and two of experts."""
    base = {
        "vocab_size": 160,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "moe_intermediate_size": 32,
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
        "rope_scaling": {"rope_type": "default", "mrope_section": [1, 1, 2]},
        "pad_token_id": 0,
    }
    return {**base, **changes}


def tiny_vision_config(**changes: Any) -> dict[str, Any]:
    """Vision section of a two-block tower with a 4 x 4 position table."""
    base = {
        "depth": 2,
        "hidden_size": 32,
        "num_heads": 4,
        "out_hidden_size": 64,
        "intermediate_size": 48,
        "image_size": 56,
        "patch_size": 14,
    }
    return {**base, **changes}


def tiny_config(
    text: dict[str, Any] | None = None, vision: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Whole config; ``text`` and ``vision`` change the sections."""
    return {
        "text_config": tiny_text_config(**(text or {})),
        "vision_config": tiny_vision_config(**(vision or {})),
        **SPECIAL_IDS,
        **changes,
    }


def randomize(model: torch.nn.Module, gain: float = 2.0) -> None:
    """Draw every weight, bias and balancing bias, so that none of them is neutral.

    With the default gain attention is sharp and greedy answers wander through the vocabulary, so
    that a wrong position, image or mask changes them; with a small one they repeat one token.
    """
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            std = 0.1 if tensor.ndim < 2 else gain * tensor.shape[-1] ** -0.5
            std = 1.0 if "embed_tokens" in name else std
            offset = 1.0 if tensor.ndim < 2 else 0.0
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * std + offset)
