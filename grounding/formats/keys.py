"""The keys of detection JSON and of agents' JSON, folded to one spelling."""

from __future__ import annotations

from typing import Any

from grounding.values import Object, to_ascii

# Keys are compared in lower case without "_", "-" and blanks.
BOX_KEYS = ("bbox2d", "box2d", "bbox", "box", "boundingbox", "bboxes", "boxes", "boundingboxes",
            "boxes2d", "bboxes2d", "bboxs")  # fmt: skip
# A list of twice as many numbers under one of these is as many points.
POLYGON_KEYS = ("points", "points2d", "polygon", "polygons", "keypoints", "quad", "quadbox",
                "quadboxes")  # fmt: skip
POINT_KEYS = ("point2d", "point", "clickpoint", *POLYGON_KEYS)
LABEL_KEYS = ("label", "name", "class", "classname", "category", "object", "element", "elementinfo",
              "textcontent", "text", "caption", "description", "title", "sublabel")  # fmt: skip
SCORE_KEYS = ("score", "confidence", "conf", "probability")
IMAGE_KEYS = ("imgidx", "imageidx", "imageindex", "imgindex", "imgid")  # zero-based
PLACE_KEYS = {"image": "image", "imagenumber": "image", "page": "page", "pagenumber": "page",
              "frame": "frame", "framenumber": "frame", "time": "time", "timestamp": "time",
              "second": "time", "seconds": "time"}  # fmt: skip
# Keys whose lists of four are boxes; shorter ones may be anything.
RECTANGLE_KEYS = ("coordinates", "coords", "location", "region", "rect", "rectangle")
SKIPPED_3D_KEYS = ("bbox3d", "box3d")
# Four keys that make a box together, and whether the last two are width and height.
CORNER_KEYS = (
    (("xmin", "ymin", "xmax", "ymax"), False),
    (("x1", "y1", "x2", "y2"), False),
    (("x0", "y0", "x1", "y1"), False),
    (("left", "top", "right", "bottom"), False),
    (("x", "y", "width", "height"), True),
    (("x", "y", "w", "h"), True),
    (("left", "top", "width", "height"), True),
)
TWO_CORNERS = (("topleft", "bottomright"), ("upperleft", "lowerright"))
# Keys of data that is never a place, where a list of four under a free key would be one.
DATA_KEYS = frozenset(
    "size imagesize shape resolution score scores area id ids color colour rgb rgba time date "
    "version versions value values data prices price years year range margin padding numbers count "
    "counts stats matrix weights scale ratio timestamps sizes window kernel viewport".split()
)
# Names of a place in a data structure, not of a thing in an image.
STRUCTURE_KEYS = frozenset(
    "result results target targets answer data output response item items element object objects "
    "detection detections prediction predictions annotation annotations coordinates coordinate "
    "location region box boxes bbox bboxes bbox2d box2d boundingbox arguments args params "
    "parameters input content image images".split()
)
NOTES_KEYS = ("memory", "history", "thought", "thinking", "reason", "reasoning", "note", "notes")
_DROPPED = dict.fromkeys(map(ord, "_- "))


def fold(key: str) -> str:
    """Fold a key to the spelling of the tables above."""
    return to_ascii(key[:60]).lower().translate(_DROPPED)


def fields(node: Object) -> dict[str, Any]:
    """Folded keys and values of an object; of a repeated key the first counts."""
    folded: dict[str, Any] = {}
    for key, value in node.entries:
        folded.setdefault(fold(key), value)
    return folded
