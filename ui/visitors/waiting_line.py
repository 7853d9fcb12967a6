"""The order in which people are served: places, those who wait for one, and how often one asks."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from model.backends.base import BackendError

WINDOW_S = 60.0
FULL = "There are {before} questions before yours. Please try again in a minute."
TOO_OFTEN = (
    "You have asked as many questions as one person may within a minute here ({most}). "
    "Wait {seconds} s, then ask again."
)
TURNED_AWAY = (
    "Others have come to ask, and your other questions are before this one. "
    "Please ask it again when they are answered."
)


@dataclass(slots=True)
class Question:
    """One question in the line.

    Attributes:
        place: in the queue, 1 for the next; changes as others come and go.
    """

    visitor: str
    arrival: int
    takes_place: bool = True
    place: int = 0
    is_running: bool = False
    is_turned_away: bool = False
    called: threading.Event = field(default_factory=threading.Event)  # no longer waiting

    def wait(self, timeout_s: float) -> bool:
        """Wait for the question's turn, at most so long; return whether it has come.

        Raises:
            BackendError: there is no room for it any more.
        """
        called = self.called.wait(timeout_s)
        if self.is_turned_away:
            raise BackendError(TURNED_AWAY)
        return called


@dataclass(slots=True)
class _Visitor:
    """What is known of somebody who asks, until a while after that."""

    seen: float  # when they last asked
    running: int = 0
    served: int = 0  # which of all places given was their last
    waiting: deque[Question] = field(default_factory=deque)  # first come first
    asked: deque[float] = field(default_factory=deque)  # when, within the window


class WaitingLine:
    """Gives places to those who have fewest, then were served least recently, then came first.

    So somebody with ten open tabs is as one among others. Where no more can wait, whoever has most
    questions waiting makes room for those who have fewer.

    Args:
        places: questions that are answered at the same time.
        max_waiting: those that wait for a place; more are refused.
        max_per_minute: what one visitor may ask; 0 for no limit.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        places: int,
        *,
        max_waiting: int,
        max_per_minute: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._max_waiting = max_waiting
        self._max_per_minute = max_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._visitors: dict[str, _Visitor] = {}
        self._arrivals = count()
        self._given = 0  # places, ever
        self._running = 0
        self._waiting = 0
        self._beside = 0

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return self._waiting

    def enter(self, name: str, *, takes_place: bool = True) -> Question:
        """Join the line; the question may be called at once. ``leave`` it, whatever happens.

        Args:
            name: the visitor.
            takes_place: whether one of the places is needed; else it is only counted.

        Raises:
            BackendError: there is no room, or the visitor asks too often; the text says when to
                come again.
        """
        with self._lock:
            now = self._clock()
            self._forget(now)
            visitor = self._visitors.get(name) or _Visitor(now)
            self._check_rate(visitor, now)
            question = Question(name, next(self._arrivals), takes_place)
            if takes_place:
                self._make_room(visitor)
                visitor.waiting.append(question)
                self._waiting += 1
            elif self._beside < self._max_waiting + self._places:
                self._beside += 1
                question.called.set()
            else:
                raise BackendError(FULL.format(before=self._beside))
            visitor.seen = now
            if self._max_per_minute:
                visitor.asked.append(now)
            self._visitors[name] = visitor
            self._call()
            return question

    def leave(self, question: Question) -> None:
        """Give back the place of a question, or its place in the queue."""
        with self._lock:
            if not question.takes_place:
                self._beside -= 1
            elif question.is_running:
                question.is_running = False
                self._running -= 1
                self._visitors[question.visitor].running -= 1
            elif not question.is_turned_away:
                self._visitors[question.visitor].waiting.remove(question)
                self._waiting -= 1
            self._call()

    def _check_rate(self, visitor: _Visitor, now: float) -> None:
        asked = visitor.asked
        if self._max_per_minute and len(asked) >= self._max_per_minute:
            seconds = max(math.ceil(asked[0] + WINDOW_S - now), 1)
            raise BackendError(TOO_OFTEN.format(most=self._max_per_minute, seconds=seconds))

    def _make_room(self, visitor: _Visitor) -> None:
        """See to it that one more may wait, who may not have to."""
        if self._running < self._places or self._waiting < self._max_waiting:
            return
        most = max(self._visitors.values(), key=lambda other: len(other.waiting), default=visitor)
        # with one more, the newcomer must not be the one who has most
        if len(most.waiting) <= len(visitor.waiting) + 1:
            raise BackendError(FULL.format(before=self._running + self._waiting))
        newest = most.waiting.pop()
        self._waiting -= 1
        newest.is_turned_away = True
        newest.called.set()

    def _call(self) -> None:
        """Give away what places are free, and tell all others theirs in the queue."""
        number = 0
        free = self._places - self._running
        for question in list(self._in_order()):
            if free > 0:
                free -= 1
                self._give(question)
            else:
                number += 1
                question.place = number

    def _give(self, question: Question) -> None:
        visitor = self._visitors[question.visitor]
        visitor.waiting.remove(question)
        self._waiting -= 1
        visitor.running += 1
        self._running += 1
        self._given += 1
        visitor.served = self._given
        question.place = 0
        question.is_running = True
        question.called.set()

    def _in_order(self) -> Iterator[Question]:
        """Yield who waits, in the order in which they would be served if nobody came or left."""
        heap = []
        for visitor in self._visitors.values():
            if visitor.waiting:
                rest = iter(visitor.waiting)
                first = next(rest)
                heap.append((visitor.running, visitor.served, first.arrival, first, rest))
        heapq.heapify(heap)
        for served in count(self._given + 1):
            if not heap:
                return
            running, _, _, question, rest = heap[0]
            yield question
            following = next(rest, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (running + 1, served, following.arrival, following, rest))

    def _forget(self, now: float) -> None:
        """Drop what is older than the window, and visitors of whom nothing is left."""
        begin = now - WINDOW_S
        for name, visitor in list(self._visitors.items()):
            while visitor.asked and visitor.asked[0] <= begin:
                visitor.asked.popleft()
            if visitor.seen <= begin and not visitor.running and not visitor.waiting:
                del self._visitors[name]
