"""What each image token knows about the element that it belongs to."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.objectives.batch import PatchLabels
from training.objectives.measures import Measures, mean_of

NO_ICON_WEIGHT = 0.1
BOX_BETA = 0.1
THOUSANDTHS_PER_UNIT = 125  # so that places on the screen spread like places around a token
LETTERS_SCALE = 1 / 12  # a name has about so many pairs of letters


class Roles(nn.Linear):
    """Says which role, none included. ``Roles(hidden_size, roles)``."""

    def loss(self, image_embeds: Tensor, labels: PatchLabels) -> tuple[Tensor, Measures]:
        """(B, M, C) -> () float32 and the share of elements whose role is right."""
        logits = self(image_embeds).float()
        right = (logits.detach().argmax(-1) == labels.role).float()
        loss = F.cross_entropy(logits.flatten(0, 1), labels.role.flatten())
        return loss, {"roles": mean_of(right, labels.role > 0)}


class Icons(nn.Linear):
    """Says which icon, none included. ``Icons(hidden_size, icons)``."""

    def loss(self, image_embeds: Tensor, labels: PatchLabels) -> tuple[Tensor, Measures]:
        """(B, M, C) -> () float32, no icon counting little, and the share of icons right."""
        logits = self(image_embeds).float()
        losses = F.cross_entropy(logits.flatten(0, 1), labels.icon.flatten(), reduction="none")
        weights = torch.where(labels.icon.flatten() > 0, 1.0, NO_ICON_WEIGHT)
        right = (logits.detach().argmax(-1) == labels.icon).float()
        loss = (losses * weights).sum() / weights.sum()
        return loss, {"icons": mean_of(right, labels.icon > 0)}


class Boxes(nn.Linear):
    """Says where its box is, from the image token and on the screen. ``Boxes(hidden_size)``."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size, 8)

    def loss(self, image_embeds: Tensor, labels: PatchLabels) -> tuple[Tensor, Measures]:
        """(B, M, C) -> () float32 over elements, and the mean error in thousandths."""
        boxes = self(image_embeds).float()
        wanted = torch.cat((labels.offset, labels.box / THOUSANDTHS_PER_UNIT), dim=-1)
        has_element = labels.role > 0
        losses = F.smooth_l1_loss(boxes, wanted, reduction="none", beta=BOX_BETA).mean(-1)
        error = (boxes.detach() - wanted)[..., 4:].abs().mean(-1) * THOUSANDTHS_PER_UNIT
        loss = (losses * has_element).sum() / has_element.sum().clamp(min=1)
        return loss, {"box_error": mean_of(error, has_element)}


class Letters(nn.Linear):
    """Says which pairs of letters its name has. ``Letters(hidden_size, letters)``."""

    def loss(self, image_embeds: Tensor, labels: PatchLabels) -> tuple[Tensor, Measures]:
        """(B, M, C) -> () float32 over elements."""
        logits = self(image_embeds).float()
        losses = F.binary_cross_entropy_with_logits(
            logits, labels.letters.float(), reduction="none"
        ).sum(-1)
        has_element = labels.role > 0
        loss = (losses * has_element).sum() / has_element.sum().clamp(min=1) * LETTERS_SCALE
        return loss, {}
