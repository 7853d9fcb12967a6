"""The prompts that GLM-4.5V's agents were trained on, for a phone, a PC and a web page.

Sources: zai-org/GLM-V, examples/gui-agent/glm-45v/agent.md and gui_agent_45v.py (Apache-2.0). The
texts in ``templates/`` are theirs as far as a model depends on them: actions, output format, form
of the history. Left out are notes about the benchmarks' own apps and accounts.

Earlier steps are part of the prompt, not turns of a conversation: every step is one user message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from agent.marks import Mark, list_marks
from agent.steps import Platform, Run, Step, describe_action
from grounding import Action

# {"role": ..., "content": [{"type": "image", "image": PIL.Image}, {"type": "text", "text": ...}]}
Message: TypeAlias = dict[str, Any]

PLATFORMS: dict[Platform, str] = {"mobile": "Phone", "pc": "PC", "web": "Web page"}
ANY_APP = "any app that is installed"
# as the PC prompt promises: the newest screenshots of the history, at half their size
_PC_SCREENSHOTS = 4
_WEB_STEPS = 15
_JUST_STARTED = "You just started, no action has been performed yet."
_PLACE = re.compile(r"<<(\w+)>>")


def build_messages(
    run: Run,
    screenshot: Image.Image,
    *,
    instruction: str = "",
    elements: str | Sequence[Mark] = "",
    address: str = "",
    now: datetime | None = None,
) -> list[Message]:
    """Return the messages that ask for the next step of ``run``.

    Args:
        screenshot: RGB; for the platform "web" with numbers on its elements.
        instruction: one simple instruction; asked as it is, without the agent's prompt.
        elements: what the numbers on the screenshot stand for (web).
        address: of the page (web).
        now: the time that the web prompt tells, in the zone it is to be told in.
    """
    image = {"type": "image", "image": screenshot}
    if instruction:
        content = [image, {"type": "text", "text": instruction}]
    elif run.platform == "pc":
        content = [*_pc_content(run), image]
    elif run.platform == "mobile":
        places = {"task": run.goal, "apps": ANY_APP, "history": _mobile_history(run.steps)}
        content = [image, _text(_fill("mobile", places))]
    else:
        places = {
            "task": run.goal,
            "address": address or "the web page in the screenshot",
            "time": (now or datetime.now()).strftime("%Y-%m-%d, %I:00 %p"),
            "history": _web_history(run.steps),
            "memory": run.memory or "{}",
            "elements": elements if isinstance(elements, str) else list_marks(elements),
        }
        content = [image, _text(_fill("web", places))]
    return [{"role": "user", "content": content}]


@lru_cache
def _template(name: str) -> str:
    return (Path(__file__).parent / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def _fill(name: str, places: dict[str, str]) -> str:
    # one pass: a goal that itself contains a placeholder stays as it is
    return _PLACE.sub(lambda place: places[place[1]], _template(name))


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _mobile_history(steps: Sequence[Step]) -> str:
    if not steps:
        return f"{_JUST_STARTED}\n"
    entries = [
        f"Step {number}:\nMemory: {step.memory or 'None'}\nReason: {step.reason}\n"
        f"Action: {_as_object(step.action)}\n\n"
        for number, step in enumerate(steps)
    ]
    return "".join(entries)


def _as_object(action: Action | None) -> str:
    """Return an action as the examples of the history have it: with single quotes."""
    return "None" if action is None else repr({"action_type": action.type, **action.args})


def _pc_content(run: Run) -> list[dict[str, Any]]:
    """Return texts and earlier screenshots, up to where the current screenshot belongs."""
    head, tail = (
        _PLACE.sub(lambda place: {"task": run.goal, "memory": run.memory or "[]"}[place[1]], part)
        for part in _template("pc").split("<<history>>")
    )
    content, text = [], head
    shown_from = len(run.steps) - _PC_SCREENSHOTS
    for index, step in enumerate(run.steps):
        text += f"\nstep {index + 1}: Screenshot:"
        if index < shown_from:
            text += "(Omitted in context.)"
        else:
            half = step.screenshot.resize((max(1, step.size[0] // 2), max(1, step.size[1] // 2)))
            content += [_text(text), {"type": "image", "image": half}]
            text = ""
        call = describe_action(step.action) if step.action else "None"
        text += f" Thought: {step.reason}\nAction: {call}"
    return [*content, _text(text + tail)]


def _web_history(steps: Sequence[Step]) -> str:
    first = max(0, len(steps) - _WEB_STEPS)
    return "".join(
        f"{number}.Thought:{step.reason}        Action:{write_web_action(step.action)}"
        f"        Observation:{'; '.join(step.notes) or 'Success'}\n"
        for number, step in enumerate(steps[first:])
    )


def write_web_action(action: Action | None) -> str:
    """Return an action in the web agent's language."""
    if action is None:
        return "None"
    args = action.args
    if action.type == "ANSWER":
        return f"ANSWER; <content>{args.get('text', '')}</content>"
    parts = [f"[{args[key]}]" for key in ("index", "text", "direction") if key in args]
    name = "Key;" if action.type == "Key" else action.type
    return f"{name} {'; '.join(parts)}".strip()
