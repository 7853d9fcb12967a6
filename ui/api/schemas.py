"""JSON Schemas of what tools take and give."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def describe(kind: str, description: str, default: Any = None) -> Schema:
    """Return the schema of a value of one type; ``default`` None for none."""
    schema = {"type": kind, "description": description}
    return schema if default is None else {**schema, "default": default}


def array(items: Schema, description: str) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, "description": description}


def size() -> Schema:
    """Return the schema of a width and a height in pixels."""
    return {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


def options(**properties: Schema) -> Schema:
    """Return the schema of an object; what has no default is required, nothing else is allowed."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, rule in properties.items() if "default" not in rule],
        "additionalProperties": False,
    }


def findings(*more: str) -> Schema:
    """Return the schema of an answer and where it points, as ``ui.rendering.findings`` makes it.

    Args:
        more: names of properties beyond those that all results have.
    """
    properties = {
        "answer": describe("string", "The answer, without special tokens."),
        "thinking": describe("string", "The thought before it."),
        "boxes": array(_place("xyxy", 4), "Rectangles [left, top, right, bottom]."),
        "points": array(_place("xy", 2), "Points [x, y]."),
        "actions": array(_action(), "Steps of an agent, in the model's own words."),
        "image_names": array({"type": "string"}, "What the images are called."),
        "image_sizes": array(size(), "Width and height of the images in pixels."),
        "notes": array({"type": "string"}, "What was cut off, dropped or repaired."),
        **{name: _MORE[name] for name in more},
    }
    return {"type": "object", "properties": properties, "required": [*properties]}


_MORE: dict[str, Schema] = {
    "convention": describe("string", "What the numbers were taken to count."),
    "usage": {"type": ["object", "null"], "description": "Tokens and seconds it took."},
    "attachments": array({"type": "object"}, "What of each file the model saw."),
}


def _numbers(kind: str, count: int, description: str) -> Schema:
    return {
        **array({"type": kind}, description),
        "minItems": count,
        "maxItems": count,
    }


def _place(name: str, count: int) -> Schema:
    return {
        "type": "object",
        "properties": {
            name: _numbers("number", count, "In pixels of the image."),
            "norm": _numbers("integer", count, "In thousandths of the image's sides."),
            "label": {"type": ["string", "null"]},
            "image": describe("integer", "Which image, from 0."),
            "score": describe("number", "How sure the model is, 0 to 1."),
        },
        "required": [name, "norm", "label", "image"],
    }


def _action() -> Schema:
    point = {"type": ["array", "null"], "items": {"type": "number"}}
    return {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "args": {"type": "object"},
            "target": {**point, "description": "Where, [x, y] in pixels."},
            "end": {**point, "description": "Where a drag ends, [x, y] in pixels."},
            "image": {"type": ["integer", "null"]},
        },
        "required": ["type", "args", "target", "end", "image"],
    }
