"""Extractors: an agent's next steps, as calls (PC, AutoGLM phone) or as JSON (mobile)."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from typing import Any

from grounding.detection import ACTION_KEY, BOX_KEYS, POINT_KEYS, fold
from grounding.placing import Placer
from grounding.result import Action
from grounding.values import Bad, Group, Object, scan, to_ascii, to_number, unescape

TARGET_ARGS = ("startbox", "point", "element", "start", *BOX_KEYS)
END_ARGS = ("endbox", "end")
# Zhipu's PC agent (OSWorld) and AutoGLM.
_CALL = re.compile(
    r"(?<![\w.])(left_click|right_click|middle_click|hover|left_double_click|left_drag|key|type|scroll"
    r"|wait|done|fail|do|finish)\s{0,3}\(",
    re.IGNORECASE,
)
_WITHOUT_ARGUMENTS = ("wait", "done", "fail")
_BARE_WORD = re.compile(r"\s*(WAIT|DONE|FAIL|wait|done|fail)\s*")
_BARE_LINE = re.compile(
    r"^[ \t*]*Action[ \t*]*:[ \t]*(WAIT|DONE|FAIL|wait|done|fail)[ \t]*$", re.MULTILINE
)
_LINE_START = re.compile(r"(?:^|\n)[ \t*]*(?:Action[ \t*]*:[ \t]*)?$", re.IGNORECASE)
_LINE_END = re.compile(r"[ \t*]{0,8}(?:\n|$)")
_ARGUMENT = re.compile(r"[\s,]{0,20}([A-Za-z_]\w{0,30})\s{0,3}=\s{0,3}")
_CALL_END = re.compile(r"[\s,]{0,20}\)")
# A quote ends an argument where the next one begins or the call ends, not inside a text.
_QUOTE_END = re.compile(
    r"(?<!\\)(?P<quote>[\"'])(?:\s{0,20},\s{0,20}"
    r"(?:start_box|end_box|(?:start_|end_)?element_info|hold_keys|keys|content|direction|steps?|action"
    r"|element|start|end|text|app|duration|message|instruction|point)\s{0,3}="
    r"|(?P<last>\s{0,20}\)))"
)
_UNQUOTED = re.compile(r"[^\s,()\[\]'\"]{1,100}(?=[\s,)])")
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LIST_START = re.compile(r"[\[(]{1,2}\s{0,3}[-0-9]")
_MAX_LIST_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Call:
    """A call as written: name, arguments as strings, numbers or lists, place in the reply."""

    name: str
    args: dict[str, Any]
    start: int
    end: int


def find_calls(text: str, offset: int) -> tuple[list[Call], bool]:
    """Read every agent call in the text; the flag says that the last one was cut off.

    ``offset`` is where ``text`` begins in the reply; the calls' places count from there.
    """
    reader = _CallReader(text)
    calls: list[Call] = []
    end = 0
    for match in reader.names:
        if match.start() < end:
            continue  # inside the arguments of the call before
        read = reader.read(match)
        if read is not None:
            args, end = read
            calls.append(Call(match[1], args, offset + match.start(), offset + end))
    return calls, reader.is_cut


class _CallReader:
    """Reads calls in linear time: ends of quoted arguments are looked up, not searched for."""

    def __init__(self, text: str) -> None:
        self.original = text
        self.text = to_ascii(text)
        self.names = list(_CALL.finditer(self.text))
        self.name_starts = [match.start() for match in self.names]
        ends = list(_QUOTE_END.finditer(self.text))
        self.quote_ends = {q: [end for end in ends if end["quote"] == q] for q in "\"'"}
        self.quote_starts = {q: [e.start() for e in ends] for q, ends in self.quote_ends.items()}
        self.is_cut = False  # the call read last runs into the end of the text

    def read(self, match: re.Match[str]) -> tuple[dict[str, Any], int] | None:
        """Read the call that ``match`` opens; returns (arguments, end), ``None`` if it is none."""
        # Strings are taken out at the end: a call that comes to nothing must not cost its length.
        args: dict[str, Any] = {}
        position = match.end()
        self.is_cut = False
        while (end := _CALL_END.match(self.text, position)) is None:
            name = _ARGUMENT.match(self.text, position)
            value = self.value(name.end()) if name else None
            if name is None or value is None:
                self.is_cut = name is not None or not self.text[position : position + 20].strip()
                return None
            args[name[1]], position = value
        if not args and not self.is_complete_without_arguments(match, end.end()):
            return None
        args = {
            key: unescape(self.original[value]) if isinstance(value, slice) else value
            for key, value in args.items()
        }
        return args, end.end()

    def is_complete_without_arguments(self, match: re.Match[str], end: int) -> bool:
        """Whether it is ``WAIT()``, or ``wait()`` on its own line: the latter is also code."""
        if match[1].lower() not in _WITHOUT_ARGUMENTS:
            return False
        line_before = self.text[max(0, match.start() - 20) : match.start()]
        return match[1].isupper() or bool(
            _LINE_START.search(line_before) and _LINE_END.match(self.text, end)
        )

    def value(self, start: int) -> tuple[Any, int] | None:
        """Read an argument's value; returns (number, list or slice of the text, where it ends)."""
        opener = self.text[start : start + 1]
        if opener in ("'", '"'):
            end = self.quote_end(start + 1, opener)
            return None if end is None else (slice(start + 1, end), end + 1)
        if _LIST_START.match(self.text, start):
            roots = scan(self.text[start : start + _MAX_LIST_CHARACTERS]).roots
            is_list = bool(roots) and roots[0].start == 0
            return (_to_plain(roots[0]), start + roots[0].end) if is_list else None
        bare = _UNQUOTED.match(self.text, start)
        if bare is None:
            return None
        is_number = _NUMBER.fullmatch(bare[0]) is not None
        return (to_number(bare[0]) if is_number else slice(*bare.span())), bare.end()

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


def add_calls(placer: Placer, calls: list[Call]) -> list[tuple[int, Action]]:
    """Turn calls into actions with pixel targets; AutoGLM's ``do(action=...)`` is that action."""
    actions = []
    for call in calls:
        args, name = dict(call.args), call.name
        if name.lower() == "do":
            if "action" not in args:
                continue
            name = str(args.pop("action"))
        target, index = _place_first(placer, args, TARGET_ARGS, call.start, call.end)
        end, _ = _place_first(placer, args, END_ARGS, call.start, call.end)
        span = (call.start, call.end)
        actions.append((call.start, Action(name, args, target, end, index, span)))
    return actions


def find_bare_words(text: str, offset: int) -> list[tuple[int, Action]]:
    """Read ``DONE``, ``wait`` or ``fail`` that is the whole text or a whole ``Action:`` line."""
    text = to_ascii(text)
    whole = _BARE_WORD.fullmatch(text)
    words = [whole] if whole else _BARE_LINE.finditer(text)
    return [
        (
            offset + word.start(1),
            Action(word[1], {}, span=(offset + word.start(1), offset + word.end(1))),
        )
        for word in words
    ]


def find_action_objects(roots: list[Any]) -> list[Object]:
    """Objects with an ``action_type``, at any depth, in order."""
    found: list[Object] = []
    for root in roots:
        if isinstance(root, Group):
            found += find_action_objects(root.items)
        elif isinstance(root, Object):
            if any(fold(key) == ACTION_KEY for key, _ in root.entries):
                found.append(root)
            else:
                found += find_action_objects([value for _, value in root.entries])
    return found


def add_action_object(placer: Placer, node: Object) -> tuple[int, Action]:
    """Turn mobile JSON into an action; its box also becomes a box of the result."""
    args = {key: _to_plain(value) for key, value in node.entries}
    action_type = args.pop(next(key for key in args if fold(key) == ACTION_KEY))
    names = (*POINT_KEYS, *BOX_KEYS)  # a point is more exact than the centre of a box
    target, index = _place_first(placer, args, names, node.start, node.end)
    return node.start, Action(str(action_type), args, target, None, index, (node.start, node.end))


def _place_first(
    placer: Placer, args: dict[str, Any], names: tuple[str, ...], start: int, end: int
) -> tuple[tuple[float, float] | None, int]:
    """Place the first argument of ``names``: (its point or the centre of its box, image index)."""
    by_name = {fold(key): value for key, value in args.items()}
    for name in names:
        numbers = _numbers_in(by_name.get(name))
        if len(numbers) == 2:
            point = placer.point(numbers, start, end)
            return (point.xy, point.image_index) if point else (None, 0)
        if numbers:
            box = placer.add_box(numbers, start, end)
            return (box.center, box.image_index) if box else (None, 0)
    return None, 0


def _numbers_in(value: Any) -> list[Any]:
    """Numbers of the first list in an argument, ``'[[12, 34]]'``; none for other text."""
    if isinstance(value, str):
        text = to_ascii(value)
        roots = scan(text if any(opener in text for opener in "[({<") else f"[{text}]").roots
        value = _to_plain(roots[0]) if roots else None
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not any(isinstance(item, int | float) for item in value):
        return []
    return value


def _to_plain(value: Any) -> Any:
    """Turn scanned values into lists, dicts, strings and numbers."""
    if isinstance(value, Group):
        return [_to_plain(item) for item in value.items]
    if isinstance(value, Object):
        return {key: _to_plain(item) for key, item in value.entries}
    return value.text if isinstance(value, Bad) else value
