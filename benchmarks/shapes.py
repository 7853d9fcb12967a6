"""The random model of the benchmarks: GLM-4.5V's shape at 0.9 B parameters."""

from __future__ import annotations

from typing import Any


def glm_shaped_config(**text_changes: Any) -> dict[str, Any]:
    """Config of a model with GLM-4.5V's proportions: 12 query heads a group, 128 a head.

    The vision tower is small: these benchmarks time the decoder.
    """
    text = {
        "vocab_size": 32768,
        "hidden_size": 1024,
        "intermediate_size": 2736,
        "num_hidden_layers": 12,
        "num_attention_heads": 24,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "moe_intermediate_size": 352,
        "n_routed_experts": 64,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "max_position_embeddings": 65536,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
        "rope_scaling": {"rope_type": "default", "mrope_section": [8, 12, 12]},
        "pad_token_id": 0,
        "dtype": "bfloat16",
    }
    vision = {
        "depth": 2,
        "hidden_size": 384,
        "num_heads": 3,
        "out_hidden_size": 1024,
        "intermediate_size": 2736,
        "image_size": 336,
        "patch_size": 14,
    }
    return {
        "text_config": {**text, **text_changes},
        "vision_config": vision,
        "image_token_id": 32001,
        "video_token_id": 32002,
        "image_start_token_id": 32003,
        "image_end_token_id": 32004,
        "video_start_token_id": 32005,
        "video_end_token_id": 32006,
    }
