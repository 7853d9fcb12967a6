"""Figures of steps: read when they are ready, averaged between two lines of a log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


class Later:
    """Figures of a step that a GPU may still be computing; asking for them too early waits.

    Args:
        figures: () each, on any device.
    """

    def __init__(self, figures: Mapping[str, Tensor]) -> None:
        self._names = tuple(figures)
        together = torch.stack([value.detach().float() for value in _together(figures)])
        self._values = together.to("cpu", non_blocking=True)
        self._ready: torch.cuda.Event | None = None
        if together.is_cuda:
            self._ready = torch.cuda.Event()
            self._ready.record()

    def read(self) -> dict[str, float]:
        """Return the figures; NaN where there was nothing to measure."""
        if self._ready is not None:
            self._ready.synchronize()
        return dict(zip(self._names, self._values.tolist(), strict=True))


def _together(figures: Mapping[str, Tensor]) -> list[Tensor]:
    """Values on one device: that of the first."""
    device = next(iter(figures.values())).device
    return [value.to(device, non_blocking=True) for value in figures.values()]


@dataclass(slots=True)
class Averages:
    """Means of figures since they were last taken; values that are not finite don't count.

    Attributes:
        sums, counts: by name.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float]) -> None:
        """Count the figures of a step."""
        for name, value in figures.items():
            if math.isfinite(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means and begin anew."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return plain values from which `load_state_dict` goes on."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such values."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
