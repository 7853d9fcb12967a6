"""Where a text of Markdown has code between fences, also in lists and in quotes.

A fence that is indented begins code only if what it stands in is indented as much. So the list
items around are followed, by CommonMark's rule: what belongs to an item begins where its own text
does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

# More makes it a paragraph's next line, or code without fences.
MAX_INDENT = 3
TAB = 4  # columns

_QUOTE = re.compile(r"(?: {0,3}> ?)*")
_MARKER = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?=[ \t]|$)")
_FENCE = re.compile(r"(?P<run>`{3,})(?P<info>[^`]*)$|(?P<tildes>~{3,})(?P<more>.*)$")


class Block(NamedTuple):
    """Lines of prose, or of code with its fences.

    Attributes:
        lines: with their ends.
        info: what stands behind the opening fence; None for prose.
        quote: what each line begins with in a quote.
        indent: spaces before the opening fence, after ``quote``.
        is_closed: whether the code has come to its end.
    """

    lines: list[str]
    info: str | None = None
    quote: str = ""
    indent: int = 0
    is_closed: bool = False

    @property
    def code(self) -> str:
        """What stands between the fences, without the indentation of the first."""
        inner = self.lines[1 : -1 if self.is_closed else None]
        bare = [line[quote_of(line).end() :] for line in inner] if self.quote else inner
        return "".join(re.sub(rf"^ {{0,{self.indent}}}", "", line) for line in bare)


@dataclass
class _Opened:
    """Code that has not come to its end."""

    block: Block
    base: int  # where the text of the list item around begins; 0 outside of lists
    ending: re.Pattern[str]


@dataclass
class _Items:
    """The list items that a line may belong to: where the text of each begins, the inmost last."""

    depth: int = 0  # of quotes
    offsets: list[int] = field(default_factory=list)

    @property
    def base(self) -> int:
        return self.offsets[-1] if self.offsets else 0

    def enter(self, depth: int, rest: str) -> tuple[int, str]:
        """Take note of a line that is not blank; return its text and where that begins."""
        if depth != self.depth:
            self.depth, self.offsets = depth, []
        indent, text = _measure(rest)
        while self.offsets and self.offsets[-1] > indent:
            self.offsets.pop()
        while indent - self.base <= MAX_INDENT and (marker := _MARKER.match(text)):
            spaces, after = _measure(text[marker.end() :])
            indent += marker.end() + (spaces if 1 <= spaces <= TAB and after else 1)
            self.offsets.append(indent)
            text = after
        return indent, text


def split_blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text, in order; their lines together are the text."""
    items = _Items()
    prose: list[str] = []
    opened: _Opened | None = None
    for line in text.splitlines(keepends=True):
        quote = quote_of(line)
        depth, rest = quote[0].count(">"), line[quote.end() :].rstrip("\n")
        if opened is not None:
            block = opened.block
            indent, content = _measure(rest)
            if depth == items.depth and (not content or indent >= opened.base):
                block.lines.append(line)
                if indent - opened.base <= MAX_INDENT and opened.ending.match(content):
                    yield block._replace(is_closed=True)
                    opened = None
                continue
            yield block  # its list item or its quote is over
            opened = None
        if not rest.strip():
            prose.append(line)
            continue
        indent, content = items.enter(depth, rest)
        fence = _FENCE.match(content) if indent - items.base <= MAX_INDENT else None
        if fence is None:
            prose.append(line)
            continue
        if prose:
            yield Block(prose)
            prose = []
        info = (fence["info"] or fence["more"] or "").strip()
        run = fence["run"] or fence["tildes"]
        # as in the browser's parser, which takes more of either character
        ending = re.compile(rf"{run}[~`]* *$")
        opened = _Opened(Block([line], info, quote[0], indent), items.base, ending)
    if opened is not None:
        yield opened.block
    if prose:
        yield Block(prose)


def quote_of(line: str) -> re.Match[str]:
    """Return what a line begins with in a quote; empty outside."""
    found = _QUOTE.match(line)
    assert found is not None  # it may be empty
    return found


def _measure(text: str) -> tuple[int, str]:
    """Return how wide the space before a text is, and the text."""
    content = text.lstrip(" \t")
    space = text[: len(text) - len(content)]
    return len(space.expandtabs(TAB)), content
