"""A call as written -> an agent's step: AutoGLM's ``do(action=...)`` is that action."""

from __future__ import annotations

from grounding.formats.calls import Call
from grounding.formats.targets import find_targets
from grounding.readings import ActionReading


def read_call(call: Call) -> ActionReading | None:
    """Turn a call into a step; ``None``: it says nothing to do."""
    args, name = dict(call.args), call.name
    is_autoglm = name.lower() == "do"
    if is_autoglm:
        if not isinstance(args.get("action"), str):
            return None
        name = args.pop("action")
    span = (call.start, call.end)
    target, goal = find_targets(args, span, call.spans, auto="glm" if is_autoglm else None)
    return ActionReading(name, args, span, target, goal, is_library=call.is_library)
