"""Where label plates go: beside what they name, inside the image, not on each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Rect = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels, end exclusive

# How many plate heights away from its box a plate may be pushed.
_MAX_STEPS = 6


def overlap(a: Rect, b: Rect) -> float:
    """Area in pixels that two rectangles share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


class PlateLayout:
    """Places plates one after another on an image; ``obstacles`` are covered only if need be."""

    def __init__(self, width: int, height: int, obstacles: Sequence[Rect]) -> None:
        self.width = width
        self.height = height
        self.obstacles = obstacles
        self.placed: list[Rect] = []

    def place(self, target: Rect, width: float, height: float) -> Rect | None:
        """Find a free place for a plate that names ``target``; ``None`` if there is none nearby."""
        if width > self.width or height > self.height:
            return None
        # Only what a candidate can reach matters; it halves the time of 200 boxes on a 4K screen.
        reach_x, reach_y = (_MAX_STEPS + 1) * width, (_MAX_STEPS + 1) * height
        reach = (target[0] - reach_x, target[1] - reach_y, target[2] + reach_x, target[3] + reach_y)
        placed = [other for other in self.placed if overlap(reach, other)]
        obstacles = [o for o in self.obstacles if o != target and overlap(reach, o)]
        best: tuple[float, Rect] | None = None
        for plate in self.candidates(target, width, height):
            if any(overlap(plate, other) for other in placed):
                continue
            covered = sum(overlap(plate, other) for other in obstacles)
            if best is None or covered < best[0]:
                best = (covered, plate)
            if not covered:
                break
        if best is None:
            return None
        self.placed.append(best[1])
        return best[1]

    def candidates(self, target: Rect, width: float, height: float) -> Iterator[Rect]:
        """Places in order of preference: outside the corners, beside, inside, then further away."""
        x0, y0, x1, y1 = target
        spots = [
            (x0, y0 - height),
            (x0, y1),
            (x1 - width, y0 - height),
            (x1 - width, y1),
            (x1, y0),
            (x0 - width, y0),
            (x0, y0),
            (x1 - width, y1 - height),
        ]
        for step in range(1, _MAX_STEPS):
            spots += [
                (x0, y0 - (step + 1) * height),
                (x0, y1 + step * height),
                (x1 + (step - 1) * width / 2, y0 - step * height),
                (x0 - width * (step + 1) / 2, y1 + (step - 1) * height),
            ]
        for x, y in spots:
            x = min(max(x, 0.0), self.width - width)
            y = min(max(y, 0.0), self.height - height)
            yield (x, y, x + width, y + height)
