"""How hard the pages of text are: harder as soon as the vision tower reads what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Of the characters on pages of the present difficulty, as a running mean.
ENOUGH, EASILY = 0.62, 0.75
STEP, LARGE_STEP = 0.006, 0.015  # by which pages get harder after a batch
NEAR = 0.08  # batches asked for at another difficulty say nothing about the present one
MEMORY = 0.75  # of the running mean
# At the very end, with a small learning rate, nothing new should come.
LAST = 0.97


@dataclass(slots=True)
class Curriculum:
    """The difficulty of the next pages.

    Attributes:
        difficulty: 0 to 1.
        accuracy: running mean of the part of characters that was read.
    """

    difficulty: float = 0.0
    accuracy: float = 0.0

    def learn(self, difficulty: float, accuracy: float, progress: float) -> None:
        """Take note of how a batch of pages was read.

        Args:
            difficulty: at which it was asked for.
            accuracy: part of its characters that was read.
            progress: of the phase, 0 to 1.
        """
        if abs(difficulty - self.difficulty) >= NEAR:
            return
        self.accuracy = MEMORY * self.accuracy + (1 - MEMORY) * accuracy
        if self.accuracy > ENOUGH and progress < LAST:
            step = LARGE_STEP if self.accuracy >= EASILY else STEP
            self.difficulty = min(1.0, self.difficulty + step)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values from which `load_state_dict` goes on."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such values."""
        self.difficulty, self.accuracy = state["difficulty"], state["accuracy"]
