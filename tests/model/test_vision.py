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
    in_merge_blocks,
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


def test_what_is_put_in_merge_blocks_lies_where_their_coordinates_say() -> None:
    rows, columns = block_coordinates(4, 6, 2, torch.device("cpu"))
    x = torch.randn(4, 6, 3)
    assert torch.equal(in_merge_blocks(x, 2), x[rows, columns])


def test_a_grid_of_the_tables_size_reads_the_table_itself() -> None:
    table = PositionTable(36, 5)
    nn.init.normal_(table.weight)
    torch.testing.assert_close(table(6, 6), table.weight.view(6, 6, 5))


@pytest.mark.parametrize(("height", "width"), [(10, 4), (1, 1), (3, 17), (58, 92)])
def test_other_grids_are_read_as_torch_reads_them(height: int, width: int) -> None:
    table = PositionTable(36, 5)
    nn.init.normal_(table.weight)
    image = table.weight.view(1, 6, 6, 5).permute(0, 3, 1, 2)
    resized = F.interpolate(image, size=(height, width), mode="bicubic", align_corners=False)
    y, x = ((torch.arange(size) + 0.5) / size * 2 - 1 for size in (height, width))
    at = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    sampled = F.grid_sample(
        image, at, mode="bicubic", padding_mode="border", align_corners=False
    )  # as transformers
    for want in (resized, sampled):
        torch.testing.assert_close(
            table(height, width), want[0].permute(1, 2, 0), atol=1e-5, rtol=1e-5
        )


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

    def watch(pixels: torch.Tensor, *others: Any) -> torch.Tensor:
        sizes.append(len(pixels))
        return encode(pixels, *others)

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
