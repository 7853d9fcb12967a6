"""Attention of turns to the prefix that they share and to themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import attend_reference


def attend_turns_reference(
    q: Tensor, k: Tensor, v: Tensor, prefix_k: Tensor, prefix_v: Tensor
) -> Tensor:
    """Attention of each turn to its screen's prefix and, causally, to itself; turn by turn.

    Args:
        q: (B, G, L, H, D), G turns of each screen.
        k: (B, G, L, K, D), H a multiple of K.
        v: (B, G, L, K, D).
        prefix_k: (B, P, K, D).
        prefix_v: (B, P, K, D).

    Returns:
        (B, G, L, H, D).
    """
    tokens, prefix = q.shape[2], prefix_k.shape[1]
    mask = torch.ones(tokens, prefix + tokens, dtype=torch.bool, device=q.device).tril(prefix)
    screens = []
    for screen in range(len(q)):
        turns = []
        for turn in range(q.shape[1]):
            keys = torch.cat((prefix_k[screen], k[screen, turn]))
            values = torch.cat((prefix_v[screen], v[screen, turn]))
            heads = [x.transpose(0, 1)[None] for x in (q[screen, turn], keys, values)]
            out, _ = attend_reference(heads[0], heads[1], heads[2], mask)
            turns.append(out[0].transpose(0, 1))
        screens.append(torch.stack(turns))
    return torch.stack(screens)


def attend_turns(q: Tensor, k: Tensor, v: Tensor, prefix_k: Tensor, prefix_v: Tensor) -> Tensor:
    """`attend_turns_reference`, in whole products."""
    if q.is_cuda:
        return attend_turns_fused(q, k, v, prefix_k, prefix_v)
    return attend_turns_weighted(q, k, v, prefix_k, prefix_v)[0]


def attend_turns_weighted(
    q: Tensor, k: Tensor, v: Tensor, prefix_k: Tensor, prefix_v: Tensor
) -> tuple[Tensor, Tensor]:
    """`attend_turns_reference`, all turns of a screen in one product with its prefix.

    On a CPU this is the fast form: the gradient of fused attention under a mask is slow there.

    Returns:
        out: (B, G, L, H, D).
        weights: (B, H, G, L, P), to the prefix.
    """
    batch, turns, tokens, _, dim = q.shape
    kv_heads = k.shape[3]
    prefix = prefix_k.shape[1]
    # heads before turns, so that both products see the same memory: (B, K, G, rep, L, D)
    q = q.unflatten(3, (kv_heads, -1)).permute(0, 3, 1, 4, 2, 5).contiguous()
    k, v = (x.permute(0, 3, 1, 2, 4).contiguous() for x in (k, v))  # (B, K, G, L, D)
    prefix_k, prefix_v = (x.transpose(1, 2).flatten(0, 1) for x in (prefix_k, prefix_v))
    by_screen = q.view(batch * kv_heads, -1, dim) * dim**-0.5
    by_turn = by_screen.view(batch * kv_heads * turns, -1, dim)
    later = torch.ones(tokens, tokens, dtype=torch.bool, device=q.device).triu(1)
    to_prefix = torch.bmm(by_screen, prefix_k.mT)
    to_turn = torch.bmm(by_turn, k.flatten(0, 2).mT).view(-1, tokens, tokens)
    to_turn = to_turn.masked_fill(later, float("-inf")).view(*by_screen.shape[:2], tokens)
    weights = torch.cat((to_prefix, to_turn), dim=-1).softmax(dim=-1)
    from_prefix, from_turn = weights.split((prefix, tokens), dim=-1)
    out = torch.bmm(from_prefix, prefix_v).view_as(by_turn) + torch.bmm(
        from_turn.reshape(len(by_turn), -1, tokens), v.flatten(0, 2)
    )
    out = out.view_as(q).permute(0, 2, 4, 1, 3, 5).flatten(3, 4)
    weights = from_prefix.unflatten(1, (turns, -1, tokens)).transpose(1, 2)
    return out, weights.unflatten(0, (batch, kv_heads)).flatten(1, 2)


def attend_turns_fused(
    q: Tensor, k: Tensor, v: Tensor, prefix_k: Tensor, prefix_v: Tensor
) -> Tensor:
    """`attend_turns_reference` by a fused kernel, with a copy of the prefix for every turn.

    For GPUs. On one core of a CPU, forward and backward of 8 screens in bfloat16 take 28 to 49 ms
    for what `attend_turns_weighted` does in 11 to 21.
    """
    batch, turns, tokens = q.shape[:3]
    prefix = prefix_k.shape[1]
    mask = torch.ones(tokens, prefix + tokens, dtype=torch.bool, device=q.device).tril(prefix)
    keys, values = (
        torch.cat((shared[:, None].expand(-1, turns, -1, -1, -1), own), dim=2).flatten(0, 1)
        for shared, own in ((prefix_k, k), (prefix_v, v))
    )  # (B * G, P + L, K, D)
    out = F.scaled_dot_product_attention(
        q.flatten(0, 1).transpose(1, 2),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=mask,
        enable_gqa=q.shape[3] != k.shape[3],
    )
    return out.transpose(1, 2).unflatten(0, (batch, turns))


def attend_prefix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of prefixes to themselves.

    Args:
        q: (B, P, H, D).
        k: (B, P, K, D).
        v: (B, P, K, D).

    Returns:
        (B, P, H, D).
    """
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if q.is_cuda:
        out = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1]
        )
        return out.transpose(1, 2)
    return attend_reference(q, k, v, None)[0].transpose(1, 2)
