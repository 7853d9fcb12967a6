"""What a forward pass returns: named fields, or a tuple of those that are not None."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from model.cache import KVCache


class _Output:
    """Fields by name or, in order and without those that are None, by index."""

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the fields that are not None."""
        return tuple(getattr(self, name) for name in self.keys())

    def keys(self) -> list[str]:
        """Return the names of the fields that are not None."""
        names = (f.name for f in fields(self))  # type: ignore[arg-type]
        return [name for name in names if getattr(self, name) is not None]

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, int):
            return self.to_tuple()[key]
        if key not in self.keys():
            raise KeyError(f"{key!r} is not in this output; it has {', '.join(self.keys())}")
        return getattr(self, key)

    def __contains__(self, key: str) -> bool:
        return key in self.keys()

    def __len__(self) -> int:
        return len(self.keys())


@dataclass(slots=True)
class VisionModelOutput(_Output):
    """``last_hidden_state`` (N / 4, C) before and ``pooler_output`` (N / 4, C) after the merger."""

    last_hidden_state: Tensor
    pooler_output: Tensor


@dataclass(slots=True)
class TextModelOutput(_Output):
    """Output of the decoder.

    Attributes:
        last_hidden_state: (B, T, C), after the final norm.
        past_key_values: the cache, if one is used.
        hidden_states: (B, T, C) each: the embeddings, then every layer's output, the last after the
            final norm.
        attentions: (B, H, T, S) each, one per layer.
    """

    last_hidden_state: Tensor
    past_key_values: KVCache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(slots=True)
class Glm4vMoeModelOutputWithPast(_Output):
    """As `TextModelOutput`, with ``rope_deltas`` (B,) int64: next position minus token count."""

    last_hidden_state: Tensor
    past_key_values: KVCache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    rope_deltas: Tensor | None = None


@dataclass(slots=True)
class Glm4vMoeCausalLMOutputWithPast(_Output):
    """Output with a language head.

    Attributes:
        loss: () float32, mean over the labelled tokens; only with ``labels``.
        logits: (B, kept tokens, vocabulary).
        past_key_values, hidden_states, attentions: as `TextModelOutput`.
        rope_deltas: (B,) int64, next position minus token count; pass it with the next tokens.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: KVCache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    rope_deltas: Tensor | None = None
