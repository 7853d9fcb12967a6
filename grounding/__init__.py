"""Reading where a model points: boxes, points and actions out of its text, and onto the image."""

from grounding.draw import draw
from grounding.geometry import CONVENTIONS, Box, Point, point_to_pixels, to_pixels
from grounding.markers import strip_markers
from grounding.parse import parse
from grounding.result import Action, Result

__all__ = [
    "CONVENTIONS",
    "Action",
    "Box",
    "Point",
    "Result",
    "draw",
    "parse",
    "point_to_pixels",
    "strip_markers",
    "to_pixels",
]
