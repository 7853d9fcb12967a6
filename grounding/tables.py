"""Pipe tables in a reply: which of their cells hold coordinates, and which other data."""

from __future__ import annotations

import bisect
import re

_PIPE = re.compile(r"(?<!\\)\|")
_ANY_TOKEN = re.compile(r"<\|[a-z_]{1,20}\|>")
_COORDINATES = re.compile(
    r"(?<![a-z])(?:b?box(?:es)?(?![a-z])|bound|coord|position|location|x_?(?:0|1|min))"
    r"|坐标|座標|框|位置",
    re.IGNORECASE,
)


class Tables:
    """The rows of all pipe tables of a text: those with a heading and a line of dashes below it."""

    def __init__(self, text: str) -> None:
        self.starts: list[int] = []
        # Of each row: where its cells end, and which of them hold coordinates.
        self.rows: list[tuple[list[int], list[bool]]] = []
        if "|" in text:
            self._read(_ANY_TOKEN.sub(lambda token: " " * len(token[0]), text))

    def is_data(self, offset: int, since: int) -> bool:
        """Whether ``offset`` is in a cell without coordinates, in a row behind ``since``."""
        row = bisect.bisect_right(self.starts, offset) - 1
        if row < 0 or self.starts[row] < since:
            return False
        ends, are_coordinates = self.rows[row]
        cell = bisect.bisect_right(ends, offset)
        return cell < len(ends) and not (cell < len(are_coordinates) and are_coordinates[cell])

    def _read(self, text: str) -> None:
        start = 0
        heading: list[bool] | None = None  # of the table that goes on
        above: list[bool] = []  # which cells of the line above name coordinates
        for line in text.splitlines(keepends=True):
            ends = _cell_ends(line, start)
            names = [
                _COORDINATES.search(text, first, last) is not None
                for first, last in zip([start, *ends], ends, strict=False)
            ]
            if not ends:
                heading = None
            elif heading is not None:
                self.starts.append(start)
                # A row may also begin with the name of what it holds.
                self.rows.append((ends, [True] * len(ends) if names[0] else heading))
            elif above and "-" in line and not line.strip("|:- \t\r\n"):
                heading = above
            above = names
            start += len(line)


def _cell_ends(line: str, start: int) -> list[int]:
    """Where the cells of a line end, as offsets of the text; none where it has no pipe."""
    pipes = [start + pipe.start() for pipe in _PIPE.finditer(line)]
    if not pipes:
        return []
    if line.lstrip().startswith("|"):
        del pipes[0]  # it opens the first cell
    return [*pipes, start + len(line)]
