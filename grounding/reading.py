"""Running the readers of all formats over one reply, and deciding which of them count."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from grounding.conventions import Size
from grounding.formats.action_objects import find_action_objects, is_tool_call, read_action_object
from grounding.formats.calls import find_calls
from grounding.formats.commands import read_commands, unfinished_command
from grounding.formats.detection import DetectionReader
from grounding.formats.lists import read_corners, read_list, read_pair, unquote_numbers
from grounding.formats.location_tokens import read_location_tokens
from grounding.formats.molmo import read_molmo
from grounding.formats.shapes import has_objects
from grounding.formats.steps import read_call
from grounding.formats.tags import read_tags
from grounding.formats.tool_calls import read_tool_calls
from grounding.markers import Code, Segment, code_spans, split_box_tokens
from grounding.places import AFTER_CHARACTERS
from grounding.readings import ActionReading, Findings, Reading
from grounding.scanner import Budget, Scan, scan
from grounding.tables import Tables
from grounding.values import Container, Group, Object

Span = tuple[int, int]
# What may stand around the coordinates of a pure coordinate answer: separators and a JSON fence.
_BETWEEN = re.compile(r"[\s,;.，；。、]+|```(?:json)?")
# In a fence of calls: imports, pauses and comments.
_BETWEEN_CALLS = re.compile(
    r"(?m)^[ \t]*(?:#|//|import |from |time\.sleep\(|sleep\()[^\n]*$|```[a-z]*|[\s,;.]+"
)


# What running all readers over an empty part costs, in steps of the scanner.
STEPS_PER_PART = 40
MAX_FOUND = 10_000


@dataclass(slots=True)
class _Part:
    """A stretch of the final text between two box tokens, with what was read in it."""

    segment: Segment
    scan: Scan
    # Actions; coordinates in a syntax of their own; coordinates in bare lists.
    actions: list[ActionReading] = field(default_factory=list)
    structured: list[Reading] = field(default_factory=list)
    bare: list[Reading] = field(default_factory=list)
    is_pure: bool = False


class Reader:
    """Reads one reply.

    After ``read``: ``found`` in the order in which the text finishes it, ``notes``, and
    ``answers``, the spans between box tokens that are answers in words.

    Args:
        text: the reply, thoughts and notes blanked.
        ranges: for each image the (right, bottom) values of the convention.
        answer_start: where ``<answer>`` begins; bare lists and actions before it are drafts.
        has_notes: an agent's notes are among what is blanked.
    """

    def __init__(
        self,
        text: str,
        ranges: Sequence[Size],
        *,
        answer_start: int,
        has_notes: bool,
        is_complete: bool,
    ) -> None:
        self.text = text
        self.ranges = ranges
        self.answer_start = answer_start
        self.has_notes = has_notes
        self.is_complete = is_complete
        self.budget = Budget()
        self.notes: list[str] = []
        self.found: list[Reading | ActionReading] = []
        self.answers: list[Span] = []
        self.code = code_spans(text)
        self.code_starts = [code.start for code in self.code]
        self.tables = Tables(text)
        self.is_program: dict[int, bool] = {}

    def read(self) -> None:
        """Read every part and keep what counts."""
        parts = [self.read_part(segment) for segment in split_box_tokens(self.text)]
        in_tokens = [part for part in parts if part.segment.in_tokens]
        in_prose = [part for part in parts if not part.segment.in_tokens]
        actions = [action for part in in_tokens for action in part.actions]
        if not actions and self.is_complete:
            actions = [action for part in in_prose for action in part.actions]
        readings = [r for part in in_tokens for r in (*part.structured, *part.bare)]
        has_coordinates = bool(readings)
        readings += [r for part in in_prose for r in part.structured]
        # The numbers beside an action are drafts of its arguments.
        if not has_coordinates and not actions and self.is_complete:
            readings += [r for part in in_prose for r in part.bare]
        found: list[Reading | ActionReading] = [*readings, *actions]
        found.sort(key=lambda item: item.end)
        self.found = found if self.is_complete else self.certain(found)
        if len(self.found) > MAX_FOUND:
            self.notes.append(f"more than {MAX_FOUND} boxes and points: the rest was left out")
            del self.found[MAX_FOUND:]
        self.answers = [
            (part.segment.start, part.segment.end) for part in in_tokens if self.is_answer(part)
        ]
        if min(self.budget.steps, self.budget.objects) < 0:
            self.notes.append("the reply is too long to be read to its end")

    def certain(self, found: list[Reading | ActionReading]) -> list[Reading | ActionReading]:
        """Return what no further text can change: its object, its image, its place in the order."""
        certain: list[Reading | ActionReading] = []
        for item in found:
            if item.end > len(self.text):
                break
            if len(self.ranges) > 1:
                if isinstance(item, ActionReading) or (item.image is None and item.place):
                    continue
                # The name of its image may still follow.
                if item.image is None and item.end + AFTER_CHARACTERS > len(self.text):
                    break
            certain.append(item)
        return certain

    def is_answer(self, part: _Part) -> bool:
        """Whether a part between box tokens is an answer in words, not only coordinates."""
        has_coordinates = bool(part.structured or part.bare)
        is_growing = (
            part.scan.cut_at is not None
            and not self.text[part.segment.start : part.scan.cut_at].strip()
        )
        return not (has_coordinates and part.is_pure) and not is_growing

    def read_part(self, segment: Segment) -> _Part:
        """Run all readers over one part; what stands inside something else read is left out."""
        start, end = segment.start, segment.end
        self.budget.steps -= STEPS_PER_PART
        if self.budget.steps < 0:
            return _Part(segment, Scan())
        part = _Part(segment, scan(self.text, start, end, self.budget))
        if not self.is_complete and end == len(self.text):
            part.scan.drop_doubtful()
        taken = _Spans()
        self.read_actions(part, taken)
        findings = Findings()
        tag_spans = [
            *read_tags(findings, self.text, start, end),
            *read_location_tokens(findings, self.text, start, end),
            *read_molmo(findings, self.text, start, end),
        ]
        part.structured = [r for r in findings.readings if not taken.covers(r.span[0])]
        self.notes += findings.notes
        roots = [
            root
            for root in part.scan.roots
            if not taken.covers(root.start) or (isinstance(root, Object) and is_tool_call(root))
        ]
        taken.add([span for span in tag_spans if not taken.covers(span[0])])
        in_tags = _Spans()
        in_tags.add(tag_spans)
        roots = [root for root in roots if not in_tags.covers(root.start)]
        part.is_pure = self.is_pure(start, end, part.scan.roots, taken)
        self.read_roots(part, roots, taken)
        is_cut = part.scan.cut_at is not None and not part.scan.is_partial
        if is_cut and not taken.covers(part.scan.cut_at or 0):
            self.notes.append("a list or object is not finished; its unfinished part was not used")
        return part

    def read_actions(self, part: _Part, taken: _Spans) -> None:
        """Read the actions of a part; of two that overlap the one that begins first counts."""
        start, end = part.segment.start, part.segment.end
        findings = Findings()
        calls, cut_at = find_calls(self.text, start, end)
        # A line that is still being written may yet say something else.
        is_growing = not self.is_complete and end == len(self.text)
        if is_growing and calls and not calls[-1].args and not self.text[calls[-1].end :].strip():
            calls.pop()
        actions = [action for call in calls if (action := read_call(call)) is not None]
        actions += [read_action_object(node) for node in find_action_objects(part.scan.roots)]
        tool_spans = read_tool_calls(findings, self.text, start, end, self.budget)
        is_whole = part.segment.is_closed and (
            part.segment.in_tokens or (start == 0 and end == len(self.text))
        )
        read_commands(findings, self.text, start, end, is_whole=is_whole, has_notes=self.has_notes)
        actions += [a for a in findings.actions if not (is_growing and a.end == end)]
        self.notes += findings.notes
        last = -1
        for action in sorted(actions, key=lambda action: (action.span[0], -action.span[1])):
            if action.span[0] >= last and self.may_act(action):
                part.actions.append(action)
                last = action.span[1]
        taken.add([action.span for action in part.actions] + tool_spans)
        if is_growing and (line := unfinished_command(self.text, start, end)) is not None:
            taken.add([(line, end)])
        if cut_at is not None and not taken.covers(cut_at):
            self.notes.append("the text ends inside an action; it was not used")
            taken.add([(cut_at, end)])

    def may_act(self, action: ActionReading) -> bool:
        """Whether an action is meant: not before ``<answer>`` and not a line of a program."""
        if action.span[0] < self.answer_start:
            return False
        code = self.code_at(action.span[0])
        if code is None or action.is_library or code.is_data:
            return True
        inside = self.text[code.start : code.end]
        if not code.is_fence:
            return True
        first = action.span[0] - code.start
        return not _BETWEEN_CALLS.sub("", inside[: min(first, 2000)])[-200:].strip("()[]{}")

    def read_roots(self, part: _Part, roots: list[Container], taken: _Spans) -> None:
        """Read JSON and bare lists."""
        findings, bare = Findings(), Findings()
        actions = {
            id(node) for node in find_action_objects(part.scan.roots) if not is_tool_call(node)
        }
        detections = DetectionReader(findings, self.budget, len(self.ranges), actions)
        is_pure = part.is_pure and part.segment.is_closed
        for root in roots:
            is_program = self.stands_in_program(root.start)
            if isinstance(root, Object) or has_objects(root):
                detections.read(root, free_labels=not is_program)
            elif part.segment.in_tokens:
                unquote_numbers(root)
                read_list(bare, self.text, root, ranges=self.ranges, in_tokens=is_pure)
            elif not is_program and root.start >= self.answer_start:
                read_list(bare, self.text, root, ranges=self.ranges, in_tokens=False)
        if not part.segment.in_tokens:
            segment = part.segment
            read_corners(bare, self.text, max(segment.start, self.answer_start), segment.end)
            is_whole = segment.start == 0 and segment.end == len(self.text)
            if is_whole and len(roots) == 1 and part.is_pure and isinstance(roots[0], Group):
                read_pair(bare, roots[0], self.ranges)
        self.notes += findings.notes
        part.structured += findings.readings
        part.bare += [
            r
            for r in bare.readings
            if not taken.covers(r.span[0])
            and not self.tables.is_data(r.span[0], since=part.segment.start)
        ]

    def code_at(self, offset: int) -> Code | None:
        index = bisect.bisect_right(self.code_starts, offset) - 1
        if index < 0 or offset >= self.code[index].end:
            return None
        return self.code[index]

    def stands_in_program(self, offset: int) -> bool:
        """Whether ``offset`` is in code that is, or may become, more than coordinates."""
        code = self.code_at(offset)
        if code is None:
            return False
        if code.start not in self.is_program:
            self.budget.steps -= STEPS_PER_PART
            found = scan(self.text, code.start, code.end, self.budget)
            is_pure = self.is_pure(code.start, code.end, found.roots, _Spans())
            is_data = code.is_data or (code.is_closed and is_pure)
            self.is_program[code.start] = not is_data
        return self.is_program[code.start]

    def is_pure(self, start: int, end: int, roots: list[Container], taken: _Spans) -> bool:
        """Whether ``text[start:end]`` is nothing but lists, objects and what is taken."""
        spans = sorted([*((root.start, root.end) for root in roots), *taken.within(start, end)])
        position, rest = start, []
        for first, last in spans:
            rest.append(self.text[position : max(position, first)])
            position = max(position, last)
        rest.append(self.text[position:end])
        return bool(spans) and not _BETWEEN.sub("", "".join(rest))


class _Spans:
    """Stretches of text that are read already."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, spans: list[Span]) -> None:
        merged: list[Span] = []
        for first, last in sorted([*self.spans, *spans]):
            if merged and first < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        self.spans = merged

    def covers(self, offset: int) -> bool:
        index = bisect.bisect_right(self.spans, (offset, float("inf"))) - 1
        return index >= 0 and offset < self.spans[index][1]

    def within(self, start: int, end: int) -> list[Span]:
        return [span for span in self.spans if start <= span[0] < end]
