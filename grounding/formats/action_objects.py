"""Agents' steps written as JSON objects.

GLM mobile (``action_type``), Qwen, MAI-UI and Claude (``name`` and ``arguments`` or ``input``),
OpenAI (``type``), ShowUI and GUI-R1 (``action``), AgentCPM-GUI (``POINT``, ``PRESS``, ...), Holo.
"""

from __future__ import annotations

from typing import Any

from grounding.formats.keys import IMAGE_KEYS, LABEL_KEYS, fields, fold
from grounding.formats.targets import find_targets
from grounding.formats.verbs import KNOWN_ARGS, VERBS
from grounding.readings import ActionReading
from grounding.scanner import scan
from grounding.values import Container, Group, Object, to_plain

_TYPE_KEYS = ("actiontype", "action", "type")
_ARGUMENT_KEYS = ("arguments", "parameters", "input")
# AgentCPM-GUI writes the action as a key, in capitals; the first of these names it.
_CAPITAL_KEYS = ("POINT", "PRESS", "TYPE", "CLEAR", "DEEP_LINK", "STATUS")
_CAPITAL_COMPANIONS = ("thought", "to", "duration", "id", "Thought")
# "type" is a common key; beside one of these it is OpenAI's.
_BESIDE_TYPE = frozenset("x y path button keys scrollx scrolly coordinate".split())


def find_action_objects(roots: list[Container]) -> list[Object]:
    """Objects that are a step, at any depth, in order; those inside a step belong to it."""
    found: list[Object] = []
    for root in roots:
        if isinstance(root, Group):
            found += find_action_objects(
                [item for item in root.items if isinstance(item, Group | Object)]
            )
        elif _action_key(root) is not None:
            found.append(root)
        else:
            inner = [value for _, value in root.entries if isinstance(value, Group | Object)]
            steps = find_action_objects(inner)
            found += steps or ([root] if is_tool_call(root) else [])
    return found


def read_action_object(node: Object) -> ActionReading:
    """Read one of the objects that ``find_action_objects`` found."""
    values = dict(node.entries)
    key = _action_key(node)
    spans: dict[str, tuple[int, int]] = {}
    if key is None:  # a tool call: its name is the action, unless its arguments name one
        name = str(fields(node)["name"])
        arguments = next(v for k, v in node.entries if fold(k) in _ARGUMENT_KEYS)
        if isinstance(arguments, str):  # JSON in a string; offsets count from its own start
            arguments = _object_in(arguments) or Object(0)
            args = {name: to_plain(value) for name, value in arguments.entries}
            return read_tool_call(name, args, (node.start, node.end), spans)
        action_type, values = name, dict(arguments.entries)
    elif key in _CAPITAL_KEYS:
        action_type = key
    else:
        action_type = str(to_plain(values.pop(key)))
    args = {name: to_plain(value) for name, value in values.items()}
    for name, value in values.items():
        if isinstance(value, Group | Object):
            spans[name] = (value.start, value.end)
    known = {fold(name): value for name, value in args.items()}
    label = next((known[k] for k in LABEL_KEYS[:1] if isinstance(known.get(k), str)), None)
    image = next((known[k] for k in IMAGE_KEYS if type(known.get(k)) is int), None)
    span = (node.start, node.end)
    is_capital = key in _CAPITAL_KEYS
    target, goal = find_targets(
        args, span, spans, label=label, auto="norm1000" if is_capital else None
    )
    for reading in (target, goal):
        if reading is not None:
            reading.image = image
    return ActionReading(action_type, args, span, target, goal)


def read_tool_call(
    name: str, args: dict[str, Any], span: tuple[int, int], spans: dict[str, tuple[int, int]]
) -> ActionReading:
    """Read a call of a tool; an argument ``action`` says what is done, as in ``computer_use``."""
    action_type = name
    if isinstance(args.get("action"), str) and fold(args["action"]) in VERBS:
        action_type = args["action"]
        args = {key: value for key, value in args.items() if key != "action"}
    return ActionReading(action_type, args, span, *find_targets(args, span, spans))


def _object_in(text: str) -> Object | None:
    return next((root for root in scan(text).roots if isinstance(root, Object)), None)


def _action_key(node: Object) -> str | None:
    """Return the key whose value names the step; ``None``: the object is no step."""
    known = fields(node)
    for key, value in node.entries:
        if fold(key) not in _TYPE_KEYS or not isinstance(value, str) or len(value) > 40:
            continue
        kind, verb = fold(key), fold(value)
        if kind == "actiontype":
            return key
        beside = (known.keys() - {kind}) & KNOWN_ARGS
        if kind == "action" and (verb in VERBS and (beside or len(known) == 1)):
            return key
        if kind == "type" and verb in VERBS and known.keys() & _BESIDE_TYPE:
            return key
        if kind == "action" and (beside - {"text", "content"}) & {"coordinate", "position"}:
            return key
    keys = [key for key, _ in node.entries]
    for key in _CAPITAL_KEYS:
        if key in keys and all(k in _CAPITAL_KEYS or k in _CAPITAL_COMPANIONS for k in keys):
            return key
    return None


def is_tool_call(node: Object) -> bool:
    """Whether an object is a call of a tool by its name; its arguments may hold a box."""
    known = fields(node)
    return isinstance(known.get("name"), str) and any(
        isinstance(value := known.get(key), Object)
        or (key == "arguments" and isinstance(value, str) and value.lstrip().startswith("{"))
        for key in _ARGUMENT_KEYS
    )
