"""What a person calls a colour."""

from __future__ import annotations

import colorsys

# end of each hue, degrees
_HUES = (
    (14, "red"),
    (42, "orange"),
    (68, "yellow"),
    (165, "green"),
    (195, "teal"),
    (254, "blue"),
    (292, "purple"),
    (340, "pink"),
    (360, "red"),
)


def name_color(rgb: tuple[int, int, int] | None) -> str:
    """Return the name of a colour that stands out by it; ``""`` for greys, black, white or None.

    Args:
        rgb: each 0 to 255.
    """
    if rgb is None:
        return ""
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in rgb))
    if saturation < 0.35 or value < 0.35:
        return ""
    return next(name for end, name in _HUES if hue * 360 <= end)
