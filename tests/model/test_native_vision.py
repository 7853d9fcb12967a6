"""Blocks of the vision tower in one call each, and when they have to compute themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from native_kinds import PAIRED_KINDS, needs_pairs, other_kernels
from tiny import randomize, tiny_config
from torch import Tensor

from model import native, vision
from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.native.vision import blocks_for
from model.vision import Glm4vMoeVisionModel

PATCH_DIM = 3 * 2 * 14 * 14
HEADS = {"hidden_size": 96, "num_heads": 3, "intermediate_size": 50, "out_hidden_size": 64}
SMALL_HEADS = {"hidden_size": 96, "num_heads": 6}
# runs of equally long segments, one alone, and one of fewer patches than a block has
GRIDS = torch.tensor([[2, 4, 6], [1, 2, 2], [3, 4, 4], [1, 10, 8]])

pytestmark = needs_pairs


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def make_tower(kind: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Glm4vMoeVisionModel:
    other = other_kernels(kind)
    if other is not None:
        monkeypatch.setitem(native._kernels, torch.bfloat16, other)
    with torch.inference_mode(False):
        config = Glm4vMoeConfig(**tiny_config(vision={**HEADS, **changes}))
        model = Glm4vMoeForConditionalGeneration(config)
        randomize(model)
        return model.bfloat16().eval().model.visual


def pixels(grids: Tensor) -> Tensor:
    count = int(grids.prod(-1).sum())
    return torch.randn(count, PATCH_DIM, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", PAIRED_KINDS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("changes", [{}, {"attention_bias": True, "num_heads": 1}])
def test_blocks_in_one_call_equal_the_blocks_to_the_last_bit(
    kind: str, threads: int, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = make_tower(kind, monkeypatch, **changes)
    x = pixels(GRIDS)
    assert blocks_for(tower, x[:, :96].bfloat16())
    monkeypatch.setattr(native, "threads_for", lambda size: threads)
    got = tower(x, GRIDS)
    monkeypatch.setattr(vision, "blocks_for", lambda tower, x: None)
    want = tower(x, GRIDS)
    assert torch.equal(got.pooler_output, want.pooler_output)
    assert torch.equal(got.last_hidden_state, want.last_hidden_state)


def test_a_picture_of_many_pieces_equals_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    tower, grid = make_tower("bfloat16 without tiles", monkeypatch), torch.tensor([[1, 30, 46]])
    x = pixels(grid)
    assert len(x) > 2 * native.PAIR_ROWS
    got = tower(x, grid).pooler_output
    monkeypatch.setattr(vision, "blocks_for", lambda tower, x: None)
    want = tower(x, grid).pooler_output
    # torch adds up in another order there
    torch.testing.assert_close(got.float(), want.float(), atol=0.15, rtol=0.05)
    assert (got.float() - want.float()).abs().mean() < 0.01


@pytest.mark.parametrize("case", ["heads", "few", "hook", "activation", "gradient", "module"])
def test_what_no_call_can_compute_is_left_to_the_blocks(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "heads": SMALL_HEADS,
        "activation": {"hidden_act": "gelu"},
    }
    tower: Any = make_tower("bfloat16", monkeypatch, **changes.get(case, {}))
    grid = torch.tensor([[1, 2, 2] if case == "few" else [1, 4, 6]])
    x, seen = torch.zeros(int(grid.prod()), 96, dtype=torch.bfloat16), []
    if case == "hook":
        with torch.inference_mode(False):
            tower.blocks[0].register_forward_hook(lambda *_: seen.append(1))
    if case == "module":
        tower.blocks[1].attn.proj = torch.nn.Linear(96, 96, bias=False, dtype=torch.bfloat16)
    if case == "gradient":
        with torch.inference_mode(False), torch.enable_grad():
            assert blocks_for(tower, x) is None
        return
    assert blocks_for(tower, x) is None
    assert tower(pixels(grid), grid).pooler_output.shape == (int(grid.prod()) // 4, 64)
    assert seen == ([1] if case == "hook" else [])


def test_a_tower_goes_on_with_the_threads_and_weights_with_which_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tower = make_tower("bfloat16", monkeypatch)
    grid = torch.tensor([[1, 4, 6]])
    monkeypatch.setattr(native, "threads_for", lambda size: 1)
    want = tower(pixels(grid), grid).pooler_output

    def change() -> None:
        monkeypatch.setattr(native, "threads_for", lambda size: 3)
        with torch.inference_mode(False):
            for weight in tower.blocks.parameters():
                weight.data = torch.full_like(weight, torch.nan)

    got = tower(pixels(grid), grid, between_layers=change).pooler_output
    assert torch.equal(got, want)


def test_a_default_device_is_not_where_scratch_space_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    tower, grid = make_tower("bfloat16", monkeypatch), torch.tensor([[1, 4, 6]])
    x = pixels(grid)
    want = tower(x, grid).pooler_output
    with torch.device("meta"):
        got = tower(x, grid).pooler_output
    assert torch.equal(got, want)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_tower_runs_the_blocks_that_it_has(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tower, grid = make_tower("bfloat16", monkeypatch), torch.tensor([[1, 4, 6]])
    tower(pixels(grid), grid)  # prepared for two
    if depth == 3:
        tower.blocks.append(tower.blocks[0])
    else:
        tower.blocks = tower.blocks[:depth]
    got = tower(pixels(grid), grid).pooler_output
    monkeypatch.setattr(vision, "blocks_for", lambda tower, x: None)
    assert torch.equal(got, tower(pixels(grid), grid).pooler_output)
