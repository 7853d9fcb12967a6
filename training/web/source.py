"""Web pages as a source of batches: those that ``python -m training.web`` has written.

Everything on them is known, so all tasks and all objectives apply, as for drawn screens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from training.batches import DrawnScreens, Request, ScreenBatch, to_batch
from training.folders import read_screens
from training.screens import Screen
from training.seen import show
from training.tasks import turns

SHARE = 0.35  # of the batches, if nothing else is said


class WebAndDrawnScreens:
    """Makes batches of web pages, and of drawn screens between them.

    Args:
        drawn: makes those; all of the reading phase is its.
        folders: of web pages.
        share: part of the grounding phase's batches that are web pages.
    """

    def __init__(
        self, drawn: DrawnScreens, folders: Sequence[Path], *, share: float = SHARE
    ) -> None:
        self.folders = tuple(folders)
        self.share = share
        self._drawn = drawn

    def __getstate__(self) -> dict[str, Any]:
        # each process reads its own
        return {name: self.__dict__[name] for name in ("folders", "share", "_drawn")}

    @cached_property
    def screens(self) -> dict[tuple[int, int], list[Screen]]:
        """Web pages by (width, height), pixels; all in memory, three bytes a pixel."""
        found: dict[tuple[int, int], list[Screen]] = defaultdict(list)
        for folder in self.folders:
            for _, screen in read_screens(folder):
                found[screen.width, screen.height].append(screen)
        return dict(found)

    def __call__(self, request: Request) -> ScreenBatch[NDArray[Any]]:
        """Return the batch of a request; drawn screens where there are no pages of its sizes."""
        rng = request.random()
        sizes = [size for size in request.sizes if size in self.screens]
        if request.phase == "reading" or not sizes or rng.random() >= self.share:
            return self._drawn(request)
        size = rng.choice(sizes)
        seen = self._drawn.seen(request, size, rng)
        pages = self.screens[size]
        # a page that is taken twice gets other questions
        chosen = [rng.choice(pages) for _ in range(seen.screens)]
        asked = [
            turns(page, rng, request.turns, short=request.is_short, others=chosen)
            for page in chosen
        ]
        chosen, asked = show(chosen, asked, seen.size)
        return to_batch(request, chosen, asked, self._drawn.processor)
