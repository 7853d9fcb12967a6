"""Agents' steps written as calls: ``left_click(start_box='[x,y]', element_info='')``.

Values are not evaluated. Every end of a quoted text is looked up, not searched for, so that reading
is linear whatever the text.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from typing import Any

from grounding.formats.keys import fold
from grounding.formats.numbers import number_lists
from grounding.formats.verbs import (
    CALL_NAMES,
    DRAGGING_VERBS,
    KNOWN_ARGS,
    LONE_VERBS,
    POINTING_VERBS,
)
from grounding.values import to_ascii, to_number, unescape

MAX_CALLS = 10_000
# Any name before a bracket; a look at the table of names is cheaper than trying them all.
_CALL = re.compile(
    r"(?<![\w.])(?P<module>(?:pyautogui|computer|agent|mobile|browser)\.)?"
    r"(?P<name>[A-Za-z_]{2,24})\s{0,3}\("
)
_LINE_START = re.compile(r"(?:^|\n)[ \t*]*(?:Action[ \t*]*:[ \t]*)?$|<action>\s{0,3}$", re.I)
_LINE_END = re.compile(r"[ \t*]{0,8}(?:\n|$|<)")
_ARGUMENT = re.compile(r"[\s,]{0,20}(?P<name>[A-Za-z_]\w{0,30})\s{0,3}[=]\s{0,3}")
_PART_OF_NAME = re.compile(r"[A-Za-z_]\w{0,30}\s{0,3}")
_SPACE = re.compile(r"[\s,]{0,20}")
_CALL_END = re.compile(r"[\s,]{0,20}\)")
# A quote ends an argument where the next one begins or the call ends, not inside a text.
_QUOTE_END = re.compile(
    r"(?<!\\)(?P<quote>[\"'])(?:\s{0,20},\s{0,20}"
    r"(?:(?:start_|end_)?(?:box|point|element_info|position|coordinate)|hold_keys|keys?|content"
    r"|direction|steps?|step_count|amount|action|element|element_type|start|end|to|from|text|app"
    r"|app_name|duration|message|instruction|distance|clicks|button|value|override|presses|interval"
    r"|submit|status|url|x|y)\s{0,3}="
    r"|(?P<last>\s{0,20}\)))"
)
_PLAIN_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.){0,300}\"|'(?:[^'\\\n]|\\.){0,300}'")
_UNQUOTED = re.compile(r"[^\s,()\[\]'\"]{1,100}(?=[\s,)])")
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LEAF = rf"[\[(]\s{{0,3}}{_NUMBER.pattern}(?:[\s,]{{1,4}}{_NUMBER.pattern}){{0,7}}\s{{0,3}}[\])]"
_LIST = re.compile(
    rf"{_LEAF}|[\[(]\s{{0,3}}{_LEAF}(?:[\s,]{{0,4}}{_LEAF}){{0,7}}[\s,]{{0,4}}[\])]"
    r"|<(?P<tag>\|box_start\|?|point|bbox|box)>[^<>]{0,80}</?\|?(?:box_end\||point|bbox|box)>"
    r"|\[\s{0,3}(?:['\"][^'\"\n]{0,40}['\"][\s,]{0,4}){1,8}\]"
)
_NAMES_OF_POSITIONS = {
    "write": "message",
    "typewrite": "message",
    "type": "text",
    "scroll": "clicks",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as written: name, arguments as strings, numbers or lists, place in the reply."""

    name: str
    args: dict[str, Any]
    start: int
    end: int
    spans: dict[str, tuple[int, int]]  # of the arguments' values
    is_library: bool = False  # of a library for robots: ``pyautogui.click(...)``


def find_calls(text: str, start: int, end: int) -> tuple[list[Call], int | None]:
    """Read every agent call in ``text[start:end]``.

    Returns:
        (calls in order, where a call begins that the text does not finish).
    """
    reader = _CallReader(text[start:end])
    calls: list[Call] = []
    last, failed = 0, 0
    for match in reader.names[:MAX_CALLS]:
        if match.start() < last:
            continue  # inside the arguments of the call before
        read = reader.read(match)
        failed = match.start()
        if read is not None:
            args, spans, last = read
            calls.append(
                Call(
                    match["name"],
                    args,
                    start + match.start(),
                    start + last,
                    {name: (start + first, start + stop) for name, (first, stop) in spans.items()},
                    match["module"] is not None,
                )
            )
    return calls, start + failed if reader.is_cut else None


class _CallReader:
    """Reads the calls of one text."""

    def __init__(self, text: str) -> None:
        self.original = text
        self.text = to_ascii(text)
        self.names = [m for m in _CALL.finditer(self.text) if m["name"].lower() in CALL_NAMES]
        self.name_starts = [match.start() for match in self.names]
        ends = list(_QUOTE_END.finditer(self.text)) if self.names else []
        self.quote_ends = {q: [end for end in ends if end["quote"] == q] for q in "\"'"}
        self.quote_starts = {q: [e.start() for e in ends] for q, ends in self.quote_ends.items()}
        self.is_cut = False  # the call read last runs into the end of the text

    def read(
        self, match: re.Match[str]
    ) -> tuple[dict[str, Any], dict[str, tuple[int, int]], int] | None:
        """Read the call that ``match`` opens; ``None`` if it is none.

        Returns:
            (arguments, where their values stand, end of the call).
        """
        # Strings are taken out at the end: a call that comes to nothing must not cost its length.
        named: dict[str, Any] = {}
        positional: list[Any] = []
        spans: dict[str, tuple[int, int]] = {}
        position = match.end()
        self.is_cut = False
        while (end := _CALL_END.match(self.text, position)) is None:
            name = _ARGUMENT.match(self.text, position)
            if name is not None:
                value = self.value(name.end())
            else:
                space = _SPACE.match(self.text, position)
                assert space is not None  # the pattern matches the empty text
                value = self.positional(space.end(), match)
            if value is None:
                is_at_end = not self.text[position : position + 20].strip(" ,\t\n")
                self.is_cut = is_at_end or self.runs_out(position, is_named=name is not None)
                return None
            content, position = value
            if name is not None:
                named[name["name"]] = content
                spans[name["name"]] = (name.end(), position)
            else:
                positional.append(content)
        if not self.is_action(match, named, positional, end.end()):
            return None
        args = {**_name_positions(match, positional), **named}
        return {key: self.content(value) for key, value in args.items()}, spans, end.end()

    def runs_out(self, position: int, *, is_named: bool) -> bool:
        """Whether what cannot be read is an argument that the end of the text cuts off."""
        if is_named:
            return True
        rest = self.text[position : position + 200].lstrip(" ,\n")
        is_list = len(self.text) - position < 100 and rest[:1] in ("[", "(", "'", '"', "-")
        return is_list or _PART_OF_NAME.fullmatch(rest) is not None

    def is_action(
        self, match: re.Match[str], named: dict[str, Any], positional: list[Any], end: int
    ) -> bool:
        """Whether a complete call is an agent's: the names are also names of functions in code."""
        verb = fold(match["name"])
        if named:
            return any(fold(name) in KNOWN_ARGS for name in named)
        if positional:
            numbers = [value for value in positional if not isinstance(value, slice)]
            return match["module"] is not None or (
                len(numbers) == len(positional)
                and (len(numbers) in (2, 4) or isinstance(numbers[0], list))
                and verb in POINTING_VERBS | DRAGGING_VERBS
                and self.text[match.end() - 2] != " "
            )
        if match["module"] is not None:
            return True
        if verb not in LONE_VERBS:
            return False
        line_before = self.text[max(0, match.start() - 20) : match.start()]
        return match["name"].isupper() or bool(
            _LINE_START.search(line_before) and _LINE_END.match(self.text, end)
        )

    def positional(self, start: int, match: re.Match[str]) -> tuple[Any, int] | None:
        """Read a value without a name: ``click(10, 20)``, ``pyautogui.write('text')``."""
        string = _PLAIN_STRING.match(self.text, start) if match["module"] is not None else None
        if string is not None:
            return slice(string.start() + 1, string.end() - 1), string.end()
        found = _LIST.match(self.text, start) or _NUMBER.match(self.text, start)
        return None if found is None else (_plain(found[0]), found.end())

    def value(self, start: int) -> tuple[Any, int] | None:
        """Read an argument's value; returns (number, list or slice of the text, where it ends)."""
        opener = self.text[start : start + 1]
        if opener in ("'", '"'):
            end = self.quote_end(start + 1, opener)
            return None if end is None else (slice(start + 1, end), end + 1)
        found = _LIST.match(self.text, start)
        if found is not None:
            is_tag = found["tag"] is not None
            return slice(*found.span()) if is_tag else _plain(found[0]), found.end()
        bare = _UNQUOTED.match(self.text, start)
        if bare is None:
            return None
        is_number = _NUMBER.fullmatch(bare[0]) is not None
        return (to_number(bare[0]) if is_number else slice(*bare.span())), bare.end()

    def content(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.content(item) for item in value]
        return unescape(self.original[value]) if isinstance(value, slice) else value

    def quote_end(self, start: int, quote: str) -> int | None:
        """Find the closing quote of a text that may itself hold quotes, brackets and ``')``.

        Of several ``')`` on a line the last one counts, unless another call begins before it.
        """
        ends = self.quote_ends[quote]
        first = bisect.bisect_left(self.quote_starts[quote], start)
        if first == len(ends):
            return None
        chosen = ends[first]
        name = bisect.bisect_right(self.name_starts, chosen.start())
        next_call = self.name_starts[name] if name < len(self.names) else len(self.text)
        for position in range(first + 1, len(ends)):
            end = ends[position]
            is_past = end.start() > next_call or "\n" in self.text[chosen.end() : end.start()]
            if is_past or chosen["last"] is None or end["last"] is None:
                break
            chosen = end
        return chosen.start()


def _plain(text: str) -> Any:
    """Turn a number or a list into Python values: ``[[1, 2]]``, ``['ctrl', 'c']``."""
    if text[0] not in "[(":
        return to_number(text)
    strings = re.findall(r"['\"]([^'\"\n]*)['\"]", text)
    if strings:
        return strings
    lists = [item.values for item in number_lists(text)]
    return lists if text.count("[") + text.count("(") > 1 else lists[0]


def _name_positions(match: re.Match[str], positional: list[Any]) -> dict[str, Any]:
    """Name the arguments that came without a name."""
    if not positional:
        return {}
    verb = fold(match["name"])
    if verb in POINTING_VERBS | DRAGGING_VERBS and verb != "press":
        if len(positional) == 1 and isinstance(positional[0], list):
            return {"point": positional[0]}
        if verb in DRAGGING_VERBS and len(positional) == 2 and isinstance(positional[0], list):
            return dict(zip(("start", "end"), positional, strict=True))
        return dict(zip(("x", "y") if len(positional) < 4 else ("x1", "y1", "x2", "y2"), positional,
                        strict=False))  # fmt: skip
    if verb in ("hotkey", "keydown", "keyup", "press"):
        return {"keys": positional}
    return {_NAMES_OF_POSITIONS.get(verb, "value"): positional[0]}
