"""Pictures that stand in for photographs."""

from __future__ import annotations

from training.screens.blocks import Block, Size
from training.screens.sketch import Sketch
from training.screens.theme import COLORS, mix


class Picture(Block):
    """A photograph's stand-in: a gradient with a few shapes."""

    grows = True

    def __init__(self, sketch: Sketch, height: float, *, radius: float | None = None) -> None:
        super().__init__(sketch)
        rng = sketch.rng
        self._height = height
        names = sorted(COLORS)
        self._start = rng.choice(COLORS[rng.choice(names)])
        self._end = mix(rng.choice(COLORS[rng.choice(names)]), (255, 255, 255), rng.random() * 0.6)
        self._sun = mix(self._end, (255, 255, 255), 0.6)
        self._hill = mix(self._start, (0, 0, 0), 0.35)
        self._peaks = sorted(rng.uniform(0.05, 0.95) for _ in range(rng.randint(0, 3)))
        self._heights = [rng.uniform(0.3, 0.8) for _ in self._peaks]
        self._circle = (rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.22))
        self._radius = sketch.theme.radius if radius is None else radius

    def measure(self, width: float) -> Size:
        return width, self._height

    def draw(self, x: float, y: float, width: float, height: float) -> None:
        canvas, bottom = self.sketch.canvas, y + height
        canvas.gradient((x, y, x + width, bottom), self._start, self._end, radius=self._radius)
        across, down, size = self._circle
        radius = size * min(width, height)
        canvas.circle(
            x + radius + across * (width - 2 * radius), y + down * height, radius, self._sun
        )
        for peak, share in zip(self._peaks, self._heights, strict=True):
            top = bottom - share * height
            half = min(width * 0.3, peak * width, (1 - peak) * width)
            middle = x + peak * width
            canvas.polygon(
                [(middle - half, bottom), (middle, top), (middle + half, bottom)], self._hill
            )
