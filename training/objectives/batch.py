"""One step's screens, turns and targets as tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PatchLabels:
    """`training.targets.PatchTargets` of B images of the same size.

    Attributes:
        characters: (B, N, columns) int64, the character in each column of a patch, 0 for none;
            patches in the processor's order, N = 4 M.
        role: (B, M) int64, role of the element that the image token shows, 0 for none.
        icon: (B, M) int64, concept of its icon, 0 for none.
        box: (B, M, 4) float32, its box in thousandths of the screen.
        offset: (B, M, 4) float32, asinh of its box from the middle of the image token, in image
            tokens.
        letters: (B, M, pairs) bool, pairs of letters in its name.
    """

    characters: Tensor
    role: Tensor
    icon: Tensor
    box: Tensor
    offset: Tensor
    letters: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """`training.packing.Packed` of B screens of one size, T turns about each, with their pictures.

    Attributes:
        pixel_values: (B * N, patch_dim), as the processor makes them.
        image_grid_thw: (B, 3) int64.
        prefix_ids: (B, P) int64, the prompt up to the end of the image.
        turn_ids: (B, T, L) int64, the rest of the prompt and the answer, padded on the right.
        lengths: (B, T) int64, tokens of each turn; 0 for no turn.
        labels: (B, T, L) int64, the token that should come after each token; -100 where nothing is
            to be predicted.
        coordinate: (B, T, L) bool, which labels are coordinates.
        pointer_at: (B, T) int64, the token whose state must find the turn's element; -1 for none.
        pointer_cells: (B, T, M) bool, the image tokens that belong to that element.
        task: (B, T) int64, what kind of turn it is.
        targets: of the images; None where not everything on them is known.
    """

    pixel_values: Tensor
    image_grid_thw: Tensor
    prefix_ids: Tensor
    turn_ids: Tensor
    lengths: Tensor
    labels: Tensor
    coordinate: Tensor
    pointer_at: Tensor
    pointer_cells: Tensor
    task: Tensor
    targets: PatchLabels | None
