"""Which image a text means: ``image 2``, ``page 3``, ``0:12``, ``frame 4``."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grounding.values import to_ascii


@dataclass(frozen=True, slots=True)
class Place:
    """What an answer may call one of the images that were sent.

    Args:
        kind: a picture of its own, a page of a document or a frame of a clip.
        number: "page 3", "image 2", "frame 4"; ``None``: its position among those of its kind,
            counted from one.
        time_s: of a frame, in seconds from the start of the clip.
    """

    kind: Literal["image", "page", "frame"]
    number: int | None = None
    time_s: float | None = None


# People and models count images from one.
_NUMBERED = (
    r"(?:\b(?P<image>image|picture|photo|screenshot|img)"
    r"|\b(?P<page>page|slide)|\b(?P<frame>frame))"
    r"\s{0,3}(?:no\.\s?|number\s|#)?\s?(?P<number>[0-9]{1,4})(?![0-9])"
    r"|(?P<zh>[图圖]片?|第)\s{0,3}(?P<zhnumber>[0-9]{1,4})(?:\s?(?P<zhkind>页|頁|帧|幀|张|張))?"
)
_TIME = (
    r"(?<![0-9:.])(?P<clock>(?:[0-9]{1,2}:)?[0-9]{1,2}:[0-9]{2}(?:\.[0-9]{1,3})?)(?!:?[0-9])"
    r"|(?<![0-9:.])(?P<seconds>[0-9]{1,6}(?:\.[0-9]{1,3})?)\s?(?:s|sec|secs|seconds?|秒)(?![A-Za-z])"
)
_ANY = rf"(?:{_NUMBERED}|{_TIME})"
# A look at the first character is cheaper than trying every word.
_NAME = re.compile(rf"(?=[ipsfIPSF图圖第])(?:{_NUMBERED})", re.IGNORECASE)
_NAME_OR_TIME = re.compile(rf"(?=[ipsfIPSF图圖第0-9]){_ANY}", re.IGNORECASE)
# Right behind the coordinates: "[[1,2,3,4]] (image 2)", "[[1,2,3,4]] on page 3".
_NAME_AFTER = re.compile(
    r"[\])}>,;\s]{0,8}(?:\(|in |of |on |from |at ){1,2}(?:the )?" + _ANY, re.IGNORECASE
)
AFTER_CHARACTERS = 60
MAX_NAMES = 20_000  # of images in one reply; those behind name nothing
_TIME_TOLERANCE_S = 0.05


class PlaceNames:
    """Finds the image a text means at an offset: the one named right after, or the last named.

    With one image "Image 2" is something to be seen in it, and nothing is looked up.
    """

    def __init__(self, text: str, count: int, places: Sequence[Place] | None) -> None:
        self.count = count
        self.text = to_ascii(text)
        self.places = list(places) if places is not None else [Place("image")] * count
        self.kinds = {place.kind for place in self.places}
        self.numbers = _number_places(self.places)
        self.times = sorted(
            (place.time_s, index)
            for index, place in enumerate(self.places)
            if place.time_s is not None
        )
        self.offsets: list[int] = []
        self.indices: list[int | str] = []
        pattern = _NAME_OR_TIME if self.times else _NAME
        names = pattern.finditer(self.text) if count > 1 else iter(())
        for name in itertools.islice(names, MAX_NAMES):
            found = self._resolve(name)
            if found is not None:
                self.offsets.append(name.start())
                self.indices.append(found)

    def at(self, start: int, end: int) -> int | str | None:
        """Return the index of the image meant by what stands at ``text[start:end]``.

        ``None``: none is named. A string says in words that the one named does not exist.
        """
        if self.count == 1:
            return 0
        if self.count == 0:
            return None
        after = _NAME_AFTER.match(self.text, end, end + AFTER_CHARACTERS)
        found = self._resolve(after) if after is not None else None
        if found is None:
            before = bisect.bisect_right(self.offsets, start) - 1
            found = self.indices[before] if before >= 0 else None
        return found

    def first(self) -> str:
        """Return what a text would call the first image."""
        return f"{self.places[0].kind} {self.places[0].number or 1}"

    def numbered(self, kind: str, number: int) -> int | str | None:
        """Return the index of "page 3" and the like; ``None``: no such kind was sent."""
        if (kind, number) in self.numbers:
            return self.numbers[kind, number]
        if kind in self.kinds and kind != "image":
            return f"{kind} {number} was not sent"
        if kind != "image":
            return None
        # Pages and frames are sent as images: "image 2" is the second of them.
        if 1 <= number <= self.count:
            return number - 1
        return f"image {number} does not exist, there are {self.count}"

    def look_up(self, kind: str, number: float, *, are_keys_times: bool) -> int | str | None:
        """Return the index for what an object says beside its box (``Reading.place``)."""
        if kind == "time" or (kind == "key" and self.times and are_keys_times):
            return self.timed(number)
        if kind == "index":
            return self.timed(number) if self.times else self.numbered("image", int(number))
        if kind != "key":
            return self.numbered(kind, int(number))
        if ("frame", int(number)) in self.numbers:
            return self.numbers["frame", int(number)]
        return self.timed(number) if self.times else int(number)

    def timed(self, time_s: float) -> int | None:
        """Return the index of the frame nearest to a time; ``None`` without frames."""
        if not self.times:
            return None
        right = bisect.bisect_left(self.times, (time_s, -1))
        around = self.times[max(0, right - 1) : right + 1]
        return min(around, key=lambda entry: abs(entry[0] - time_s))[1]

    def is_time(self, time_s: float) -> bool:
        """Whether a frame was taken at that very time."""
        position = bisect.bisect_left(self.times, (time_s - _TIME_TOLERANCE_S, -1))
        return position < len(self.times) and self.times[position][0] <= time_s + _TIME_TOLERANCE_S

    def _resolve(self, name: re.Match[str]) -> int | str | None:
        groups = name.groupdict()
        if groups.get("clock") is not None:
            seconds = 0.0
            for part in name["clock"].split(":"):
                seconds = seconds * 60 + float(part)
            return self.timed(seconds)
        if groups.get("seconds") is not None:
            return self.timed(float(name["seconds"]))
        if name["zh"] is not None:
            kinds = {"页": "page", "頁": "page", "帧": "frame", "幀": "frame"}
            kind = kinds.get(name["zhkind"] or "", "image")
            # "第2" alone is any second; "第2张" is the second picture.
            if name["zh"] == "第" and name["zhkind"] is None:
                return None
            return self.numbered(kind, int(name["zhnumber"]))
        kind = next(kind for kind in ("image", "page", "frame") if name[kind] is not None)
        return self.numbered(kind, int(name["number"]))


def last_named(text: str, places: Sequence[Place]) -> int | None:
    """Return the index of the image that a text, such as a question, names last.

    ``None``: it names none, names one that was not sent, or there is but one.
    """
    if len(places) < 2:
        return None
    found = PlaceNames(text, len(places), places).at(len(text), len(text))
    return found if isinstance(found, int) and 0 <= found < len(places) else None


def _number_places(places: Sequence[Place]) -> dict[tuple[str, int], int]:
    numbers: dict[tuple[str, int], int] = {}
    counts: dict[str, int] = {}
    for index, place in enumerate(places):
        counts[place.kind] = counts.get(place.kind, 0) + 1
        number = counts[place.kind] if place.number is None else place.number
        numbers.setdefault((place.kind, number), index)
    return numbers
