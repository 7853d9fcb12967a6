"""The fast attention forms against the slow ones, and the cache they read."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from model import vision
from model.attention import attend, attend_reference, attention_mask_of
from model.cache import KVCache
from model.vision import attend_segments, attend_segments_reference


@pytest.mark.parametrize("heads", [(4, 4), (12, 3), (6, 1)], ids=str)
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 37), (9, 9), (5, 23), (64, 64)])
@pytest.mark.parametrize("padded", [None, "left", "right"])
def test_fused_attention_equals_the_written_out_form(
    heads: tuple[int, int], queries: int, keys: int, padded: str | None
) -> None:
    q = torch.randn(2, heads[0], queries, 8)
    k, v = torch.randn(2, heads[1], keys, 8), torch.randn(2, heads[1], keys, 8)
    padding = torch.ones(2, keys, dtype=torch.bool)
    if padded == "left":
        padding[1, : keys // 2] = False
    elif padded == "right":
        padding[1, keys - keys // 2 :] = False
    mask = attention_mask_of(padding if padded else None, queries, keys, q.device)
    want, _ = attend_reference(q, k, v, mask)
    torch.testing.assert_close(attend(q, k, v, mask), want)


def test_one_token_attention_equals_repeated_heads() -> None:
    q, k, v = torch.randn(2, 12, 1, 8), torch.randn(2, 3, 50, 8), torch.randn(2, 3, 50, 8)
    want = F.scaled_dot_product_attention(q, k.repeat_interleave(4, 1), v.repeat_interleave(4, 1))
    torch.testing.assert_close(attend(q, k, v, None), want)


@pytest.mark.parametrize("queries", [5, 40])
def test_dropout_reaches_masked_attention_of_any_length(queries: int) -> None:
    q, k, v = torch.randn(1, 4, queries, 8), torch.randn(1, 2, 40, 8), torch.randn(1, 2, 40, 8)
    mask = torch.ones(1, 1, queries, 40, dtype=torch.bool)
    assert not torch.equal(attend(q, k, v, mask, 0.5), attend(q, k, v, mask, 0.5))


def test_weights_are_normalised_in_float32_whatever_the_dtype() -> None:
    q, k, v = (torch.randn(1, 2, 9, 8).bfloat16() for _ in range(3))
    mask = torch.ones(9, 9, dtype=torch.bool).tril()
    _, weights = attend_reference(q, k, v, None)
    scores = (q @ k.mT * 8**-0.5).float().masked_fill(~mask, float("-inf"))
    assert torch.equal(weights, scores.softmax(dim=-1).bfloat16())


def test_padded_queries_give_finite_values() -> None:
    q, k, v = torch.randn(1, 4, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)
    padding = torch.tensor([[False, False, False, True, True, True]])
    mask = attention_mask_of(padding, 6, 6, q.device)
    assert attend(q, k, v, mask).isfinite().all()
    assert attend_reference(q, k, v, mask)[0].isfinite().all()


def test_a_mask_hides_later_tokens_and_padding_only() -> None:
    padding = torch.tensor([[False, True, True, True]])
    mask = attention_mask_of(padding, 2, 4, padding.device)
    assert mask is not None
    assert mask[0, 0].tolist() == [[False, True, True, False], [False, True, True, True]]


@pytest.mark.parametrize(
    "lengths", [[7], [4, 4, 4], [4, 6, 4], [1, 16, 1, 1], [8, 8, 2, 2, 2]], ids=str
)
def test_segment_attention_equals_one_masked_product(lengths: list[int]) -> None:
    q, k, v = (torch.randn(sum(lengths), 3, 8) for _ in range(3))
    want = attend_segments_reference(q, k, v, lengths)
    torch.testing.assert_close(attend_segments(q, k, v, lengths), want)


@torch.no_grad()
def test_segment_attention_in_bfloat16_equals_one_masked_product() -> None:
    lengths = [70, 70, 5]
    q, k, v = (torch.randn(sum(lengths), 3, 32).bfloat16() for _ in range(3))
    want = attend_segments_reference(q, k, v, lengths)
    torch.testing.assert_close(attend_segments(q, k, v, lengths), want, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("written_out", [0, 1024])
def test_segment_attention_has_the_gradients_of_one_masked_product(
    written_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision, "MAX_WRITTEN_OUT_PATCHES", written_out)
    lengths = [4, 6, 6, 1]
    inputs = [torch.randn(sum(lengths), 3, 8, requires_grad=True) for _ in range(3)]
    outputs = [attend(*inputs, lengths) for attend in (attend_segments, attend_segments_reference)]
    torch.testing.assert_close(*outputs)
    mark = torch.randn_like(outputs[0])
    got, want = (torch.autograd.grad((out * mark).sum(), inputs) for out in outputs)
    torch.testing.assert_close(got, want)


def test_a_cache_returns_what_concatenation_would_and_grows() -> None:
    cache = KVCache(num_layers=2, capacity=4)
    pieces = [torch.randn(1, 2, size, 8) for size in (100, 1, 30, 200, 1)]
    for count, piece in enumerate(pieces, start=1):
        for layer in range(2):
            k, v = cache.append(layer, piece + layer, -piece - layer)
            want = torch.cat(pieces[:count], dim=2) + layer
            assert torch.equal(k, want)
            assert torch.equal(v, -want)
        cache.advance(piece.shape[2])
    assert cache.length == 332


def test_appending_within_capacity_moves_nothing() -> None:
    cache = KVCache(num_layers=1, capacity=1000)
    cache.append(0, torch.randn(1, 2, 10, 8), torch.randn(1, 2, 10, 8))
    cache.advance(10)
    first = cache.append(0, torch.randn(1, 2, 1, 8), torch.randn(1, 2, 1, 8))[0].data_ptr()
    cache.advance(1)
    second = cache.append(0, torch.randn(1, 2, 1, 8), torch.randn(1, 2, 1, 8))[0].data_ptr()
    assert first == second


def test_a_truncated_cache_forgets_and_refuses_to_grow() -> None:
    cache = KVCache(num_layers=1)
    kept, other = torch.randn(1, 2, 4, 8), torch.randn(1, 2, 1, 8)
    cache.append(0, kept, kept)
    cache.advance(4)
    cache.truncate(2)
    k, _ = cache.append(0, other, other)
    assert torch.equal(k, torch.cat((kept[:, :, :2], other), dim=2))
    with pytest.raises(ValueError, match="holds 2 tokens"):
        cache.truncate(3)
