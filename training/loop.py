"""The steps of a run, from where it stands to its end or to where it is stopped."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from training.batches import Request, ScreenBatch
from training.curriculum import Curriculum
from training.figures import Averages, Later
from training.run import RunFolder
from training.schedule import Schedule
from training.trainer import Trainer
from training.workers import WorkerError, Workers

SAVE_EVERY_S = 120.0
DRAW_EVERY_S = 30.0
LOG_LINES = 300  # about so many over a run
MAX_LOG_STEPS = 50
# Batches that are asked for ahead, and steps after which figures are read: on a GPU never too soon
# to make it wait. Both are fixed, not what the moment allows, so that a run can be repeated.
AHEAD = {"cpu": 4, "cuda": 48}
READ_AFTER = {"cpu": 0, "cuda": 4}


class Stopping:
    """Whether the run has been asked to stop: by Ctrl-C, or as a system shuts down.

    A second Ctrl-C stops at once, without saving.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stopped_by_signals() -> Iterator[Stopping]:
    """Turn SIGINT and SIGTERM into a wish, inside the context."""
    stopping = Stopping()
    before = {
        number: signal.signal(number, stopping.ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Loop:
    """Takes a trainer's steps; keeps its state in the run's folder, every few minutes and at stops.

    Args:
        run: whose log and state are written.
        trainer: at its beginning; `restore` goes on instead.
        workers: with nothing asked for.
        request: returns the request of a step at a difficulty.
        evaluate: called before some steps with the steps that were done; returns figures.
        evaluate_at: after how many steps it is called.
        say: told each line of the log.
    """

    def __init__(
        self,
        run: RunFolder,
        trainer: Trainer,
        workers: Workers[Request, ScreenBatch[Tensor]],
        request: Callable[[int, float], Request],
        *,
        evaluate: Callable[[], dict[str, float]],
        evaluate_at: frozenset[int] = frozenset(),
        say: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._run = run
        self._trainer = trainer
        self._workers = workers
        self._request = request
        self._evaluate = evaluate
        self._evaluate_at = evaluate_at
        self._say = say
        kind = trainer.device.type
        self._ahead, self._read_after = AHEAD.get(kind, AHEAD["cuda"]), READ_AFTER.get(kind, 0)
        self._curriculum = Curriculum()
        self._averages = Averages()
        self._unread: deque[tuple[Request, bool, Later | dict[str, float]]] = deque()
        self._asked = 0  # steps whose batches were asked for
        self.seconds = 0.0
        self.screens = 0
        self.questions = 0

    @property
    def _schedule(self) -> Schedule:
        return self._trainer.schedule

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state that was saved."""
        self._trainer.load_state_dict(state["trainer"])
        self._curriculum.load_state_dict(state["curriculum"])
        self._averages.load_state_dict(state["averages"])
        self.seconds = state["seconds"]
        self.screens, self.questions = state["screens"], state["questions"]
        for step, difficulty, has_pages, figures in state["unread"]:
            self._unread.append((self._request(step, difficulty), has_pages, dict(figures)))
        self._asked = self._trainer.done
        for step, difficulty in state["untaken"]:
            # at the difficulty at which it was asked for, not at the present one
            self._workers.submit(self._request(step, difficulty))
            self._asked = step + 1
        self._run.forget_after(self._trainer.done)

    def steps(self, stopping: Stopping) -> bool:
        """Take steps until the end or until a stop is asked for; return whether it is the end.

        Raises:
            WorkerError: a batch could not be made; the state was saved.
        """
        trainer = self._trainer
        began = saved = drawn = time.perf_counter()
        before, logged, logged_screens = self.seconds, began, self.screens
        log_every = max(1, min(MAX_LOG_STEPS, self._schedule.steps // LOG_LINES))
        while trainer.done < self._schedule.steps and not stopping.asked:
            self._ask_ahead()
            try:
                batch = self._workers.take()
            except WorkerError:
                self.save()
                raise
            self._unread.append((batch.request, batch.has_pages, Later(trainer.step(batch))))
            self.screens += batch.images.shape[0]
            self.questions += batch.questions
            if len(self._unread) > self._read_after:
                self._read()
            now = time.perf_counter()
            self.seconds = before + now - began
            if trainer.done % log_every == 0 or trainer.done == self._schedule.steps:
                rate = (self.screens - logged_screens) / (now - logged)
                self._log({"screens_per_second": rate, **self._averages.take()})
                logged, logged_screens = now, self.screens
            if trainer.done in self._evaluate_at:
                self._log(self._evaluate())
                logged = time.perf_counter()
            if now - drawn > DRAW_EVERY_S:
                self._run.draw()
                drawn = now
            if now - saved > SAVE_EVERY_S:
                self.save()
                saved = time.perf_counter()
        self.save()
        self._run.draw()
        return trainer.done == self._schedule.steps

    def save(self) -> None:
        """Keep everything that the next step depends on."""
        self._run.save_state(
            {
                "trainer": self._trainer.state_dict(),
                "curriculum": self._curriculum.state_dict(),
                "averages": self._averages.state_dict(),
                "seconds": self.seconds,
                "screens": self.screens,
                "questions": self.questions,
                "unread": [
                    (request.step, request.difficulty, has_pages, _figures(later))
                    for request, has_pages, later in self._unread
                ],
                "untaken": [(r.step, r.difficulty) for r in self._workers.untaken],
            }
        )

    def _ask_ahead(self) -> None:
        """Ask for batches as far ahead as allowed, pages at the difficulty that is right now."""
        last = min(self._schedule.steps, self._trainer.done + self._ahead)
        while self._asked < last:
            self._workers.submit(self._request(self._asked, self._curriculum.difficulty))
            self._asked += 1

    def _read(self) -> None:
        """Take note of the oldest figures that were not read."""
        request, has_pages, later = self._unread.popleft()
        figures = _figures(later)
        self._averages.add(figures)
        if has_pages and "characters" in figures:
            progress = self._schedule.progress(request.step)
            self._curriculum.learn(request.difficulty, figures["characters"], progress)

    def _log(self, figures: Mapping[str, float]) -> None:
        step = self._trainer.done
        entry: dict[str, Any] = {
            "step": step,
            "phase": self._schedule.phase(step - 1),
            "seconds": round(self.seconds, 1),
            **{name: float(f"{value:.6g}") for name, value in figures.items()},
        }
        if entry["phase"] == "reading":
            entry["difficulty"] = round(self._curriculum.difficulty, 4)
        self._run.add(entry)
        self._say(entry)


def _figures(later: Later | dict[str, float]) -> dict[str, float]:
    return later.read() if isinstance(later, Later) else later
