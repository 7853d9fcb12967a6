"""Where Markdown has tables, and rows in which a "|" of code or of a formula ends no cell."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LEAD = r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?"
# what stands under the head of a table
_RULE = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_BAR = re.compile(r"(?<!\\)\|")
_WHOLE = re.compile(
    r"(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"
    r"|\$\$.+?\$\$|\$(?=[^\s$])[^$]*?(?<=[^\s\\])\$(?!\d)|\\\(.+?\\\)|\\\[.+?\\\]"
)


def split_tables(prose: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text without fences, in order, and whether each is a table.

    In the tables, each "|" within code or a formula is escaped where it would make a cell too many,
    which the browser would leave out.
    """
    lines = prose.splitlines(keepends=True)
    done = at = 0
    while at < len(lines):
        if at > done and _begins_table(lines[at - 1], lines[at]):
            yield "".join(lines[done : at - 1]), False
            end = at + 1
            while end < len(lines) and lines[end].strip(" \t>\n"):
                end += 1
            width = _count_cells(lines[at])
            yield "".join(_fit(line, width) for line in lines[at - 1 : end]), True
            done = at = end
        at += 1
    yield "".join(lines[done:]), False


def _begins_table(head: str, rule: str) -> bool:
    if "|" not in rule or not head.strip() or not _RULE.fullmatch(rule.rstrip("\n")):
        return False
    width = _count_cells(rule)
    return _count_cells(_fit(head, width)) == width


def _fit(row: str, width: int) -> str:
    """Return a row in which code and formulas are whole, if it has more than ``width`` cells."""
    if _count_cells(row) <= width:
        return row
    return _WHOLE.sub(lambda found: _BAR.sub(r"\\|", found[0]), row)


def _count_cells(row: str) -> int:
    inner = re.sub(rf"^{_LEAD}", "", row).strip()
    inner = inner.removeprefix("|")
    bars = len(_BAR.findall(inner))
    return bars if re.search(r"(?<!\\)\|$", inner) else bars + 1
