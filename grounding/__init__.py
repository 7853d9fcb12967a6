"""Reading where a model points: boxes, points and actions out of its text, and onto the image."""

from grounding.conventions import CONVENTIONS, convention_for_model
from grounding.draw import draw
from grounding.geometry import Box, Point, point_to_pixels, to_pixels
from grounding.markers import strip_markers
from grounding.parse import parse
from grounding.places import Place, last_named
from grounding.result import Action, Result
from grounding.score import add_scores

__all__ = [
    "add_scores",
    "CONVENTIONS",
    "Action",
    "Box",
    "Place",
    "Point",
    "Result",
    "convention_for_model",
    "draw",
    "last_named",
    "parse",
    "point_to_pixels",
    "strip_markers",
    "to_pixels",
]
