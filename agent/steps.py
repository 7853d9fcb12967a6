"""A run of the agent: its steps, and how a step is read out of a reply. Plain values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from PIL import Image

from agent.marks import Mark
from grounding import Action, Box, parse, strip_markers

Platform: TypeAlias = Literal["mobile", "pc", "web"]
State: TypeAlias = Literal["open", "done", "failed", "stopped"]

_HEADING = re.compile(
    r"^[ \t*#]*(Memory_Updated|Memory|Reason|Thought|Action)[ \t*]*[:：][ \t*]*",
    re.MULTILINE | re.IGNORECASE,
)
# Some replies keep everything on one line.
_ON_ONE_LINE = re.compile(
    r"Memory:(?P<memory>.*?)Reason:(?P<reason>.*?)Action:(?P<action>.*)", re.DOTALL
)
# What ends a run, in the languages of the three platforms and of AutoGLM.
_DONE = ("done", "finish")
_FAILED = ("fail",)


@dataclass(frozen=True, slots=True)
class Step:
    """What the model said to one screenshot.

    Attributes:
        screenshot: RGB, as it was sent; ``action`` and ``boxes`` count its pixels.
        memory: what the model wants to know in later steps, in its own form; "" for nothing.
        action: None if the reply has none.
        text: the reply, thought excluded, box markers included.
        instruction: the line of the plan that this step was about; "" where the goal was given
            as a whole.
        address: of the page that the screenshot shows; "" if it was uploaded.
        notes: what the person should know about this step, in sentences.
    """

    screenshot: Image.Image
    memory: str
    reason: str
    action: Action | None
    text: str
    thinking: str = ""
    boxes: tuple[Box, ...] = ()
    instruction: str = ""
    address: str = ""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the screenshot in pixels."""
        return self.screenshot.size


@dataclass(frozen=True, slots=True)
class Run:
    """A goal and the steps towards it.

    Attributes:
        by_instruction: each line of the goal is an instruction of its own, and becomes one step.
        last_screen: what the screen showed after the last step, where that is known.
        notes: how the run ended, where its steps do not say it.
    """

    platform: Platform
    goal: str
    by_instruction: bool = False
    steps: tuple[Step, ...] = ()
    state: State = "open"
    last_screen: Image.Image | None = None
    notes: tuple[str, ...] = ()

    @property
    def memory(self) -> str:
        """The newest memory that a step left; "" if none did."""
        return next((step.memory for step in reversed(self.steps) if step.memory), "")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, read; the fields are those of ``Step``."""

    memory: str
    reason: str
    action: Action | None
    boxes: tuple[Box, ...] = ()
    thinking: str = ""
    notes: tuple[str, ...] = ()


def read_reply(
    platform: Platform,
    text: str,
    size: tuple[int, int],
    *,
    by_instruction: bool = False,
    marks: tuple[Mark, ...] = (),
) -> Reply:
    """Read memory, reason and action out of a reply, tolerantly; any text gives a result.

    Args:
        text: the whole reply; a thought in it is split off.
        size: of the screenshot in pixels.
        by_instruction: the reply answers one simple instruction; a box is then a click.
        marks: what the numbers on the screenshot stand for (web).
    """
    result = parse(text, image_sizes=[size])
    actions, boxes, notes = list(result.actions), tuple(result.boxes), list(result.notes)
    # the calls are the action, not part of what explains it; the newest first keeps the offsets
    explained = text
    if platform == "pc":
        for start, end in sorted((action.span for action in actions), reverse=True):
            explained = explained[:start] + explained[end:]
    spoken = strip_markers(_without_thought(explained)).strip()
    sections = _read_sections(spoken)
    if by_instruction and not actions and boxes:
        actions = [Action("click", {}, target=boxes[0].center)]
    elif not actions and (line := _ON_ONE_LINE.search(spoken)):
        # read as a whole, everything after "Memory:" is memory
        result = parse(line["action"], image_sizes=[size])
        actions, boxes = list(result.actions), tuple(result.boxes)
    if platform == "web":
        actions = [_aim(action, marks) for action in actions]
    if not actions:
        notes.append("The reply has no action that could be read.")
    elif len(actions) > 1:
        notes.append(f"The reply has {len(actions)} actions; the first one counts.")
    if by_instruction:
        memory, reason = "", "" if actions else spoken
    else:
        memory = sections.get("memory", "")
        memory = "" if memory.lower().strip(".") == "none" else memory
        reason = sections.get("reason", "") or sections[""].strip()
        if platform == "pc":
            reason = reason or sections.get("action", "")
    return Reply(memory, reason, next(iter(actions), None), boxes, result.thinking, tuple(notes))


def ending(action: Action) -> Literal["done", "failed"] | None:
    """Say whether an action ends the run, and how."""
    name = action.type.lower()
    if name == "status":
        return "done" if action.args.get("goal_status") == "complete" else "failed"
    # the web agent's answer is its last word; the phone's, in small letters, is not
    if name in _DONE or action.type == "ANSWER":
        return "done"
    return "failed" if name in _FAILED else None


def describe_action(action: Action) -> str:
    """Return an action as one line, in the form of a call."""
    return f"{action.type}({', '.join(f'{name}={value!r}' for name, value in action.args.items())})"


def describe_args(action: Action) -> dict[str, Any]:
    """Return the arguments of an action for JSON; None for numbers without an end, as ``1e999``."""
    return {name: _to_json(value) for name, value in action.args.items()}


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aim(action: Action, marks: tuple[Mark, ...]) -> Action:
    """Return an action with the place of the element whose number it names."""
    index = action.args.get("index")
    if isinstance(index, int) and 0 <= index < len(marks):
        return replace(action, target=marks[index].center)
    return action


def _without_thought(text: str) -> str:
    """Return what follows the last thought; a thought that never ends leaves nothing."""
    spoken = text.rpartition("</think>")[2]
    return spoken.partition("<think>")[0]


def _read_sections(text: str) -> dict[str, str]:
    """Return the text under each heading by the heading's plain name; "" is what is before."""
    headings = list(_HEADING.finditer(text))
    names = [heading[1].lower() for heading in headings]
    if "action" not in names and (line := _ON_ONE_LINE.search(text)):
        return {"": "", **{name: part.strip() for name, part in line.groupdict().items()}}
    sections = {"": text[: headings[0].start()] if headings else text}
    stops = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, name, stop in zip(headings, names, stops, strict=False):
        plain = {"thought": "reason", "memory_updated": "memory"}.get(name, name)
        # of a repeated heading the first counts, as with actions
        sections.setdefault(plain, text[heading.end() : stop].strip())
    return sections
