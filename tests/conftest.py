"""Tiny models shared by the tests: ours, and transformers' with the same random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tiny import randomize, tiny_config

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration


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
        gain: float = 2.0,
        **changes: Any,
    ) -> tuple[Any, Glm4vMoeForConditionalGeneration]:
        # configs change the dictionaries they are given: each gets its own
        reference = ReferenceModel._from_config(
            ReferenceConfig(**tiny_config(text, vision, **changes)), attn_implementation=attention
        ).eval()
        randomize(reference, gain)
        ours = Glm4vMoeForConditionalGeneration(
            Glm4vMoeConfig(**tiny_config(text, vision, **changes))
        ).eval()
        ours.load_state_dict(reference.state_dict())
        return reference, ours

    return build
