"""What is kept for later: what is found again, what goes first, and how much room it takes."""

from __future__ import annotations

import torch
from torch import Tensor

from model.cache import KVCache
from model.reuse import MIN_SHARED_TOKENS, PrefixCache, VisionCache

TOKEN_BYTES = 2 * 2 * 4 * 4  # keys and values of two heads of four float32
ROOMY = 10_000 * TOKEN_BYTES


def cache_of(keys: Tensor, room: int = 500) -> KVCache:
    """Return a one-layer cache whose tokens hold their keys."""
    cache = KVCache(1, room)
    tokens = keys.float()[None, None, :, None].expand(1, 2, -1, 4)
    cache.append(0, tokens, -tokens)
    cache.advance(len(keys))
    return cache


def keep(prefixes: PrefixCache, keys: Tensor) -> None:
    prefixes.put(keys, cache_of(keys))


def branch(length: int, at: int, name: int) -> Tensor:
    """Return the keys 0, 1, 2, ... that are others from ``at`` on."""
    keys = torch.arange(length)
    keys[at:] += 1000 * name
    return keys


def test_the_longest_shared_beginning_is_found_stored_or_running() -> None:
    prefixes = PrefixCache(ROOMY)
    keep(prefixes, branch(60, 20, 1))
    keep(prefixes, branch(60, 40, 2))
    shared, found = prefixes.longest(torch.arange(50), [])
    assert shared == 40
    assert found is not None
    k, v = found.append(0, torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 4))
    assert torch.equal(k[0, 1, :40, 3], torch.arange(40.0))
    assert torch.equal(v[0, 1, :40, 3], -torch.arange(40.0))
    running = cache_of(torch.arange(45))  # of a prompt of 70, as far as it is read
    assert prefixes.longest(torch.arange(50), [(torch.arange(70), running)]) == (45, running)


def test_too_short_a_beginning_is_not_worth_a_copy() -> None:
    prefixes = PrefixCache(ROOMY)
    keep(prefixes, branch(60, MIN_SHARED_TOKENS, 1))
    assert prefixes.longest(torch.arange(50), [])[0] == MIN_SHARED_TOKENS
    assert prefixes.longest(branch(50, MIN_SHARED_TOKENS - 1, 2), []) == (0, None)


def test_only_stored_tokens_take_room_and_can_be_found() -> None:
    prefixes = PrefixCache(ROOMY)
    keys = torch.arange(60)
    prefixes.put(keys, cache_of(keys[:50]))  # the last ones were never run
    assert prefixes.nbytes == 50 * TOKEN_BYTES
    assert prefixes.longest(keys, [])[0] == 50
    keep(prefixes, branch(70, 50, 1))
    assert prefixes.nbytes == 70 * TOKEN_BYTES  # it begins with all that was stored


def test_what_goes_on_takes_the_place_of_its_beginning_and_not_the_other_way() -> None:
    prefixes = PrefixCache(ROOMY)
    for length in (30, 60, 60, 40):
        keep(prefixes, torch.arange(length))
    assert prefixes.nbytes == 60 * TOKEN_BYTES
    assert prefixes.longest(torch.arange(100), [])[0] == 60


def test_one_too_large_to_keep_leaves_the_others() -> None:
    prefixes = PrefixCache(100 * TOKEN_BYTES)
    keep(prefixes, torch.arange(100))
    keep(prefixes, torch.arange(101))
    assert prefixes.longest(torch.arange(200), [])[0] == 100
    assert prefixes.nbytes == 100 * TOKEN_BYTES


def test_the_conversation_not_used_for_longest_goes_first() -> None:
    prefixes = PrefixCache(100 * TOKEN_BYTES)
    first, second, third = (branch(40, 0, name) for name in (1, 2, 3))
    keep(prefixes, first)
    keep(prefixes, second)
    prefixes.longest(first, [])
    keep(prefixes, third)
    assert [prefixes.longest(keys, [])[0] for keys in (first, second, third)] == [40, 0, 40]
    assert prefixes.nbytes == 80 * TOKEN_BYTES


def test_the_medium_not_used_for_longest_goes_first() -> None:
    vision = VisionCache(100)
    media = [torch.full((1, 10), float(n)) for n in range(3)]  # 40 bytes each
    for digest in (0, 1):
        vision.put(digest, media[digest])
    assert vision.get(0) is media[0]
    vision.put(2, media[2])
    assert [vision.get(digest) for digest in range(3)] == [media[0], None, media[2]]
    vision.put(2, media[2])
    assert vision.nbytes == 80


def test_a_medium_too_large_to_keep_leaves_the_others() -> None:
    vision = VisionCache(100)
    vision.put(0, torch.zeros(25))
    vision.put(1, torch.zeros(26))
    assert vision.get(0) is not None
    assert vision.get(1) is None
    assert vision.nbytes == 100


def test_a_cut_cache_holds_the_same_and_grows_again() -> None:
    cache = cache_of(torch.arange(7))
    cache.trim()
    assert cache.nbytes == cache.filled_nbytes == 7 * TOKEN_BYTES
    for length in range(8, 300):
        cache.append(0, torch.full((1, 2, 1, 4), length - 1.0), torch.zeros(1, 2, 1, 4))
        cache.advance(1)
    k, _ = cache.append(0, torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 4))
    assert torch.equal(k[0, 0, :299, 0], torch.arange(299.0))


def test_a_copy_has_room_of_its_own() -> None:
    cache = cache_of(torch.arange(20))
    copy = cache.fork(10, 300)
    assert copy.length == 10
    assert copy.nbytes == 300 * TOKEN_BYTES
    copy.append(0, torch.full((1, 2, 1, 4), -5.0), torch.zeros(1, 2, 1, 4))
    k, _ = cache.append(0, torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 4))
    assert torch.equal(k[0, 0, :20, 0], torch.arange(20.0))
