"""Muon for matrices, AdamW for everything else, in float32 behind parameters of any dtype."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoint.dtypes import fast_dtype

WEIGHT_DECAY = 0.02  # of Muon's matrices; the others have none
MUON_MOMENTUM = 0.95
ADAM_MOMENTUM, ADAM_SQUARES = 0.9, 0.98
ADAM_EPSILON = 1e-8
MAX_GRADIENT_NORM = 1.0  # of AdamW's parameters; the length of Muon's steps doesn't depend on it
# An orthogonal (m, n) matrix has a root mean square of 1 / sqrt(max(m, n)); steps with this one
# are as large as AdamW's usual ones (Moonlight, arXiv 2502.16982, section 2.2).
MUON_RMS = 0.2
PATCH_EMBED_SCALE = 0.25  # begins whitened, and everything is built upon it
NEWTON_SCHULZ_STEPS = 4
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Muon (K. Jordan, 2024)

VISION = "model.visual."
NOT_MATRICES = ("embed_tokens", "position_embedding", "mlp.gate.weight")


def orthogonalize(matrices: Tensor, steps: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """Move all singular values of each matrix near 1, by a Newton-Schulz iteration.

    Args:
        matrices: (n, rows, columns), any float.
        steps: of the iteration.

    Returns:
        The same shape, in the device's `fast_dtype`; singular values about 0.7 .. 1.2 where they
        were not tiny.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices.to(fast_dtype(matrices.device))
    is_tall = x.shape[-2] > x.shape[-1]
    if is_tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon trains a parameter: matrices inside the model, and stacks of experts."""
    inside = name.startswith("model.") and not any(part in name for part in NOT_MATRICES)
    return inside and parameter.ndim >= 2


@dataclass(slots=True)
class _Entry:
    """A parameter and what the optimizer remembers about it, all float32 of its shape.

    Attributes:
        scale: of its learning rate.
        master: its exact value; the parameter itself if that is float32.
        squares: running mean of squared gradients, AdamW's only.
    """

    name: str
    parameter: nn.Parameter
    scale: float
    master: Tensor
    momentum: Tensor
    squares: Tensor | None = field(default=None)


class Optimizer:
    """Takes steps; the same gradients give the same weights, bit for bit.

    Parameters without a gradient stay as they are.

    Args:
        named_parameters: names as in the model (``model. ...``, ``lm_head. ...``), and any others
            for what is not part of it.
        lr: full learning rate.
        vision_scale: of the learning rate of the vision tower.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        lr: float,
        vision_scale: float = 1.0,
    ) -> None:
        self.lr = lr
        self.steps = 0
        self._matrices: dict[tuple[int, int], list[_Entry]] = {}
        self._others: list[_Entry] = []
        for name, parameter in named_parameters:
            scale = vision_scale if name.startswith(VISION) else 1.0
            master = parameter.detach()
            if master.dtype != torch.float32:
                master = master.float()
            entry = _Entry(name, parameter, scale, master, torch.zeros_like(master))
            if is_matrix(name, parameter):
                if "patch_embed" in name:
                    entry.scale *= PATCH_EMBED_SCALE
                self._matrices.setdefault(_matrix_shape(parameter), []).append(entry)
            else:
                entry.squares = torch.zeros_like(master)
                self._others.append(entry)

    @torch.no_grad()
    def step(self, scale: float = 1.0) -> float:
        """Change the parameters by their gradients, which are dropped.

        Args:
            scale: of the learning rate.

        Returns:
            The norm of the gradient of what AdamW trains. If it is not finite, nothing changes.
        """
        lr = self.lr * scale
        others = [entry for entry in self._others if entry.parameter.grad is not None]
        gradients = [_gradient(entry).float() for entry in others]
        norm = _norm(gradients)
        if math.isfinite(norm):
            self.steps += 1
            clip = min(1.0, MAX_GRADIENT_NORM / (norm + 1e-6))
            for entry, gradient in zip(others, gradients, strict=True):
                self._adam(entry, gradient * clip, lr)
            for shape, entries in self._matrices.items():
                self._muon(shape, [e for e in entries if e.parameter.grad is not None], lr)
        for entry in self._entries():
            entry.parameter.grad = None
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Return everything that further steps depend on, exact weights included."""
        tensors = {
            entry.name: {
                "master": entry.master,
                "momentum": entry.momentum,
                **({} if entry.squares is None else {"squares": entry.squares}),
            }
            for entry in self._entries()
        }
        return {"steps": self.steps, "parameters": tensors}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state; parameters get its weights.

        Raises:
            ValueError: it belongs to other parameters.
        """
        entries = {entry.name: entry for entry in self._entries()}
        stored = state["parameters"]
        if entries.keys() != stored.keys():
            differing = sorted(entries.keys() ^ stored.keys())
            raise ValueError(
                f"the optimizer's state is of another model: {', '.join(differing[:5])} "
                f"({len(differing)} in all) are in only one of them"
            )
        for name, entry in entries.items():
            for key, value in stored[name].items():
                own = getattr(entry, key)
                if own is None or own.shape != value.shape:
                    raise ValueError(f"the state of {name} is of another parameter: {value.shape}")
                own.copy_(value)
            entry.parameter.copy_(entry.master)
        self.steps = int(state["steps"])

    def _entries(self) -> list[_Entry]:
        return [entry for group in self._matrices.values() for entry in group] + self._others

    def _adam(self, entry: _Entry, gradient: Tensor, lr: float) -> None:
        assert entry.squares is not None
        entry.momentum.lerp_(gradient, 1 - ADAM_MOMENTUM)
        entry.squares.mul_(ADAM_SQUARES).addcmul_(gradient, gradient, value=1 - ADAM_SQUARES)
        # both means begin at zero
        squares = entry.squares / (1 - ADAM_SQUARES**self.steps)
        step = -lr * entry.scale / (1 - ADAM_MOMENTUM**self.steps)
        entry.master.addcdiv_(entry.momentum, squares.sqrt_().add_(ADAM_EPSILON), value=step)
        _publish(entry)

    def _muon(self, shape: tuple[int, int], entries: list[_Entry], lr: float) -> None:
        """Step matrices of one shape; what is (E, rows, columns) is E matrices."""
        if not entries:
            return
        directions = []
        for entry in entries:
            gradient = _gradient(entry)
            entry.momentum.lerp_(gradient.float(), 1 - MUON_MOMENTUM)
            ahead = gradient.lerp(entry.momentum.to(gradient.dtype), MUON_MOMENTUM)
            directions.append(ahead.reshape(-1, *shape))
        updates = orthogonalize(torch.cat(directions)).split([len(x) for x in directions])
        length = MUON_RMS * math.sqrt(max(shape))
        for entry, update in zip(entries, updates, strict=True):
            step = -lr * entry.scale * length
            entry.master.mul_(1 - lr * WEIGHT_DECAY)
            entry.master.add_(update.reshape(entry.master.shape), alpha=step)
            _publish(entry)


def _matrix_shape(parameter: Tensor) -> tuple[int, int]:
    """Rows and columns: the last two dimensions of a stack of experts; of a kernel all but one."""
    if parameter.ndim == 3:
        return parameter.shape[1], parameter.shape[2]
    return parameter.shape[0], parameter[0].numel()


def _gradient(entry: _Entry) -> Tensor:
    assert entry.parameter.grad is not None
    return entry.parameter.grad


def _norm(gradients: list[Tensor]) -> float:
    """Norm of all of them as one vector."""
    if not gradients:
        return 0.0
    return float(torch.stack([gradient.norm() for gradient in gradients]).norm())


def _publish(entry: _Entry) -> None:
    """Round the exact value into the parameter, unless it is that itself."""
    if entry.parameter.dtype != torch.float32:
        entry.parameter.copy_(entry.master)
