"""Looking at the element while its coordinates are written."""

from __future__ import annotations

import torch
from torch import Tensor

from training.objectives.batch import Batch
from training.objectives.measures import Measures
from training.shared_prefix import Probe, SharedOutput

WATCHED_LAYERS = 2  # the last ones
WATCHED_HEAD = 0
COORDINATES = 6  # of the middle in a thought, if there is one, and the box
# A head that looks elsewhere loses at most -log(this): it is drawn back, not torn.
FLOOR = 1e-4


def watched_tokens(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return screen, turn and token, (n,) int64 each, at which an element is to be looked at.

    These are the token that points at it and those that predict the rest of its middle and box.
    """
    token = torch.arange(batch.labels.shape[2], device=batch.labels.device)
    at = batch.pointer_at[..., None]  # (B, T, 1)
    of_box = batch.coordinate & (token >= at)
    of_box = of_box & (of_box.cumsum(-1) <= COORDINATES)
    screen, turn, token = ((of_box | (token == at)) & (at >= 0)).nonzero().unbind(-1)
    return screen, turn, token


def probe_of(batch: Batch, layers: int) -> Probe:
    """What `forward_shared` must watch in a decoder of so many layers."""
    watched = tuple(range(layers - min(layers, WATCHED_LAYERS), layers))
    return Probe(watched, *watched_tokens(batch), head=WATCHED_HEAD)


def attention_loss(output: SharedOutput, batch: Batch) -> tuple[Tensor, Measures]:
    """How little one head of the last layers looks at the element.

    Args:
        output: of a forward pass with `probe_of` the batch.
        batch: the same.

    Returns:
        loss: () float32, mean of -log of the weight on the element's image tokens.
        measures: the mean weight.
    """
    probe = output.probe
    assert probe is not None and output.attention is not None, "forward_shared had no probe"
    if not len(probe.screen):
        return output.turn_states.new_zeros((), dtype=torch.float32), {}
    cells = batch.pointer_cells[probe.screen, probe.turn]  # (n, M)
    weight = (output.attention.float() * cells).sum(-1)  # (layers, n)
    return -(weight + FLOOR).log().mean(), {"attention_on_target": weight.detach().mean()}
