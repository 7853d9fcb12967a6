"""A line that says how far a run is: rewritten on a terminal, now and then a new one in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

BAR_CHARACTERS = 24
LOG_INTERVAL_S = 30.0


class Progress:
    """Counts answers and shows them on a stream."""

    def __init__(
        self,
        total: int,
        stream: TextIO,
        *,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            total: items of the whole run.
            done: of them, by earlier runs.
            clock: seconds, only their differences count.
        """
        self._total, self._done, self._stream, self._clock = total, done, stream, clock
        self._before = done
        self._started = self._shown = clock()
        self._is_terminal = stream.isatty()

    def advance(self, note: str) -> None:
        """Count one more; ``note`` says what has come out so far."""
        self._done += 1
        now = self._clock()
        is_due = self._is_terminal or now - self._shown >= LOG_INTERVAL_S
        if is_due or self._done == self._total:
            self._shown = now
            self._show(note, now)

    def close(self) -> None:
        """Leave the line."""
        if self._is_terminal and self._done > self._before:
            self._stream.write("\n")
            self._stream.flush()

    def _show(self, note: str, now: float) -> None:
        filled = BAR_CHARACTERS * self._done // max(self._total, 1)
        rate = (now - self._started) / (self._done - self._before)
        left = _clock_time(rate * (self._total - self._done))
        bar = "█" * filled + "·" * (BAR_CHARACTERS - filled)
        line = f"{bar} {self._done}/{self._total}, {note}, {rate:.1f} s each, {left} left"
        # \x1b[K: what is left of a longer line before goes
        self._stream.write(f"\r{line}\x1b[K" if self._is_terminal else f"{line}\n")
        self._stream.flush()


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
