"""M-RoPE positions against recorded ones of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model.config import Glm4vMoeConfig
from model.positions import mrope_positions, token_types_of

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden.json").read_text())["rope_index"]
MERGE = 2


def tensor_or_none(values: list | None) -> Tensor | None:
    return None if values is None else torch.tensor(values)


@pytest.mark.parametrize("row", GOLDEN, ids=["image", "video", "two images"])
def test_positions_and_types_equal_the_recorded_ones(row: dict[str, Any]) -> None:
    ids = torch.tensor([row["ids"]])
    types = token_types_of(ids, Glm4vMoeConfig())
    assert types.tolist() == [row["mm_token_type_ids"]]
    positions, following = mrope_positions(
        types,
        tensor_or_none(row["image_grid_thw"]),
        tensor_or_none(row["video_grid_thw"]),
        MERGE,
        padding=None,
        start=torch.tensor([0]),
    )
    assert positions[:, 0].tolist() == [row["T"], row["H"], row["W"]]
    assert following.tolist() == [row["rope_delta"] + len(row["ids"])]


def test_a_start_moves_every_position() -> None:
    types = torch.tensor([[0, 1, 1, 0]])
    grid = torch.tensor([[1, 2, 4]])
    at_zero, _ = mrope_positions(types, grid, None, MERGE, None, torch.tensor([0]))
    at_nine, following = mrope_positions(types, grid, None, MERGE, None, torch.tensor([9]))
    assert torch.equal(at_nine, at_zero + 9)
    assert following.tolist() == [13]


def test_two_images_side_by_side_are_told_apart() -> None:
    types = torch.tensor([[1, 1, 1, 1, 1, 1]])
    grids = torch.tensor([[1, 2, 4], [1, 4, 4]])
    positions, _ = mrope_positions(types, grids, None, MERGE, None, torch.tensor([0]))
    assert positions[:, 0].tolist() == [[0, 0, 2, 2, 2, 2], [0, 0, 2, 2, 3, 3], [0, 1, 2, 3, 2, 3]]
