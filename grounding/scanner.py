"""One pass over a text that finds every list and object in it, however badly they are written.

The stack is bounded and every character is looked at a constant number of times. What cannot be
part of a list or an object ends the open ones, and what was finished inside them is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from grounding.tokens import (
    BARE_WORDS,
    CLOSERS,
    COLON,
    LITERALS,
    NOT_FINITE,
    OPENER,
    PLAIN_LIST,
    STRING_END,
    TOKEN,
)
from grounding.values import Bad, Container, Group, Object, to_ascii, to_number, unescape

MAX_DEPTH = 64
# More than the longest replies hold (64k tokens of detection JSON: 5k objects of 16 steps); keeps a
# megabyte of brackets under a second.
MAX_STEPS = 100_000
MAX_OBJECTS = 12_000
_MAX_BAD_ITEMS = 4
_MAX_LIST_STRING = 1000


@dataclass(slots=True)
class Scan:
    """What one pass found.

    Args:
        roots: outermost finished lists and objects, in order.
        cut_at: where a list or an object begins that the text does not finish.
        doubt_from: where a quote or a comment begins that the text does not finish; if it is one,
            what was found behind is its inside.
        is_partial: the budget was spent before the end.
    """

    roots: list[Container] = field(default_factory=list)
    cut_at: int | None = None
    doubt_from: int | None = None
    is_partial: bool = False

    def drop_doubtful(self) -> None:
        """Leave out what a growing text may yet turn into the inside of a string or a comment."""
        if self.doubt_from is not None:
            self.roots = [root for root in self.roots if root.start < self.doubt_from]


@dataclass(slots=True)
class Budget:
    """Steps that reading one reply may still take, whatever is written in it."""

    steps: int = MAX_STEPS
    objects: int = MAX_OBJECTS


def scan(text: str, start: int = 0, end: int | None = None, budget: Budget | None = None) -> Scan:
    """Read every list and object in ``text[start:end]``; offsets count from ``text``'s start."""
    return _Scanner(text, start, len(text) if end is None else end, budget or Budget()).run()


class _Scanner:
    """One pass over one stretch of text, with a stack of the lists and objects that are open."""

    def __init__(self, text: str, start: int, end: int, budget: Budget) -> None:
        self.budget = budget
        self.original = text[start:end]
        self.text = to_ascii(self.original)
        self.base = start
        self.pos = 0
        self.end = len(self.text)
        self.content_end = len(self.text.rstrip())
        self.stack: list[Container] = []
        self.scan = Scan()
        # What comes next or not at all is searched for once, or "['['['" would cost quadratic time.
        self.string_ends: dict[str, re.Match[str] | None] = {}
        self.has_comment_end = True

    def run(self) -> Scan:
        while self.pos < self.end:
            self.budget.steps -= 1
            if self.budget.steps < 0:
                self.scan.is_partial = True
                break
            if not self.stack:
                opener = OPENER.search(self.text, self.pos, self.end)
                if opener is None:
                    break
                self.pos = opener.end()
                self.open(opener[0], opener.start())
            else:
                self.step()
        if self.stack:
            if any(c.entries if isinstance(c, Object) else c.items for c in self.stack):
                self.scan.cut_at = self.stack[0].start
            self.give_up(is_cut=True)
        return self.scan

    def step(self) -> None:
        """Consume one token inside a list or an object."""
        token = TOKEN.match(self.text, self.pos, self.end)
        if token is None:  # a colon or a backslash out of place
            self.pos += 1
            if self.pos < self.content_end:  # at the end it may be half of something
                self.give_up()
            return
        self.pos = token.end()
        kind = token.lastgroup
        if kind == "open":
            self.open(token[0], token.start())
        elif kind == "close":
            self.close(token[0])
        elif kind == "quote":
            self.string(token[0])
        elif kind == "number":
            self.scalar(to_number(token["number"]), token["number"])
        elif kind == "word":
            self.word(token[0], token.start())
        elif kind == "comment":
            self.comment()

    def open(self, opener: str, start: int) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self.give_up()
        if self.stack and self.as_list_or_object() is None:
            self.give_up()
        start += self.base
        key = self.enclosing_key()
        if opener == "{":
            is_item = bool(self.stack) and isinstance(self.stack[-1], Group)
            self.stack.append(Object(start, key=key, is_item=is_item))
        else:
            self.stack.append(Group(opener, start, key=key))
        plain = PLAIN_LIST.match(self.text, self.pos, self.end)
        if plain is not None:
            top = self.as_list_or_object()
            assert isinstance(top, Group)  # a new object without a key is a list
            self.budget.steps -= 1
            top.items = [to_number(number.strip()) for number in plain[1].split(",")]
            self.pos = plain.end()
            self.close(plain[0][-1])

    def enclosing_key(self) -> str | None:
        """Return the key under which the next container stands, through lists around it."""
        if not self.stack:
            return None
        top = self.stack[-1]
        return top.pending_key if isinstance(top, Object) else top.key

    def as_list_or_object(self) -> Container | None:
        """Return the innermost container if it can take a value now; ``{1, 2}`` becomes a list."""
        top = self.stack[-1]
        if isinstance(top, Object) and top.pending_key is None:
            if top.entries:
                return None
            top = Group("{", top.start, key=top.key)
            self.stack[-1] = top
        return top

    def scalar(self, value: Any, source: str) -> None:
        top = self.stack[-1]
        if isinstance(top, Object) and top.pending_key is None and self.key(source):
            return
        if self.as_list_or_object() is None:
            self.give_up()
        else:
            self.attach(value)

    def key(self, name: str) -> bool:
        """Take ``name`` as the next key if a colon follows or may still follow."""
        top = self.stack[-1]
        assert isinstance(top, Object)
        colon = COLON.match(self.text, self.pos, self.end)
        if colon is None and self.pos < self.content_end:
            return False
        top.pending_key = name
        self.pos = colon.end() if colon else self.end
        return True

    def word(self, word: str, start: int) -> None:
        top = self.stack[-1]
        if isinstance(top, Object):
            if top.pending_key is not None:
                if word.lower() in LITERALS:
                    self.attach(LITERALS[word.lower()])
                else:
                    rest = BARE_WORDS.match(self.text, self.pos, self.end)
                    assert rest is not None  # the pattern matches the empty text
                    self.pos = rest.end()
                    self.attach(Bad(self.original[start : self.pos].strip()))
            elif not self.key(word):
                self.give_up()
            return
        # Words end a list, unless they replace a number: "[10, null, 30, 40]", "[10%, 20%]".
        recent = top.items[-_MAX_BAD_ITEMS:]
        is_item = (
            word.lower() in LITERALS
            or word.lower() in NOT_FINITE
            or word[0] in "-+.0123456789"
            or any(not isinstance(item, Group) for item in recent)
        )
        is_prose = len(recent) == _MAX_BAD_ITEMS and all(isinstance(i, Bad) for i in recent)
        if is_item and not is_prose:
            top.items.append(Bad(word))
        else:
            self.give_up(is_cut=self.pos == self.end)  # the word may still grow to one of these

    def string(self, quote: str) -> None:
        end = self.find_string_end(quote)
        top = self.stack[-1]
        if end is None and isinstance(top, Object) and (top.entries or top.pending_key):
            self.pos = self.end  # the rest is the inside of a string that is still being written
            return
        if isinstance(top, Group) and not self.is_short_line(end.start() if end else self.end):
            self.give_up()
            return
        if end is None:
            self.give_up_in_doubt(self.pos - len(quote))
            return
        content = unescape(self.original[self.pos : end.start()])
        self.pos = end.end()
        self.scalar(content, content)

    def is_short_line(self, end: int) -> bool:
        """Whether a string in a list is one: in a list of prose it may be an apostrophe."""
        return end - self.pos <= _MAX_LIST_STRING and "\n" not in self.text[self.pos : end]

    def find_string_end(self, quote: str) -> re.Match[str] | None:
        if quote in self.string_ends:
            known = self.string_ends[quote]
            if known is None or known.start() >= self.pos:
                return known
        pattern = STRING_END[quote]
        end = pattern.search(self.text, self.pos, self.end)
        while end is not None and quote in "\"'" and self.is_escaped(end.start()):
            end = pattern.search(self.text, end.end(), self.end)
        self.string_ends[quote] = end
        return end

    def is_escaped(self, position: int) -> bool:
        start = position
        while start > self.pos and self.text[start - 1] == "\\":
            start -= 1
        return (position - start) % 2 == 1

    def comment(self) -> None:
        end = self.text.find("*/", self.pos) if self.has_comment_end else -1
        self.has_comment_end = end >= 0
        if end >= 0:
            self.pos = end + 2
        elif self.has_content(self.stack[-1]):
            self.pos = self.end  # the rest is the inside of a comment that is still being written
        else:
            self.give_up_in_doubt(self.pos - len("/*"))

    @staticmethod
    def has_content(container: Container) -> bool:
        if isinstance(container, Object):
            return bool(container.entries) or container.pending_key is not None
        return bool(container.items)

    def close(self, closer: str) -> None:
        def closes(container: Container) -> bool:
            return closer == CLOSERS["{" if isinstance(container, Object) else container.opener]

        matching = next(
            (i for i in reversed(range(len(self.stack))) if closes(self.stack[i])), None
        )
        # A forgotten brace is repaired; "[1, 5)" is an interval.
        if matching is None or (
            matching < len(self.stack) - 1
            and not any(isinstance(container, Object) for container in self.stack[matching:])
        ):
            self.give_up()
            return
        while len(self.stack) > matching:
            container = self.stack.pop()
            container.end = self.base + self.pos
            if self.stack:
                self.attach(container)
            elif isinstance(container, Object) or container.items:
                self.scan.roots.append(container)

    def attach(self, value: Any) -> None:
        top = self.stack[-1]
        if isinstance(top, Group):
            top.items.append(value)
        elif top.pending_key is not None:
            top.entries.append((top.pending_key, value))
            top.pending_key = None

    def give_up_in_doubt(self, start: int) -> None:
        """Read on behind a quote or a comment that nothing closes: it may be prose, or half."""
        if self.scan.doubt_from is None:
            self.scan.doubt_from = self.base + start
        self.give_up(is_cut=True)

    def give_up(self, *, is_cut: bool = False) -> None:
        """Leave all open containers, keeping what is finished in them.

        An object cut by the end of the text is not finished; one that runs into prose is. A list
        keeps its inner lists unless it is the value of a key: the key says what its numbers are.
        """
        if is_cut and any(isinstance(c, Object) and c.entries for c in self.stack):
            self.scan.cut_at = self.stack[0].start
        has_key = False
        for container in self.stack:
            if isinstance(container, Object):
                has_key = True
                inner = [
                    item
                    for _, value in container.entries
                    for item in (_objects_in(value) if isinstance(value, Group) else [value])
                ]
                if not is_cut and container.entries:
                    container.end = self.base + self.pos
                    self.scan.roots.append(container)
                    continue
            else:
                inner = container.items
            # As if the list had ended before what is no list.
            is_list_of_lists = bool(inner) and isinstance(inner[0], Group)
            has_key = has_key or any(isinstance(item, Object) for item in inner)
            for item in inner:
                if isinstance(item, Group) and not has_key:
                    item.nested = is_list_of_lists
                    item.list_start = container.start
                    self.scan.roots.append(item)
                elif isinstance(item, Object):
                    self.scan.roots.append(item)
        self.stack = []


def _objects_in(group: Group) -> list[Object]:
    """Objects in a finished list, through lists of lists."""
    found: list[Object] = []
    for item in group.items:
        if isinstance(item, Object):
            found.append(item)
        elif isinstance(item, Group):
            found += _objects_in(item)
    return found
