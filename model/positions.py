"""M-RoPE: which tokens are image or video, and the time, row and column position of each token."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from model.config import Glm4vMoeConfig

TEXT, IMAGE, VIDEO = 0, 1, 2


def token_types_of(token_ids: Tensor, config: Glm4vMoeConfig) -> Tensor:
    """Tell text, image and video tokens apart.

    Frames of a video are filled with the *image* token; what makes them video is that they stand
    between the begin and end tokens of a video.

    Args:
        token_ids: (B, T) int64.
        config: names the special tokens.

    Returns:
        (B, T) int64 of `TEXT`, `IMAGE` and `VIDEO`.
    """
    opened = (token_ids == config.video_start_token_id).long()
    closed = (token_ids == config.video_end_token_id).long()
    in_video = (opened - closed).cumsum(-1) > 0
    is_vision = token_ids == config.image_token_id
    return is_vision.long() * torch.where(in_video, VIDEO, IMAGE)


def mrope_positions(
    types: Tensor,
    image_grid_thw: Tensor | None,
    video_grid_thw: Tensor | None,
    merge: int,
    padding: Tensor | None,
    start: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the positions of T new tokens on the three planes.

    Text counts on, the same on every plane. A segment of h x w merged patches that begins at p has
    time p, rows p .. p + h - 1, columns p .. p + w - 1; the next token is at p + max(h, w).

    Args:
        types: (B, T) as `token_types_of` returns; its vision tokens count as text where the grids
            are None.
        image_grid_thw: (n, 3) int64 in patches, over the whole batch in order.
        video_grid_thw: as ``image_grid_thw``; each temporal patch is one segment.
        merge: ``spatial_merge_size``.
        padding: (B, T) bool, True for real tokens; None for no padding.
        start: (B,) int64, position of each row's first real token.

    Returns:
        position_ids: (3, B, T) int64; 0 for padding.
        next_position: (B,) int64.

    Raises:
        ValueError: vision tokens and grids don't match.
    """
    grids = {IMAGE: _segments(image_grid_thw, merge), VIDEO: _segments(video_grid_thw, merge)}
    position_ids = torch.zeros(3, *types.shape, dtype=torch.int64)
    next_position = []
    on_cpu = types.cpu()
    real_tokens = torch.ones_like(on_cpu, dtype=torch.bool) if padding is None else padding.cpu()
    for row, first in enumerate(start.tolist()):
        real = real_tokens[row]
        planes, following = _row_positions(on_cpu[row, real], grids, first)
        position_ids[:, row, real] = planes
        next_position.append(following)
    for kind, left in grids.items():
        if left is not None and next(left, None) is not None:
            name = "image_grid_thw" if kind == IMAGE else "video_grid_thw"
            raise ValueError(
                f"{name} describes more than the prompt has tokens for; with inputs_embeds that "
                "hold the media already, say where they are with mm_token_type_ids"
            )
    device = types.device
    return position_ids.to(device), torch.tensor(next_position, device=device)


def _segments(grid_thw: Tensor | None, merge: int) -> Iterator[tuple[int, int]] | None:
    """Yield the merged rows and columns of each image or temporal patch."""
    if grid_thw is None:
        return None
    return ((h // merge, w // merge) for t, h, w in grid_thw.tolist() for _ in range(t))


def _row_positions(
    types: Tensor, grids: dict[int, Iterator[tuple[int, int]] | None], position: int
) -> tuple[Tensor, int]:
    """Positions (3, n) of one row's n real tokens, the first at ``position``; and the next one."""
    pieces = [torch.empty(3, 0, dtype=torch.int64)]
    kinds, counts = torch.unique_consecutive(types, return_counts=True)
    for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
        segments = grids.get(kind)
        if segments is None:
            pieces.append(torch.arange(position, position + count).expand(3, -1))
            position += count
            continue
        while count > 0:
            height, width = next(segments, (0, 0))
            if not 0 < height * width <= count:
                raise ValueError(
                    f"{count} vision tokens in a row don't fit the next grid, {height} x {width} "
                    "merged patches; build the prompt with Glm4vProcessor"
                )
            at = torch.arange(height * width)
            planes = torch.stack((torch.zeros_like(at), at // width, at % width))
            pieces.append(planes + position)
            position += max(height, width)
            count -= height * width
    return torch.cat(pieces, dim=1), position
