"""Finding the element among the image tokens before its first coordinate is written."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.objectives.batch import Batch
from training.objectives.measures import Measures, mean_of
from training.shared_prefix import SharedOutput
from training.tasks import TASKS

POINTER_SIZE = 96
# Cosines are multiplied by exp(2.3 * scale), about 10 at the start, so that they can be sure.
SCALE_GAIN = 2.3


class Pointer(nn.Module):
    """The state of the token before a box points, by a cosine, at the image tokens of the element.

    States are those in the middle of the decoder, where it should know what is asked for.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, POINTER_SIZE)
        self.key = nn.Linear(hidden_size, POINTER_SIZE)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, output: SharedOutput, batch: Batch) -> tuple[Tensor, Measures]:
        """Return the cross entropy, () float32, and how often the best token is the element's."""
        screen, turn = (batch.pointer_at >= 0).nonzero(as_tuple=True)
        if not len(screen):
            return output.turn_states.new_zeros((), dtype=torch.float32), {}
        rows = output.layout.rows_at(screen, turn, batch.pointer_at[screen, turn])
        states = unit_rms(output.early_turn_states.index_select(0, rows))
        queries = F.normalize(self.query(states).float(), dim=-1)  # (n, d)
        keys = F.normalize(self.key(unit_rms(output.early_image_states)).float(), dim=-1)
        # against every screen's keys, then one's own: cheaper than a copy of the keys for each
        scores = (queries @ keys.flatten(0, 1).mT).unflatten(1, keys.shape[:2])
        own = scores[torch.arange(len(screen), device=screen.device), screen]  # (n, M)
        scores = own * (self.scale.float() * SCALE_GAIN).exp()
        cells = batch.pointer_cells[screen, turn]  # (n, M)
        wanted = cells.float() / cells.sum(-1, keepdim=True).clamp(min=1)
        loss = -(wanted * scores.log_softmax(-1)).sum(-1).mean()
        return loss, self._measure(scores, cells, batch.task[screen, turn])

    @torch.no_grad()
    def _measure(self, scores: Tensor, cells: Tensor, task: Tensor) -> Measures:
        hit = cells.gather(1, scores.argmax(-1, keepdim=True))[:, 0].float()
        measures = {"pointer_hit": hit.mean()}
        for number, name in enumerate(TASKS):
            measures[f"pointer_hit/{name}"] = mean_of(hit, task == number)
        return measures


def unit_rms(x: Tensor) -> Tensor:
    """(..., C) scaled to unit root mean square, as the model's norms do before their weight."""
    return F.rms_norm(x.float(), (x.shape[-1],), eps=1e-5).to(x.dtype)
