"""Questions about a screen, and their answers in GLM-4.5V's form.

``wording`` and ``names`` hold the words; ``scene`` knows what they can mean on a screen. From
elements to words: ``phrases`` (by name), ``references`` (by ``places``, order, colour, state). From
words to turns: ``locating``, ``reading``, ``listing``, ``acting``, ``absence`` and ``chat``, with
``thoughts`` before some answers; ``mix`` asks them in the right shares.
"""

from __future__ import annotations

from training.tasks.mix import held_out_turns, turns
from training.tasks.turn import NOT_THERE, TASKS, Turn

__all__ = ["NOT_THERE", "TASKS", "Turn", "held_out_turns", "turns"]
