"""Extractor: detection JSON, ``{"bbox_2d": [x0,y0,x1,y1], "label": "..."}`` in any spelling."""

from __future__ import annotations

from typing import Any

from grounding.lists import leaves
from grounding.placing import Placer, is_number
from grounding.values import Bad, Container, Group, Object, scan, to_ascii, to_number

# Keys are compared in lower case without "_", "-" and blanks.
BOX_KEYS = ("bbox2d", "box2d", "bbox", "box", "boundingbox", "bboxes", "boxes", "boundingboxes")
POINT_KEYS = ("point2d", "point", "points", "points2d", "polygon", "keypoints")
LABEL_KEYS = ("label", "name", "class", "classname", "category", "object", "element", "elementinfo",
              "textcontent", "text", "caption", "description", "title")  # fmt: skip
SCORE_KEYS = ("score", "confidence", "conf", "probability")
IMAGE_KEYS = ("imgidx", "imageidx", "imageindex")  # zero-based
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
# Keys of data that is never a place, where a list of four under a free key would be one.
DATA_KEYS = frozenset(
    "size imagesize shape resolution score scores area id ids color colour rgb rgba time date "
    "version values value data prices price years year range margin padding numbers count counts "
    "stats matrix weights scale ratio timestamps".split()
)
ACTION_KEY = "actiontype"  # an object with it is an agent's action (actions.py)
NOTES_KEYS = ("memory", "history", "thought", "reason")


def fold(key: str) -> str:
    """Fold a key to the spelling of the tables above."""
    return to_ascii(key).lower().replace("_", "").replace("-", "").replace(" ", "")


def fields(node: Object) -> dict[str, Any]:
    """Folded keys and values of an object; of a repeated key the first counts."""
    folded: dict[str, Any] = {}
    for key, value in node.entries:
        folded.setdefault(fold(key), value)
    return folded


def add_detections(placer: Placer, root: Container, *, free_labels: bool = True) -> None:
    """Add every labelled box and point in an object or a list of objects.

    ``free_labels``: an outermost object may name its boxes by key, ``{"Save": [x0,y0,x1,y1]}``.
    """
    if free_labels and isinstance(root, Object) and _is_label_to_box(root):
        for label, boxes in root.entries:
            _add_boxes(placer, boxes, root, label=label, score=None, image_index=None)
        return
    _walk(placer, root, root, None, None)


def _walk(
    placer: Placer, node: Any, root: Container, label: str | None, image_index: int | None
) -> None:
    if isinstance(node, Group):
        for item in node.items:
            _walk(placer, item, node, label, image_index)
        return
    if not isinstance(node, Object):
        return
    known = fields(node)
    if ACTION_KEY in known:
        return
    own_label = next((known[key] for key in LABEL_KEYS if _is_text(known.get(key))), None)
    if own_label is not None:
        label = own_label.text if isinstance(own_label, Bad) else str(own_label)
    index = next((known[key] for key in IMAGE_KEYS if type(known.get(key)) is int), image_index)
    score = next((float(known[key]) for key in SCORE_KEYS if is_number(known.get(key))), None)
    for keys, has_size in CORNER_KEYS:
        if all(key in known for key in keys):
            values = _corners([_as_number(known[key]) for key in keys], has_size)
            placer.add_box(
                values, node.start, node.end, label=label, score=score, image_index=index
            )
            break
    for key, value in known.items():
        if key in BOX_KEYS:
            _add_boxes(placer, value, node, label=label, score=score, image_index=index)
        elif key in POINT_KEYS:
            _add_points(placer, value, node, label=label, image_index=index)
        elif key in SKIPPED_3D_KEYS:
            placer.note(f"{key} skipped: a box in space has no place on the image")
        elif key not in NOTES_KEYS:
            _walk_nested(placer, value, node, label, index)


def _walk_nested(
    placer: Placer, value: Any, root: Container, label: str | None, image_index: int | None
) -> None:
    """Go on into objects under any key; lists of numbers there are data."""
    if isinstance(value, Object) and _is_label_to_box(value):
        add_detections(placer, value)
    elif isinstance(value, Object | Group):
        _walk(placer, value, root, label, image_index)


def _corners(values: list[Any], has_size: bool) -> list[Any]:
    if not (has_size and all(is_number(value) for value in values)):
        return values
    x, y, width, height = values
    return [x, y, x + width, y + height]


def _add_boxes(
    placer: Placer,
    value: Any,
    node: Container,
    *,
    label: str | None,
    score: float | None,
    image_index: int | None,
) -> None:
    if isinstance(value, str):
        value = _list_in(value)
    if isinstance(value, Object):
        _walk(placer, value, node, label, image_index)
        return
    if isinstance(value, Group) and any(isinstance(item, Object) for item in value.items):
        _walk(placer, value, node, label, image_index)
        return
    if not isinstance(value, Group) or not value.items:
        if value is not None and not isinstance(value, Group):
            placer.note("a box without coordinates was dropped")
        return
    boxes = [[_as_number(item) for item in leaf.items] for leaf in leaves(value)]
    if len(boxes) == 2 and all(len(corner) == 2 for corner in boxes):  # two opposite corners
        boxes = [boxes[0] + boxes[1]]
    for numbers in boxes:
        if len(numbers) == 2:
            placer.add_point(numbers, node.start, node.end, label=label, image_index=image_index)
        else:
            placer.add_box(
                numbers, node.start, node.end, label=label, score=score, image_index=image_index
            )


def _add_points(
    placer: Placer, value: Any, node: Object, *, label: str | None, image_index: int | None
) -> None:
    if isinstance(value, str):
        value = _list_in(value)
    if isinstance(value, Object):
        known = fields(value)
        points = [[_as_number(known.get("x")), _as_number(known.get("y"))]]
    elif isinstance(value, Group) and any(isinstance(item, Object) for item in value.items):
        for item in value.items:
            _add_points(placer, item, node, label=label, image_index=image_index)
        return
    elif isinstance(value, Group) and value.items:
        points = [[_as_number(item) for item in leaf.items] for leaf in leaves(value)]
    else:
        return
    for numbers in points:
        placer.add_point(numbers, node.start, node.end, label=label, image_index=image_index)


def _is_label_to_box(node: Object) -> bool:
    """Whether an object maps free names to boxes: ``{"Save": [x0,y0,x1,y1], ...}``."""
    known = (*BOX_KEYS, *POINT_KEYS, *SKIPPED_3D_KEYS, *NOTES_KEYS)
    return bool(node.entries) and all(
        isinstance(value, Group)
        and fold(key) not in DATA_KEYS
        and fold(key) not in known
        and all(
            len(leaf.items) == 4 and all(is_number(item) for item in leaf.items)
            for leaf in leaves(value)
        )
        for key, value in node.entries
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str | Bad) or is_number(value)


def _as_number(value: Any) -> Any:
    """Read numbers that were written as strings; anything else stays what it is."""
    if isinstance(value, str):
        text = to_ascii(value).strip()
        digits = text.lstrip("+-").replace(".", "", 1)
        return to_number(text) if digits.isascii() and digits.isdigit() else Bad(value)
    return value


def _list_in(text: str) -> Group | None:
    """The list of numbers in a string: ``"[10, 20, 30, 40]"`` or ``"10 20 30 40"``."""
    root = next((root for root in scan(text).roots if isinstance(root, Group)), None)
    if root is not None:
        return root
    bare = next(iter(scan(f"[{text}]").roots), None)
    return bare if isinstance(bare, Group) else None
