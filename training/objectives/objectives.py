"""All losses of a step, and the heads that exist for them alone and are not exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.config import Glm4vMoeConfig
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from training.objectives.answers import FIRST_SIGMA, AnswerLoss, sigma_at
from training.objectives.attention import attention_loss, probe_of
from training.objectives.batch import Batch, PatchLabels
from training.objectives.characters import PatchCharacters, TokenCharacters
from training.objectives.coordinates import ImageCoordinates
from training.objectives.elements import Boxes, Icons, Letters, Roles
from training.objectives.measures import Measures
from training.objectives.pointer import Pointer
from training.objectives.weights import GROUNDING, ObjectiveWeights, reading_weights
from training.shared_prefix import SharedOutput, forward_shared
from training.targets import (
    CHARACTER_CLASSES,
    COLUMNS,
    ICON_CLASSES,
    LETTER_PAIRS,
    ROLE_CLASSES,
)


def forward_batch(model: Glm4vMoeForConditionalGeneration, batch: Batch) -> SharedOutput:
    """Run the model as `Objectives` needs it."""
    return forward_shared(
        model,
        batch.pixel_values,
        batch.image_grid_thw,
        batch.prefix_ids,
        batch.turn_ids,
        batch.lengths,
        probe=probe_of(batch, model.config.text_config.num_hidden_layers),
    )


class Objectives(nn.Module):
    """Losses of both phases.

    Their heads begin small and random, drawn from the global generator.

    Args:
        config: sizes of the model.
        weights: of the losses in the grounding phase.
        first_sigma: width of the coordinates' targets at its beginning, in thousandths.
    """

    def __init__(
        self,
        config: Glm4vMoeConfig,
        weights: ObjectiveWeights = GROUNDING,
        first_sigma: float = FIRST_SIGMA,
    ) -> None:
        super().__init__()
        hidden, vision = config.text_config.hidden_size, config.vision_config.hidden_size
        merge = config.vision_config.spatial_merge_size
        self.weights = weights
        self.first_sigma = first_sigma
        self.answers = AnswerLoss()
        self.pointer = Pointer(hidden)
        self.image_coordinates = ImageCoordinates(hidden)
        self.patch_characters = PatchCharacters(vision, COLUMNS, CHARACTER_CLASSES)
        self.token_characters = TokenCharacters(hidden, COLUMNS * merge**2, CHARACTER_CLASSES)
        self.roles = Roles(hidden, ROLE_CLASSES)
        self.icons = Icons(hidden, ICON_CLASSES)
        self.boxes = Boxes(hidden)
        self.letters = Letters(hidden, LETTER_PAIRS)

    def forward(
        self, output: SharedOutput, batch: Batch, progress: float
    ) -> tuple[Tensor, Measures]:
        """Losses of a step of the grounding phase.

        Args:
            output: of `forward_batch` on the same batch.
            batch: B screens, T turns.
            progress: 0 .. 1, the part of the phase that is done.

        Returns:
            loss: () float32, weighted sum.
            measures: each loss by its name in `ObjectiveWeights` and what the objectives measure.
        """
        sigma = sigma_at(progress, self.first_sigma)
        losses = {
            "answers": self.answers(output, batch, sigma),
            "pointer": self.pointer(output, batch),
            "attention": attention_loss(output, batch),
        }
        if (targets := batch.targets) is not None:
            losses["image_coordinates"] = self.image_coordinates(output, targets, sigma)
            losses |= self._of_patches(output.patch_states, output.image_embeds, targets)
        return _add_up(losses, self.weights)

    def reading(
        self, patch_states: Tensor, image_embeds: Tensor, targets: PatchLabels, difficulty: float
    ) -> tuple[Tensor, Measures]:
        """Losses of a step of the reading phase, which trains the vision tower alone.

        Args:
            patch_states: (B, N, vision size), as `vision_states` returns them.
            image_embeds: (B, M, C).
            targets: of the B images.
            difficulty: of the pages, 0 .. 1.

        Returns:
            As `forward`.
        """
        losses = self._of_patches(patch_states, image_embeds, targets)
        return _add_up(losses, reading_weights(difficulty))

    def _of_patches(
        self, patch_states: Tensor, image_embeds: Tensor, targets: PatchLabels
    ) -> dict[str, tuple[Tensor, Measures]]:
        return {
            "patch_characters": self.patch_characters(patch_states, targets.characters),
            "token_characters": self.token_characters(image_embeds, targets.characters),
            "roles": self.roles.loss(image_embeds, targets),
            "icons": self.icons.loss(image_embeds, targets),
            "boxes": self.boxes.loss(image_embeds, targets),
            "letters": self.letters.loss(image_embeds, targets),
        }


def _add_up(
    losses: dict[str, tuple[Tensor, Measures]], weights: ObjectiveWeights
) -> tuple[Tensor, Measures]:
    """Weighted sum, and all measures with the losses before them."""
    total = torch.stack([loss * getattr(weights, name) for name, (loss, _) in losses.items()]).sum()
    measures = {f"loss/{name}": loss.detach() for name, (loss, _) in losses.items()}
    for _, own in losses.values():
        measures |= own
    return total, measures
