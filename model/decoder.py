"""The language decoder: embeddings, decoder layers, final norm."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.attention import Glm4vMoeAttention, attention_mask_of
from model.cache import CacheBatch, KVCache
from model.config import Glm4vMoeConfig, Glm4vMoeTextConfig
from model.graphed_step import graphed_step_for
from model.layers import GatedMLP, RMSNorm
from model.moe import MoE
from model.native.decoder import NativeDecoder, reader_for, step_for
from model.outputs import TextModelOutput
from model.rope import TextRotaryEmbedding
from model.weights import initialize


class Glm4vMoeDecoderLayer(nn.Module):
    """``x += attention(norm(x)); x += feed_forward(norm(x))``; the first layers are dense."""

    def __init__(self, config: Glm4vMoeTextConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Glm4vMoeAttention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp: nn.Module = (
            GatedMLP(config.hidden_size, config.intermediate_size, config.hidden_act)
            if layer < config.first_k_dense_replace
            else MoE(config)
        )

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past_key_values: KVCache | CacheBatch | None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, C) -> (B, T, C) and, if asked for, the attention weights (B, H, T, S)."""
        attended, weights = self.self_attn(
            self.input_layernorm(x), rope, mask, past_key_values, output_attentions
        )
        return self._feed_forward(x + attended), weights

    def before_attention(
        self, x: Tensor, rope: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) -> q (B, H, T, D), k and v (B, K, T, D): what `forward` does up to there."""
        return self.self_attn.project(self.input_layernorm(x), rope)

    def after_attention(self, x: Tensor, attended: Tensor) -> Tensor:
        """What `forward` does from there: (B, T, C) it was given, (B, H, T, D) -> (B, T, C)."""
        return self._feed_forward(x + self.self_attn.merge(attended))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.post_attention_layernorm(x))


class Glm4vMoeTextModel(nn.Module):
    """Decoder without a head.

    Args:
        config: the text section, or a whole config, whose text section is taken.
    """

    def __init__(self, config: Glm4vMoeTextConfig | Glm4vMoeConfig) -> None:
        super().__init__()
        self.config = config.text_config if isinstance(config, Glm4vMoeConfig) else config
        text = self.config
        self.embed_tokens = nn.Embedding(text.vocab_size, text.hidden_size, text.pad_token_id)
        self.layers = nn.ModuleList(
            Glm4vMoeDecoderLayer(text, layer) for layer in range(text.num_hidden_layers)
        )
        self.norm = RMSNorm(text.hidden_size, text.rms_norm_eps)
        self.rotary_emb = TextRotaryEmbedding(text)
        initialize(self, text.initializer_range)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: KVCache | CacheBatch | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        cache_position: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        return_dict: bool = True,
        between_layers: Callable[[], None] | None = None,
    ) -> TextModelOutput | tuple:
        """Run the decoder over T new tokens.

        Args:
            input_ids: (B, T) int64; or ``inputs_embeds``.
            attention_mask: (B, S) over cached and new tokens, 1 for real tokens, 0 for padding.
            position_ids: (B, T), or (3, B, T) for the time, row and column planes (a plane of text
                positions before them is ignored); None counts real tokens.
            past_key_values: tokens before these; gets these appended. A `CacheBatch` takes one
                token for each of its rows (T is 1), whose positions must be given, and no mask.
            inputs_embeds: (B, T, C) instead of ``input_ids``.
            use_cache: return a cache; None for the config's ``use_cache``, off in training.
            cache_position: (T,) positions of the new tokens in the sequence, contiguous; cached
                tokens from its first on are forgotten.
            output_hidden_states: return the embeddings and each layer's output.
            output_attentions: return each layer's weights; slower.
            return_dict: False for a tuple of what is not None.
            between_layers: called after every layer but the last, unless all are one step of
                decoding. What it raises ends the call, and ``past_key_values`` has no more tokens
                than before.

        Raises:
            ValueError: neither or both of ``input_ids`` and ``inputs_embeds``, embeddings of
                another size, or lengths that don't fit together.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        batch, tokens, width = x.shape
        if width != self.config.hidden_size:
            raise ValueError(
                f"inputs_embeds is {tuple(x.shape)}; expected (B, T, {self.config.hidden_size})"
            )
        if tokens == 0:
            raise ValueError("there is no token to run: input_ids has no columns")
        past = past_length(past_key_values, cache_position, tokens)
        padding = padding_of(attention_mask, batch, past + tokens)
        if position_ids is None:
            position_ids = text_positions(padding, batch, past, tokens, x.device)
        position_ids = three_planes(position_ids, batch, tokens)
        if use_cache is None:
            use_cache = self.config.use_cache and not self.training
        if use_cache and past_key_values is None:
            past_key_values = KVCache(self.config.num_hidden_layers)
        if isinstance(past_key_values, KVCache):
            past_key_values.truncate(past)

        mask = attention_mask_of(padding, tokens, past + tokens, x.device)
        rope = self.rotary_emb(position_ids, x.dtype)
        hidden_states: list[Tensor] = []
        attentions: list[Tensor] = []
        shown = output_hidden_states or output_attentions
        is_plain = not shown and mask is None
        stepped = self._step(x, rope, past_key_values) if is_plain else None
        if stepped is None:
            reader = self._reader(x, past_key_values) if is_plain else None
            if reader is not None:
                x, room = x.clone(memory_format=torch.contiguous_format), reader.room(tokens)
            for index, layer in enumerate(self.layers):
                if index and between_layers is not None:
                    between_layers()
                if reader is not None:
                    assert isinstance(past_key_values, KVCache)
                    reader.read(index, x, rope, past_key_values, room)
                    continue
                if output_hidden_states:
                    hidden_states.append(x)
                x, weights = layer(x, rope, mask, past_key_values, output_attentions)
                if output_attentions:
                    attentions.append(weights)
            x = self.norm(x)
        else:
            x = stepped
        if past_key_values is not None:
            past_key_values.advance(tokens)
        if output_hidden_states:
            hidden_states.append(x)
        kept = past_key_values if isinstance(past_key_values, KVCache) else None
        output = TextModelOutput(
            last_hidden_state=x,
            past_key_values=kept if use_cache else None,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if return_dict else output.to_tuple()

    def _step(
        self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache | CacheBatch | None
    ) -> Tensor | None:
        """Layers and norm, (B, 1, C) -> (B, 1, C), faster; None if they have to run one by one.

        One token of the bundled 16 M decoder takes half of the time: median 1.28 ms instead of 2.7
        on two cores.
        """
        if cache is None or self.training:
            return None
        graphed = graphed_step_for(self, x, rope)
        if graphed is not None:
            return graphed.run(x, rope, cache)
        decoder = step_for(self, x)
        slots = None if decoder is None else cache.slots(len(x), x.dtype)
        return None if decoder is None or slots is None else decoder.step(x, rope, slots)

    def _reader(self, x: Tensor, cache: KVCache | CacheBatch | None) -> NativeDecoder | None:
        """What takes a piece of a prompt, (1, T, C), through each layer in one call, if it can."""
        if self.training or not isinstance(cache, KVCache):
            return None
        heads, head_dim = self.config.num_key_value_heads, self.config.head_dim
        assert head_dim is not None
        return reader_for(self, x) if cache.has_room_for(x.dtype, heads, head_dim) else None


def past_length(
    cache: KVCache | CacheBatch | None, cache_position: Tensor | None, tokens: int
) -> int:
    """Return how many tokens come before the new ones; the cache may hold more, to be forgotten.

    Raises:
        ValueError: ``cache_position`` is not contiguous or leaves a gap after the cached tokens.
    """
    stored = cache.length if cache is not None else 0
    if cache_position is None:
        return stored
    positions = cache_position.tolist()
    first = positions[0] if positions else 0
    if positions != list(range(first, first + tokens)):
        raise ValueError(f"cache_position must be {tokens} contiguous positions, got {positions}")
    if first > stored:
        raise ValueError(f"cache_position starts at {first}; the cache holds {stored} tokens")
    return first


def three_planes(position_ids: Tensor, batch: int, tokens: int) -> Tensor:
    """Return (3, B, T) positions from (B, T), or from 1, 3 or 4 such planes.

    Raises:
        ValueError: another shape.
    """
    planes = position_ids[None] if position_ids.ndim == 2 else position_ids
    if planes.ndim != 3 or len(planes) not in (1, 3, 4) or planes.shape[-1] != tokens:
        raise ValueError(
            f"position_ids is {tuple(position_ids.shape)}; expected {(batch, tokens)}, or three "
            "such planes: time, row and column"
        )
    return planes[-3:].expand(3, batch, tokens)


def padding_of(attention_mask: Tensor | None, batch: int, length: int) -> Tensor | None:
    """Return (B, S) bool, True for real tokens; None if nothing is padding.

    Raises:
        ValueError: the mask doesn't cover cached and new tokens.
    """
    if attention_mask is None:
        return None
    if attention_mask.shape != (batch, length):
        raise ValueError(
            f"attention_mask is {tuple(attention_mask.shape)}; expected {(batch, length)}: one "
            "column for each cached and each new token"
        )
    padding = attention_mask.bool()
    return None if bool(padding.all()) else padding


def text_positions(
    padding: Tensor | None, batch: int, past: int, tokens: int, device: torch.device
) -> Tensor:
    """Positions (B, T) of the new tokens: how many real tokens come before each."""
    if padding is None:
        return torch.arange(past, past + tokens, device=device).expand(batch, -1)
    return (padding.long().cumsum(-1) - 1).clamp(min=0)[:, past:].to(device)
