"""Reading: which character covers each column of pixels of each patch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.objectives.measures import Measures, mean_of

BLANK_WEIGHT = 0.05  # most columns are blank
# Of the blank columns one in so many counts; no factor of a patch's columns, so that all of them
# have their turn.
BLANKS_KEPT = 5


class PatchCharacters(nn.Module):
    """Reads characters from the vision tower's patches.

    Args:
        vision_size: of a patch's state.
        columns: of a patch.
        characters: their number, the blank (0) included.
    """

    def __init__(self, vision_size: int, columns: int, characters: int) -> None:
        super().__init__()
        self.columns = columns
        self.head = nn.Linear(vision_size, columns * characters)

    def forward(self, patch_states: Tensor, characters: Tensor) -> tuple[Tensor, Measures]:
        """Compare with what is drawn.

        Args:
            patch_states: (B, N, vision size).
            characters: (B, N, columns) int64.

        Returns:
            loss: () float32, weighted mean of the cross entropy; blanks count little.
            measures: the share of characters that are read.
        """
        logits = self.head(patch_states).unflatten(-1, (self.columns, -1)).float().flatten(0, 2)
        wanted = characters.flatten()
        weights = torch.where(wanted > 0, 1.0, BLANK_WEIGHT)
        losses = F.cross_entropy(logits, wanted, reduction="none")
        right = (logits.detach().argmax(-1) == wanted).float()
        return (losses * weights).sum() / weights.sum(), {"characters": mean_of(right, wanted > 0)}


class TokenCharacters(nn.Module):
    """Reads the characters of a merge block's patches from the image token that the decoder gets.

    Args:
        hidden_size: of an image token.
        columns: of its four patches.
        characters: their number, the blank (0) included.
    """

    def __init__(self, hidden_size: int, columns: int, characters: int) -> None:
        super().__init__()
        self.columns = columns
        self.head = nn.Linear(hidden_size, columns * characters)

    def forward(self, image_embeds: Tensor, characters: Tensor) -> tuple[Tensor, Measures]:
        """As `PatchCharacters.forward`; image_embeds is (B, M, C), most blanks don't count."""
        logits = self.head(image_embeds).unflatten(-1, (self.columns, -1)).flatten(0, 2)
        wanted = characters.flatten()
        index = torch.arange(len(wanted), device=wanted.device)
        at = ((wanted > 0) | (index % BLANKS_KEPT == 0)).nonzero()[:, 0]
        logits, wanted = logits.index_select(0, at).float(), wanted[at]
        right = (logits.detach().argmax(-1) == wanted).float()
        return F.cross_entropy(logits, wanted), {"token_characters": mean_of(right, wanted > 0)}
