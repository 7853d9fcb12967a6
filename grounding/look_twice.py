"""Asking again about a part of a picture: which part, and where the answer lies in the whole.

A large screenshot is scaled down before a model sees it; what is small is lost then. Around the
first answer, the same question about a part comes at full resolution, and with less to choose from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from grounding.result import Action, Result

# Of the picture's sides. Of 0.4, 0.5, 0.6 and 0.75 the one with which the bundled model clicked
# most often right on web pages.
SIDE_SHARE = 0.6
# A box of the first answer takes at most this share of either side of the part: it may be off by
# more than its own size, and what is around a target tells what it is.
MAX_BOX_SHARE = 0.4
# A larger part is too much like the whole to be worth a question.
MAX_AREA_SHARE = 0.6
# GLM-4.5V's size.shortest_edge: it enlarges smaller pictures, which show no more
MIN_PIXELS = 112 * 112


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture: (x0, y0) its top-left corner, whole pixels of the picture."""

    x0: int
    y0: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (self.width, self.height)

    def cut(self, image: Image.Image) -> Image.Image:
        """Return the part of the picture."""
        return image.crop((self.x0, self.y0, self.x0 + self.width, self.y0 + self.height))

    def restore(self, result: Result) -> Result:
        """Return what was found in the part at its place in the whole picture."""
        return replace(
            result,
            boxes=[
                replace(
                    box,
                    x0=box.x0 + self.x0,
                    y0=box.y0 + self.y0,
                    x1=box.x1 + self.x0,
                    y1=box.y1 + self.y0,
                )
                for box in result.boxes
            ],
            points=[
                replace(point, x=point.x + self.x0, y=point.y + self.y0) for point in result.points
            ],
            actions=[self._restored(action) for action in result.actions],
        )

    def _restored(self, action: Action) -> Action:
        target, end = (
            None if xy is None else (xy[0] + self.x0, xy[1] + self.y0)
            for xy in (action.target, action.end)
        )
        return replace(action, target=target, end=end)


def is_second_better(first: float | None, second: float | None) -> bool:
    """Whether the second answer counts, by the scores of the two; it does where one has none.

    The surer answer was right more often than either look alone, on screens of the kind that the
    bundled model was trained on (first 67 %, second 56 %, surer 69 %), and than the first on web
    pages (53 %, 72 %, 65 %).
    """
    return first is None or second is None or second >= first


def choose_crop(
    found: Sequence[float], size: tuple[int, int], seen_size: tuple[int, int]
) -> Crop | None:
    """Return the part of a picture that is worth a second look, or None.

    It lies around what was found, inside the picture. It has the picture's shape and at most as
    many pixels as the model saw of the whole, so that it is not scaled down; only around a long box
    it is longer, and around a large one larger.

    Args:
        found: the first answer in pixels of the picture: (x0, y0, x1, y1), or a point (x, y).
        size: (width, height) of the picture.
        seen_size: (width, height) at which the model saw it.

    Returns:
        None if what was found needs more than ``MAX_AREA_SHARE`` of the picture, or the part would
        be tiny.
    """
    width, height = size
    x0, y0, x1, y1 = (*found, *found) if len(found) == 2 else found
    scale = math.sqrt(seen_size[0] * seen_size[1] / (width * height))
    share_x, share_y = _shares(
        min(scale, SIDE_SHARE),
        (x1 - x0) / width / MAX_BOX_SHARE,
        (y1 - y0) / height / MAX_BOX_SHARE,
    )
    part_width, part_height = math.floor(share_x * width), math.floor(share_y * height)
    if share_x * share_y > MAX_AREA_SHARE or part_width * part_height < MIN_PIXELS:
        return None
    return Crop(
        _start((x0 + x1) / 2, part_width, width),
        _start((y0 + y1) / 2, part_height, height),
        part_width,
        part_height,
    )


def _shares(share: float, needed_x: float, needed_y: float) -> tuple[float, float]:
    """Return the shares of the picture's sides: both ``share``, or as needed, of the same area."""
    x, y = min(1.0, max(share, needed_x)), min(1.0, max(share, needed_y))
    # what one side takes more the other gives, down to a half
    if needed_x > share >= needed_y:
        y = max(needed_y, share**2 / x, share / 2)
    elif needed_y > share >= needed_x:
        x = max(needed_x, share**2 / y, share / 2)
    return x, y


def _start(middle: float, length: int, whole: int) -> int:
    return min(max(round(middle - length / 2), 0), whole - length)
