"""The answers' own loss: the next token, with neighbours of a coordinate half right."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.objectives.batch import Batch
from training.objectives.measures import Measures, mean_of
from training.packing import IGNORED
from training.shared_prefix import SharedOutput
from training.tasks import TASKS

NUMBERS = 1000  # coordinates are token ids 0 .. 999
# Of coordinates that count as right, in thousandths: at first, at first of a model that has learnt
# already, and at last.
FIRST_SIGMA, CONTINUED_SIGMA, LAST_SIGMA = 5.0, 2.5, 1.5
# What an answer begins with decides what it says: whether something is there, say. Of some dozen
# tokens, those few count for more.
FIRST_TOKENS, FIRST_WEIGHT = 2, 3.0
NEAR = 15  # thousandths that a coordinate may be off to count as found


def sigma_at(progress: float, first: float = FIRST_SIGMA) -> float:
    """Width of the coordinates' targets after a part 0 .. 1 of a training that began at another."""
    return first + (LAST_SIGMA - first) * progress


def soft_targets(coordinates: Tensor, sigma: float) -> Tensor:
    """Bell curves around coordinates.

    Args:
        coordinates: (n,) int64, 0 .. 999.
        sigma: standard deviation in thousandths.

    Returns:
        (n, 1000) float32, rows summing to 1.
    """
    numbers = torch.arange(NUMBERS, device=coordinates.device)
    distance = (numbers - coordinates[:, None]).float()
    return (-distance.square() / (2 * sigma**2)).softmax(-1)


class AnswerLoss(nn.Module):
    """Mean loss of the labelled tokens, the first ones of each answer counting for more."""

    def forward(self, output: SharedOutput, batch: Batch, sigma: float) -> tuple[Tensor, Measures]:
        """Return the loss and, by task, what share was right.

        Args:
            output: of the model.
            batch: B screens, T turns.
            sigma: as `sigma_at` gives it.

        Returns:
            loss: () float32.
            measures: losses of text and coordinates, the median error of coordinates, and for each
                task the share of coordinates that are near and of other tokens that are right.
        """
        layout = output.layout
        labels = layout.real(batch.labels)
        at = (labels != IGNORED).nonzero()[:, 0]
        labels = labels[at]
        is_first = layout.real((batch.labels != IGNORED).cumsum(-1) <= FIRST_TOKENS)[at]
        is_coordinate = layout.real(batch.coordinate)[at]
        task = layout.real(batch.task[..., None].expand_as(batch.labels))[at]
        logits = F.linear(output.turn_states.index_select(0, at), output.lm_head).float()
        log_probs = logits.log_softmax(-1)
        plain = -log_probs.gather(1, labels[:, None])[:, 0]
        numbers = is_coordinate.nonzero()[:, 0]
        soft = soft_targets(labels[numbers], sigma)
        losses = plain.index_copy(0, numbers, -(log_probs[numbers, :NUMBERS] * soft).sum(-1))
        weights = 1 + (FIRST_WEIGHT - 1) * is_first
        loss = (losses * weights).sum() / weights.sum()
        return loss, self._measure(logits, plain, labels, is_coordinate, task)

    @torch.no_grad()
    def _measure(
        self, logits: Tensor, plain: Tensor, labels: Tensor, is_coordinate: Tensor, task: Tensor
    ) -> Measures:
        """All (n,), but logits (n, V)."""
        best = logits.argmax(-1)
        error = (best.clamp(max=NUMBERS - 1) - labels).abs().float()
        right = best == labels
        measures = {
            "text_loss": mean_of(plain, ~is_coordinate),
            "coordinate_loss": mean_of(plain, is_coordinate),
            "coordinate_error": error[is_coordinate].median(),
        }
        for number, name in enumerate(TASKS):
            near = mean_of((error <= NEAR).float(), is_coordinate & (task == number))
            measures[f"near/{name}"] = near
            measures[f"right/{name}"] = mean_of(right.float(), ~is_coordinate & (task == number))
        return measures
