"""What each step of a run does: its phase, learning rate, sizes of screens, balancing.

All of it depends on the step and on numbers that are fixed when a run begins, so that a run that
was stopped goes on as if it had not been.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.screens import SIZES

Phase = Literal["reading", "grounding"]
Size = tuple[int, int]

# Screens get larger while a run lasts. From each of these parts of the grounding phase on, as far
# as the largest that was asked for.
GROWTH = (
    (0.0, "tiny"),
    (0.12, "growing"),
    (0.24, "small"),
    (0.45, "middle"),
    (0.7, "large"),
    (0.85, "desktop"),
)
LARGEST = ("tiny", "small", "middle", "large", "desktop")
SHORT_UNTIL = 0.5  # of the grounding phase: until then every second batch asks short questions
EASY = {"tiny": 0.5}  # part of the screens that are drawn with little on them
EASY_LATER = 0.15
# From here on screens are shown at the size at which the processor shows them for an answer.
SCALED = ("middle", "large", "desktop")
# Batches of tiny screens have more of them, so that a step costs about the same.
SCREENS_SCALE = {"tiny": 1.5}


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning rate: a straight way up, a plateau, a straight way down.

    Attributes:
        warm_up: steps until the full rate, at most a tenth of all.
        decay: part of the steps in which it falls.
        floor: what is left of it at the end, as a part of the full rate.
    """

    warm_up: int
    decay: float
    floor: float

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the full rate at ``step``, 0 <= step < steps."""
        rising = (step + 1) / max(1, min(self.warm_up, steps // 10))
        falling = max(self.floor, (1 - (step + 1) / steps) / self.decay)
        return min(1.0, rising, falling)


CURVES: dict[Phase, Curve] = {
    "reading": Curve(warm_up=60, decay=0.4, floor=0.15),
    "grounding": Curve(warm_up=50, decay=0.4, floor=0.03),
}


def mixture(level: str) -> tuple[Size, ...]:
    """Return the (width, height) that screens of a level have; more frequent ones stand twice."""
    if level == "middle":
        return SIZES["small"] + SIZES["middle"]
    large = SIZES["small"] + SIZES["middle"] * 2 + SIZES["large"]
    if level == "large":
        return large
    if level == "desktop":
        return large + SIZES["desktop"] * 2
    return SIZES[level]


def typical_size(level: str) -> Size:
    """Return the size of a level whose area is nearest to the mean area."""
    sizes = mixture(level)
    mean = sum(width * height for width, height in sizes) / len(sizes)
    return min(sizes, key=lambda size: abs(size[0] * size[1] - mean))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of a run.

    Attributes:
        reading_steps: of the first phase, which trains the vision tower alone; 0 without one.
        grounding_steps: of the second phase, which trains everything.
        largest: a name of ``LARGEST``, how large screens get.
        is_growing: begin with tiny screens and short questions, for a model that knows nothing.
    """

    reading_steps: int
    grounding_steps: int
    largest: str
    is_growing: bool

    @property
    def steps(self) -> int:
        """Steps of both phases."""
        return self.reading_steps + self.grounding_steps

    def phase(self, step: int) -> Phase:
        """Return the phase that ``step`` is in."""
        return "reading" if step < self.reading_steps else "grounding"

    def place(self, step: int) -> tuple[int, int]:
        """Return (step in its phase, steps of that phase)."""
        if self.phase(step) == "reading":
            return step, self.reading_steps
        return step - self.reading_steps, self.grounding_steps

    def progress(self, step: int) -> float:
        """Return which part of its phase is done before ``step``, 0 to 1."""
        within, steps = self.place(step)
        return within / steps

    def rate(self, step: int) -> float:
        """Return the factor of the full learning rate."""
        return CURVES[self.phase(step)](*self.place(step))

    def balance_rate(self, step: int) -> float:
        """Return how far experts' biases move; less at the end, where the choice must settle."""
        return 0.002 if self.progress(step) < 0.8 else 0.0005

    def level(self, step: int) -> str:
        """Return the name of the sizes that a step's screens have."""
        if self.phase(step) == "reading":
            return "small" if self.place(step)[0] < 400 else "middle"
        if not self.is_growing:
            return self.largest
        progress = self.progress(step)
        reached = [name for begin, name in GROWTH if progress >= begin][-1]
        if reached == "growing":  # tiny and small ones in turn
            reached = ("tiny", "small")[step % 2]
        return min(reached, self.largest, key=LARGEST.index)

    def is_short(self, step: int) -> bool:
        """Whether a batch asks short questions only, about texts and icons.

        Never two in a row: a model that sees no thoughts for a few hundred steps forgets them.
        """
        return self.is_growing and step % 2 == 1 and self.progress(step) < SHORT_UNTIL

    def easy(self, step: int) -> float:
        """Return which part of the screens has little on it."""
        if self.phase(step) == "reading":
            return min(1.0, max(0.05, 1 - (step - 150) / 300))
        return EASY.get(self.level(step), EASY_LATER)
