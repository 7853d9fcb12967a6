"""Agents' steps written as a line: ``Click [7]``, ``CLICK <point>[[x,y]]</point>``.

GLM's web agent (numbers are marks drawn on the screenshot, not places), OS-Atlas-Pro, StepGUI, and
the bare words that end a task.
"""

from __future__ import annotations

import re
from typing import Any

from grounding.formats.numbers import number_lists
from grounding.formats.targets import find_targets
from grounding.readings import ActionReading, Findings
from grounding.values import to_ascii

_START = r"^[ \t*`-]{0,8}(?P<action>(?:actions?|grounded operation)[ \t*]{0,4}:[ \t*`]{0,8})?"
_END = r"[ \t*`.]{0,8}$"
_MARK = re.compile(
    rf"{_START}(?P<name>Click|Type|Scroll|Hover|Select)\s{{1,2}}\[?(?P<mark>[0-9]{{1,4}}|WINDOW)\]?"
    rf"(?:\s?;\s{{0,2}}\[?(?P<text>[^\]\n]{{1,300}}?)\]?)?{_END}",
    re.MULTILINE | re.IGNORECASE,
)
_ATLAS = re.compile(
    rf"{_START}(?P<name>CLICK|LONG_PRESS|DOUBLE_CLICK|RIGHT_CLICK|HOVER|TAP)\s{{0,2}}"
    rf"(?P<point><point>[^<>\n]{{1,60}}</point>){_END}"
    rf"|{_START.replace('action>', 'action2>')}(?P<name2>TYPE|SCROLL|OPEN_APP|ENTER|SELECT)"
    rf"\s{{0,2}}\[(?P<text>[^\n]{{0,300}})\]{_END}",
    re.MULTILINE,
)
_ANSWER = re.compile(
    rf"{_START}(?P<name>ANSWER)\s?;\s{{0,2}}(?:<content>(?P<content>[^<]{{0,5000}})</content>"
    r"|\[(?P<text>[^\]\n]{0,5000})\])",
    re.MULTILINE | re.IGNORECASE,
)
_KEY = re.compile(
    rf"{_START}(?P<name>Key)\s?;\s{{0,2}}\[?(?P<text>[\w+ -]{{1,40}}?)\]?{_END}",
    re.MULTILINE | re.IGNORECASE,
)
_WORDS = (
    "WAIT|DONE|FAIL|wait|done|fail|Wait|GoBack|Bing|Google|PRESS_BACK|PRESS_HOME|PRESS_ENTER"
    "|PRESS_RECENT|ENTER|COMPLETE|IMPOSSIBLE"
)
# Outside a line of an action only GLM's own words stand for themselves.
_OWN_WORD = r"(?P<name>WAIT|DONE|FAIL|wait|done|fail|PRESS_BACK|PRESS_HOME)"
_LONE_WORD = re.compile(rf"\s*{_OWN_WORD}\s*")
_LAST_WORD = re.compile(rf"(?:^|\n)[ \t*`]{{0,8}}{_OWN_WORD}[\s*#`]*\Z")
_WORD_LINE = re.compile(
    rf"^[ \t*]{{0,8}}actions?[ \t*]{{0,4}}:[ \t*`]{{0,8}}\n?(?P<name>(?i:{_WORDS})){_END}",
    re.MULTILINE | re.IGNORECASE,
)
# A line that may become one of these steps; an action's heading is left out while a reply grows.
_BEGINNING = re.compile(
    r"[ \t*`-]{0,8}(?:CLICK|TYPE|SCROLL|HOVER|SELECT|LONG_PRESS|DOUBLE_CLICK|RIGHT_CLICK|TAP|ENTER"
    r"|OPEN_APP|ANSWER|KEY)(?![A-Za-z_])",
    re.IGNORECASE,
)
_STEP = re.compile(r"(?:^|\t)action:(?P<name>[A-Z_]{2,20})\t(?P<rest>[^\n]{0,600})$", re.MULTILINE)
_STEP_FIELD = re.compile(r"(?:^|\t)([a-z_0-9]{1,20}):([^\t]{0,400})")


def read_commands(
    findings: Findings, text: str, start: int, end: int, *, is_whole: bool, has_notes: bool
) -> list[tuple[int, int]]:
    """Add the steps written as lines in ``text[start:end]``; returns their spans.

    ``is_whole``: the stretch is a whole answer, so that one word in it can be a step; with
    ``has_notes``, an agent's (left out of ``text``), so can a last line of one word.
    """
    part = to_ascii(text[start:end])
    original = text[start:end]
    found: list[ActionReading] = []

    def add(match: re.Match[str], name: str, args: dict[str, Any]) -> None:
        span = (start + match.start(name), start + match.end())
        if not any(action.span[0] == span[0] for action in found[-3:]):
            found.append(ActionReading(original[slice(*match.span(name))], args, span))

    has_brackets = "[" in part or ";" in part
    has_actions = "ction" in part.lower()
    for match in _MARK.finditer(part) if has_brackets or has_actions else ():
        mark = match["mark"]
        is_line_of_action = match["action"] is not None
        if mark.isdigit() and ("[" in match[0] or is_line_of_action):
            args: dict[str, Any] = {"index": int(mark)}
        elif mark.isdigit() or not is_line_of_action:
            continue
        else:
            args = {"index": mark}
        if match["text"] is not None:
            is_scroll = match["name"].lower() == "scroll"
            args["direction" if is_scroll else "text"] = original[slice(*match.span("text"))]
        add(match, "name", args)
    for match in _ATLAS.finditer(part) if has_brackets else ():
        if match["name"] is not None:
            values = number_lists(match["point"])
            point = values[0].values if values else []
            add(match, "name", {"point": point})
            action = found[-1]
            where = (start + match.start("point"), start + match.end("point"))
            action.target, _ = find_targets(
                {"point": point}, action.span, {"point": where}, auto="norm1000"
            )
        else:
            add(match, "name2", {"text": original[slice(*match.span("text"))]})
    for match in (*_ANSWER.finditer(part), *_KEY.finditer(part)) if ";" in part else ():
        group = "text" if match["text"] is not None else "content"
        add(match, "name", {"text": original[slice(*match.span(group))].strip()})
    for match in _STEP.finditer(part) if "action:" in part else ():
        args = dict(_STEP_FIELD.findall(match["rest"]))
        add(match, "name", args)
        found[-1].target, found[-1].goal = find_targets(
            {**args, **_step_points(args)}, found[-1].span, {}
        )
    lone = None
    if is_whole:
        lone = _LAST_WORD.search(part) if has_notes else _LONE_WORD.fullmatch(part)
    words = _WORD_LINE.finditer(part) if has_actions else ()
    for match in (*words, *([lone] if lone is not None else [])):
        add(match, "name", {})
    findings.actions += found
    return [action.span for action in found]


def unfinished_command(text: str, start: int, end: int) -> int | None:
    """Return where the last line of ``text[start:end]`` begins if it may become such a step."""
    line = max(start, text.rfind("\n", start, end) + 1)
    return line if _BEGINNING.match(to_ascii(text[line : min(end, line + 40)])) else None


def _step_points(args: dict[str, str]) -> dict[str, str]:
    """StepGUI's slide from ``point1`` to ``point2``, under the names of other dialects."""
    if "point1" not in args:
        return {}
    return {"start": args["point1"], "end": args.get("point2", "")}
