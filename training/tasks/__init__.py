"""Questions about a screen, and their answers in GLM-4.5V's form."""

from __future__ import annotations

from training.tasks.mix import held_out_turns, turns
from training.tasks.turn import NOT_THERE, TASKS, Turn

__all__ = ["NOT_THERE", "TASKS", "Turn", "held_out_turns", "turns"]
