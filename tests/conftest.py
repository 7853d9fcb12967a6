"""Tiny models shared by the tests: ours, and transformers' with the same random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

SPECIAL_IDS = {
    "image_token_id": 150,
    "video_token_id": 151,
    "image_start_token_id": 152,
    "image_end_token_id": 153,
    "video_start_token_id": 154,
    "video_end_token_id": 155,
}
PLAIN_IDS = 140  # ids below this are ordinary text


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


def randomize(model: torch.nn.Module) -> None:
    """Draw every weight, bias and balancing bias, so that none of them is neutral."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            std = 0.1 if tensor.ndim < 2 else 0.3 * tensor.shape[-1] ** -0.5
            offset = 1.0 if tensor.ndim < 2 else 0.0
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * std + offset)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Fix the global seed; one thread, as tiny products lose more by sharing than they gain."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_model() -> Glm4vMoeForConditionalGeneration:
    """The tiny model with random weights, in evaluation mode; tests must not change it."""
    model = Glm4vMoeForConditionalGeneration(Glm4vMoeConfig(**tiny_config()))
    randomize(model)
    return model.eval()


@pytest.fixture(scope="session")
def parity_pair() -> Callable[..., tuple[Any, Glm4vMoeForConditionalGeneration]]:
    """Return a function that builds transformers' model and ours with the same random weights."""
    from transformers import Glm4vMoeConfig as ReferenceConfig
    from transformers import Glm4vMoeForConditionalGeneration as ReferenceModel

    def build(
        text: dict[str, Any] | None = None,
        vision: dict[str, Any] | None = None,
        attention: str = "sdpa",
        **changes: Any,
    ) -> tuple[Any, Glm4vMoeForConditionalGeneration]:
        # configs change the dictionaries they are given: each gets its own
        reference = ReferenceModel._from_config(
            ReferenceConfig(**tiny_config(text, vision, **changes)), attn_implementation=attention
        ).eval()
        randomize(reference)
        ours = Glm4vMoeForConditionalGeneration(
            Glm4vMoeConfig(**tiny_config(text, vision, **changes))
        ).eval()
        ours.load_state_dict(reference.state_dict())
        return reference, ours

    return build
