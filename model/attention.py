"""Attention over grouped key/value heads: one obviously right form, one fast form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import native
from model.cache import CacheBatch, KVCache
from model.config import Glm4vMoeTextConfig
from model.layers import Linear
from model.rope import rotate_heads

# Up to so many queries per head, the heads of a group are folded into one: beyond, it gains no time
# and costs a copy of the mask for every head of the group.
MAX_FOLDED_QUERIES = 16


def attention_mask_of(
    padding: Tensor | None, queries: int, keys: int, device: torch.device
) -> Tensor | None:
    """Say which keys each query may see: no later ones, and none that is padding.

    A padded query sees itself, so that no row is empty: an empty row is NaN, and NaN in a padded
    value would reach real tokens through a weight of zero.

    Args:
        padding: (B, keys) bool, True for real tokens; None for no padding.
        queries: T, the last T of the ``keys`` positions.
        keys: S.
        device: where the mask is used.

    Returns:
        (B or 1, 1, T, S) bool; None without padding, where causality alone is to be kept.
    """
    if padding is None:
        return None
    itself = torch.ones(queries, keys, dtype=torch.bool, device=device)
    itself = itself.tril(keys - queries) & itself.triu(keys - queries)
    allowed = causal_mask(queries, keys, device) & padding[:, None, :].to(device)
    return (allowed | itself)[:, None]


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """(T, S) bool: the queries are the last T of S tokens, and see no later ones."""
    key = torch.arange(keys, device=device)
    return key <= torch.arange(keys - queries, keys, device=device)[:, None]


def attend_reference(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Attention written out; slow, and the only form that returns its weights.

    Args:
        q: (B, H, T, D).
        k: (B, K, S, D), H a multiple of K.
        v: (B, K, S, D).
        mask: as `attention_mask_of` returns it.
        dropout: probability of dropping a weight.

    Returns:
        out: (B, H, T, D).
        weights: (B, H, T, S), after dropout.
    """
    queries, keys = q.shape[2], k.shape[2]
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if mask is None and queries > 1:
        mask = causal_mask(queries, keys, q.device)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = F.dropout(scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype), dropout)
    return weights @ v, weights


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """`attend_reference` without its weights, through the fused kernels.

    Returns:
        (B, H, T, D).
    """
    batch, heads, queries, dim = q.shape
    if mask is None and dropout == 0:
        kernels = native.kernels_for_attention(q, k, v)
        if kernels is not None and queries == 1:
            return kernels.attention(q, k, v)
        if kernels is not None and kernels.can_attend_prompt(dim):
            return kernels.attend_prompt(q, k, v)
    if mask is None and 1 < queries < k.shape[2]:
        mask = causal_mask(queries, k.shape[2], q.device)[None, None]
    groups = heads // k.shape[1]
    if queries > MAX_FOLDED_QUERIES or (mask is None and queries > 1):
        causal = mask is None
        return F.scaled_dot_product_attention(
            q, k, v, mask, dropout_p=dropout, is_causal=causal, enable_gqa=groups > 1
        )
    # The heads of a group become rows of one head, so keys and values are read once per group and
    # not once per head: 41 ms -> 1.9 ms for a layer of GLM-4.5V at 2k context on one core.
    q = q.reshape(batch, k.shape[1], groups * queries, dim)
    if mask is not None:
        mask = mask.expand(-1, groups, -1, -1).reshape(mask.shape[0], 1, groups * queries, -1)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return out.reshape(batch, heads, queries, dim)


def attend_rows(q: Tensor, k: Tensor, v: Tensor, caches: CacheBatch, layer: int) -> Tensor:
    """Let each row's one query attend to its own conversation.

    Args:
        q: (B, H, 1, D).
        k: (B, K, 1, D), to be appended to the caches; so is ``v``.
        caches: B conversations.
        layer: whose keys and values.

    Returns:
        (B, H, 1, D).
    """
    rows = zip(q.split(1), k.split(1), v.split(1), caches.rows, strict=True)
    return torch.cat(
        [attend(one, *cache.append(layer, key, value), None) for one, key, value, cache in rows]
    )


def attend_cached(
    q: Tensor, k: Tensor, v: Tensor, cache: KVCache | CacheBatch, layer: int
) -> Tensor:
    """Let one token of each conversation attend to what is stored of it, and store it too.

    Args:
        q: (B, H, 1, D).
        k: (B, K, 1, D), to be appended; so is ``v``.
        cache: of B conversations.
        layer: whose keys and values.

    Returns:
        (B, H, 1, D).
    """
    if isinstance(cache, CacheBatch):
        return attend_rows(q, k, v, cache, layer)
    return attend(q, *cache.append(layer, k, v), None)


class Glm4vMoeAttention(nn.Module):
    """Causal self-attention of one decoder layer: biases on q, k and v, RoPE on half of a head."""

    def __init__(self, config: Glm4vMoeTextConfig, layer: int) -> None:
        super().__init__()
        assert config.head_dim is not None
        hidden_size, self.head_dim = config.hidden_size, config.head_dim
        self.layer = layer
        self.dropout = config.attention_dropout
        q_size = config.num_attention_heads * self.head_dim
        kv_size = config.num_key_value_heads * self.head_dim
        self.q_proj = Linear(hidden_size, q_size, bias=config.attention_bias)
        self.k_proj = Linear(hidden_size, kv_size, bias=config.attention_bias)
        self.v_proj = Linear(hidden_size, kv_size, bias=config.attention_bias)
        self.o_proj = Linear(q_size, hidden_size, bias=False)

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        mask: Tensor | None,
        cache: KVCache | CacheBatch | None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from ``x`` to itself and to what the cache holds.

        Args:
            x: (B, T, C).
            rope: cos and sin, each (B, 1, T, rotary_dim).
            mask: as `attention_mask_of` returns it, over cached and new tokens.
            cache: holds the tokens before ``x``; gets those of ``x``. With a `CacheBatch`, T is 1
                and there is no mask.
            output_attentions: also return the weights, through the slow form.

        Returns:
            out: (B, T, C).
            weights: (B, H, T, S) or None.
        """
        q, k, v = self.project(x, rope)
        if isinstance(cache, CacheBatch):
            return self.merge(attend_rows(q, k, v, cache, self.layer)), None
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        dropout = self.dropout if self.training else 0.0
        if output_attentions:
            out, weights = attend_reference(q, k, v, mask, dropout)
        else:
            out, weights = attend(q, k, v, mask, dropout), None
        return self.merge(out), weights

    def project(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) -> turned queries (B, H, T, D), turned keys and values (B, K, T, D)."""
        q, k, v = (self._heads(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        return *rotate_heads(q, k, *rope), v

    def merge(self, out: Tensor) -> Tensor:
        """(B, H, T, D) of all heads -> (B, T, C)."""
        return self.o_proj(out.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, heads * D) -> (B, heads, T, D)."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
