"""The vision tower's exact shortcuts: matrix products for convolutions, groups of segments."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from model.config import Glm4vMoeVisionConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.vision import (
    Downsample,
    PatchProjection,
    PositionTable,
    block_coordinates,
    group_segments,
)

PATCH_DIM = Glm4vMoeVisionConfig().patch_dim
# products of few rows and of many add up in different orders
SUM_ORDER: dict[str, Any] = {"atol": 5e-5, "rtol": 1e-4}


def test_patch_projection_equals_the_convolution() -> None:
    projection = PatchProjection(3, 16, (2, 14, 14), stride=(2, 14, 14))
    patches = torch.randn(10, PATCH_DIM)
    want = nn.Conv3d.forward(projection, patches.view(10, 3, 2, 14, 14)).view(10, 16)
    torch.testing.assert_close(projection(patches), want)


def test_downsampling_equals_the_convolution() -> None:
    layer = Downsample(8, 12, 2, 2)
    x = torch.randn(20, 8)
    image = x.view(5, 2, 2, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, image).view(5, 12))


def test_merge_blocks_are_two_by_two_and_in_reading_order() -> None:
    rows, columns = block_coordinates(4, 6, 2, torch.device("cpu"))
    want = [
        (2 * r + dr, 2 * c + dc)
        for r in range(2)
        for c in range(3)
        for dr in (0, 1)
        for dc in (0, 1)
    ]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == want


def test_a_grid_of_the_tables_size_reads_the_table_itself() -> None:
    table = PositionTable(36, 5)
    nn.init.normal_(table.weight)
    rows, columns = block_coordinates(6, 6, 2, torch.device("cpu"))
    torch.testing.assert_close(table(rows, columns, 6, 6), table.weight[rows * 6 + columns])


def test_other_grids_are_read_as_bicubic_image_resizing_does() -> None:
    table = PositionTable(36, 5)
    nn.init.normal_(table.weight)
    rows, columns = block_coordinates(10, 4, 2, torch.device("cpu"))
    image = table.weight.view(1, 6, 6, 5).permute(0, 3, 1, 2)
    resized = F.interpolate(image, size=(10, 4), mode="bicubic", align_corners=False)
    want = resized[0].permute(1, 2, 0)[rows, columns]
    torch.testing.assert_close(table(rows, columns, 10, 4), want)


@pytest.mark.parametrize("budget", [1, 24, 40, 64, 10_000])
def test_groups_of_segments_give_the_same_embeddings(
    tiny_model: Glm4vMoeForConditionalGeneration, budget: int
) -> None:
    visual = tiny_model.model.visual
    grids = torch.tensor([[1, 4, 6], [3, 4, 4], [1, 2, 8], [1, 8, 8]])
    pixels = torch.randn(int(grids.prod(-1).sum()), PATCH_DIM)
    with torch.no_grad():
        want = [
            visual(part, grid[None]).pooler_output
            for part, grid in zip(pixels.split(grids.prod(-1).tolist()), grids, strict=True)
        ]
        got = visual(pixels, grids, max_patches=budget)
    torch.testing.assert_close(got.pooler_output, torch.cat(want), **SUM_ORDER)


def test_the_budget_is_kept_by_the_tower(
    tiny_model: Glm4vMoeForConditionalGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual, sizes = tiny_model.model.visual, []
    encode = visual._encode

    def watch(pixels: torch.Tensor, segments: list[tuple[int, int]]) -> torch.Tensor:
        sizes.append(len(pixels))
        return encode(pixels, segments)

    monkeypatch.setattr(visual, "_encode", watch)
    with torch.no_grad():
        visual(torch.randn(5 * 16, PATCH_DIM), torch.tensor([[5, 4, 4]]), max_patches=40)
    assert sizes == [32, 32, 16]


def test_groups_never_exceed_the_budget_unless_one_segment_does() -> None:
    segments = [(4, 4), (4, 6), (10, 10), (2, 2), (2, 2)]
    groups = list(group_segments(segments, 40))
    assert groups == [[(4, 4), (4, 6)], [(10, 10)], [(2, 2), (2, 2)]]


def test_pixels_that_dont_fit_the_grid_are_named(
    tiny_model: Glm4vMoeForConditionalGeneration,
) -> None:
    with pytest.raises(ValueError, match="24 patches; pixel values have 20"):
        tiny_model.model.visual(torch.randn(20, PATCH_DIM), torch.tensor([[1, 4, 6]]))
