"""Times and pages that an answer names -> addresses in the file that it is about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ui.conversation import Attached

# "0:08" may be said of the end of a clip of 7.6 seconds
ROUNDING_S = 0.5
_SHORTEST_STEM = 3
_NUMBER = r"\d{1,5}(?:\.\d{1,3})?"
_UNIT = r"(?:\s*|-)(?:s|secs?|seconds?)\b(?!\s*(?:per\b|/))"

_CLOCK = re.compile(
    r"(?<![A-Za-z0-9_:./])(?:(?P<hours>\d{1,2}):(?=[0-5]\d:))?"
    r"(?P<minutes>\d{1,3}):(?P<seconds>[0-5]\d(?:\.\d{1,3})?)(?!\d|:\d|\s?[ap]\.?m\b)",
    re.IGNORECASE,
)
# "12 seconds" alone may be how long something takes
_SECONDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:from|between)\s+(?P<a>{_NUMBER})(?:\s*s|\s*seconds?)?"
        rf"\s*(?:to|and|-|–)\s*(?P<b>{_NUMBER}{_UNIT})",
        rf"(?:\b(?:at|from|until|till)\s+(?:about\s+|around\s+|roughly\s+)?|\bt\s*=\s*)"
        rf"(?:the\s+)?(?P<a>{_NUMBER}{_UNIT}(?:\s+mark\b)?)",
        rf"\b(?P<a>second\s+{_NUMBER})\b",
        rf"\b(?P<a>{_NUMBER}[-\s]seconds?\s+mark)\b",
        rf"(?P<a>第\s*{_NUMBER}\s*秒)",
    )
)
_CHINESE_CLOCK = re.compile(
    r"(?:(?<=[在从到至])|第)\s*(\d{1,3})\s*分钟?\s*(\d{1,2}(?:\.\d{1,3})?)\s*秒"
)
_PAGES = re.compile(
    r"\b(?:pages|slides)\s*(?P<many>\d{1,5}(?:\s*(?:[-–—,&]|to\b|and\b|,\s*and\b)\s*\d{1,5}\b)*)"
    r"|\bpp\.\s*(?P<pp>\d{1,5}(?:\s*[-–—,]\s*\d{1,5}\b)*)"
    r"|\b(?:page|slide|p\.)\s*(?P<one>\d{1,5}(?:\s*[-–—]\s*\d{1,5}\b)?)"
    r"|第\s*(?P<chinese>\d{1,5}(?:\s*[-–—~至到、和]\s*\d{1,5})*)\s*页",
    re.IGNORECASE,
)
# a link within a link would end the outer one
_LINKED = re.compile(r"\[[^\]\n]*\]\([^)\n]*\)|\b(?:https?://|www\.)\S+")
_OF = re.compile(r"\W*\b(?:of|in|from|on)\W+(?:the\W+)?")


class Mention(NamedTuple):
    """A stretch of an answer, and where on the page it leads."""

    start: int
    end: int
    address: str


@dataclass(frozen=True, slots=True)
class _Named:
    """A place where the answer names one of the files."""

    start: int
    end: int
    file: Attached


def key_of(attached: Attached) -> str:
    """Return what addresses on the page call a file."""
    return hashlib.sha256((attached.path or attached.name).encode()).hexdigest()[:12]


def find_mentions(answer: str, files: Sequence[Attached]) -> list[Mention]:
    """Return the times and pages in ``answer`` that a file has, in order, none over another.

    Of several files the one counts that is named on the same line, or else before it, or else the
    last.
    """
    linked = [found.span() for found in _LINKED.finditer(answer)]
    mentions: list[Mention] = []
    clips = [file for file in files if file.kind == "video"]
    documents = [file for file in files if file.kind == "document" and file.pictures]
    if clips:
        names = _find_names(answer, clips)
        for start, end, seconds in _find_times(answer):
            file = _which(answer, (start, end), names) or clips[-1]
            if seconds <= _length_s(file) + ROUNDING_S:
                mentions.append(Mention(start, end, f"#time-{key_of(file)}-{seconds:g}"))
    if documents:
        names = _find_names(answer, documents)
        for start, end, number in _find_pages(answer):
            file = _which(answer, (start, end), names) or documents[-1]
            if number in {picture.place.number for picture in file.pictures}:
                mentions.append(Mention(start, end, f"#page-{key_of(file)}-{number}"))
    free: list[Mention] = []
    for mention in sorted(mentions, key=lambda m: (m.start, -m.end)):
        taken = [*linked, *((m.start, m.end) for m in free[-1:])]
        if not any(mention.start < end and start < mention.end for start, end in taken):
            free.append(mention)
    return free


def _length_s(clip: Attached) -> float:
    if clip.duration_s:
        return clip.duration_s
    return max((picture.place.time_s or 0.0 for picture in clip.pictures), default=0.0)


def _find_times(answer: str) -> Iterator[tuple[int, int, float]]:
    for found in _CLOCK.finditer(answer):
        minutes = int(found["hours"] or 0) * 60 + int(found["minutes"])
        yield *found.span(), minutes * 60 + float(found["seconds"])
    for found in _CHINESE_CLOCK.finditer(answer):
        yield *found.span(), int(found[1]) * 60 + float(found[2])
    for pattern in _SECONDS:
        for found in pattern.finditer(answer):
            for group in found.groupdict():
                number = re.search(_NUMBER, found[group])
                assert number is not None
                yield *found.span(group), float(number[0])


def _find_pages(answer: str) -> Iterator[tuple[int, int, int]]:
    """Yield each number; the first with the word before it."""
    for found in _PAGES.finditer(answer):
        group = found.lastgroup
        assert group is not None
        numbers = list(re.finditer(r"\d+", found[group]))
        offset = found.start(group)
        for index, number in enumerate(numbers):
            start = offset + number.start() if index else found.start()
            end = offset + number.end()
            if len(numbers) == 1:
                end = found.end()  # 第3页
            yield start, end, int(number[0])


def _find_names(answer: str, files: Sequence[Attached]) -> list[_Named]:
    """Return where files are named, in order; of files with the same name the last counts."""
    found: dict[int, _Named] = {}
    for file in files:
        names = {file.name, *(n for n in [Path(file.name).stem] if len(n) >= _SHORTEST_STEM)}
        known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        for name in re.finditer(rf"(?<!\w)(?:{known})(?!\w)", answer, re.IGNORECASE):
            found[name.start()] = _Named(*name.span(), file)
    return [found[start] for start in sorted(found)]


def _which(answer: str, span: tuple[int, int], names: Sequence[_Named]) -> Attached | None:
    """Return the file of "page 3 of NAME", or that named last before on the line, or after."""
    start, end = span
    line_start = answer.rfind("\n", 0, start) + 1
    line_end = answer.find("\n", end)
    line_end = len(answer) if line_end < 0 else line_end
    before = [name for name in names if name.end <= start]
    after = [name for name in names if end <= name.start and name.end <= line_end]
    if after and _OF.fullmatch(answer, end, after[0].start):
        return after[0].file
    if before and (before[-1].start >= line_start or not after):
        return before[-1].file
    return after[0].file if after else None
