"""Where Markdown has tables, and rows in which a "|" within code ends no cell."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LEAD = r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?"
# what stands under the head of a table
_RULE = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_BAR = re.compile(r"(?<!\\)\|")
_LAST_BAR = re.compile(r"(?<!\\)\|$")
_CODE = re.compile(r"(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)")
# the browser takes formulas out before it looks for cells
_FORMULA = re.compile(r"\$\$.+?\$\$|\$(?=[^\s$])[^$]*?(?<=[^\s\\])\$(?!\d)|\\\(.+?\\\)|\\\[.+?\\\]")


def split_tables(prose: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text without fences, in order, and whether each is a table.

    In the tables, each "|" within code is escaped where it would make a cell too many, and the head
    of a table gets more cells where a row has more: the browser would leave out the rest.
    """
    lines = prose.splitlines(keepends=True)
    done = at = 0
    while at < len(lines):
        if at > done and _begins_table(lines[at - 1], lines[at]):
            yield "".join(lines[done : at - 1]), False
            end = at + 1
            while end < len(lines) and lines[end].strip(" \t>\n"):
                end += 1
            yield "".join(_make_whole(lines[at - 1 : end])), True
            done = at = end
        at += 1
    yield "".join(lines[done:]), False


def _begins_table(head: str, rule: str) -> bool:
    if "|" not in rule or not head.strip() or not _RULE.fullmatch(rule.rstrip("\n")):
        return False
    width = _count_cells(rule)
    return _count_cells(_fit(head, width)) == width


def _make_whole(table: list[str]) -> list[str]:
    head, rule, *rows = table
    width = _count_cells(rule)
    head, *rows = (_fit(row, width) for row in (head, *rows))
    missing = max(map(_count_cells, rows), default=width) - width
    return [_widen(head, "   |", missing), _widen(rule, " - |", missing), *rows]


def _widen(row: str, cell: str, missing: int) -> str:
    if missing <= 0:
        return row
    bare = row.rstrip()
    return bare + ("" if _LAST_BAR.search(bare) else " |") + cell * missing + row[len(bare) :]


def _fit(row: str, width: int) -> str:
    """Return a row in which code is whole, if it has more than ``width`` cells."""
    if _count_cells(row) <= width:
        return row
    return _CODE.sub(lambda found: _BAR.sub(r"\\|", found[0]), row)


def _count_cells(row: str) -> int:
    inner = _FORMULA.sub("", re.sub(rf"^{_LEAD}", "", row)).strip()
    inner = inner.removeprefix("|")
    bars = len(_BAR.findall(inner))
    return bars if _LAST_BAR.search(inner) else bars + 1
