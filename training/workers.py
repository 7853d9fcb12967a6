"""Processes that make batches ahead of the trainer and hand them over in the order of asking."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

RequestT = TypeVar("RequestT")
BatchT = TypeVar("BatchT")

# A process has its next request while its last batch is still on the way.
REQUESTS_PER_WORKER = 2


class WorkerError(RuntimeError):
    """A batch could not be made; the message holds what went wrong in the other process."""


class Workers(Generic[RequestT, BatchT]):
    """Makes batches for requests, several at a time; `take` returns them in the order of `submit`.

    What a batch holds depends on its request alone, not on the number of processes or on which of
    them makes it. The processes end with this one, however it ends, and leave Ctrl-C to it.

    Args:
        make: request -> batch; it is pickled once for each process.
        count: processes; 0 makes each batch here, when it is taken.
        prepare: called with each batch in a thread of this process.
    """

    def __init__(
        self,
        make: Callable[[RequestT], BatchT],
        count: int,
        *,
        prepare: Callable[[BatchT], Any] | None = None,
    ) -> None:
        self._make = make
        self._prepare = prepare or (lambda batch: batch)
        self._waiting: deque[tuple[int, RequestT]] = deque()  # for a process with nothing to do
        self._untaken: deque[tuple[int, RequestT]] = deque()
        self._made: dict[int, Any] = {}
        self._numbers = 0
        self._failure: str | None = None
        self._changed = threading.Condition()
        self._workers = [_Worker(make) for _ in range(count)]
        self._closing, self._wake = multiprocessing.Pipe(duplex=False)
        self._thread = threading.Thread(target=self._receive, name="batches", daemon=True)
        if count:
            self._thread.start()

    @property
    def untaken(self) -> tuple[RequestT, ...]:
        """Requests whose batches have not been taken, oldest first."""
        return tuple(request for _, request in self._untaken)

    def submit(self, request: RequestT) -> None:
        """Ask for a batch; returns at once."""
        with self._changed:
            self._waiting.append((self._numbers, request))
            self._untaken.append((self._numbers, request))
            self._numbers += 1
            self._assign()

    def take(self) -> Any:
        """Return the batch of the oldest request that has not been taken; waits until it is made.

        Raises:
            WorkerError: it could not be made, or a process ended.
            IndexError: nothing was asked for.
        """
        number, request = self._untaken[0]
        if not self._workers:
            self._waiting.popleft()
            self._untaken.popleft()
            return self._prepare(self._make(request))
        with self._changed:
            self._changed.wait_for(lambda: number in self._made or self._failure is not None)
            if number not in self._made:
                raise WorkerError(self._failure)
            self._untaken.popleft()
            return self._made.pop(number)

    def wait_until_made(self) -> None:
        """Return when every batch that was asked for can be taken at once, if others make them."""
        if not self._workers:
            return
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._made) == len(self._untaken) or self._failure is not None
            )

    def close(self) -> None:
        """End the processes; what was not taken is lost."""
        if self._thread.is_alive():
            self._wake.send(None)
            self._thread.join()
        for worker in self._workers:
            worker.end()
        self._workers = []

    def __enter__(self) -> Workers[RequestT, BatchT]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _assign(self) -> None:
        """Give waiting requests to the processes with the fewest."""
        while self._waiting and self._workers:
            worker = min(self._workers, key=lambda worker: len(worker.numbers))
            if len(worker.numbers) >= REQUESTS_PER_WORKER:
                return
            number, request = self._waiting.popleft()
            worker.ask(number, request)

    def _receive(self) -> None:
        """Collect batches as they come, until `close`."""
        by_connection: dict[Any, _Worker] = {w.connection: w for w in self._workers}
        while True:
            for connection in wait([*by_connection, self._closing]):
                if connection is self._closing:
                    return
                worker = by_connection[connection]
                try:
                    is_made, result = worker.connection.recv()
                    result = self._prepare(result) if is_made else result
                except (EOFError, OSError):
                    is_made, result = False, worker.describe_end()
                except Exception:  # what `prepare` raises belongs to whoever takes
                    is_made, result = False, traceback.format_exc()
                with self._changed:
                    if is_made:
                        self._made[worker.numbers.popleft()] = result
                        self._assign()
                    else:
                        self._failure = result
                    self._changed.notify_all()
                if not is_made:
                    return


class _Worker:
    """A process, the way to it, and the numbers of the requests that it has, oldest first."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        # not forked: a copy of a process that runs threads, or has used a GPU, may hang
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.numbers: deque[int] = deque()
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, make), daemon=True, name="batches"
        )
        # the mask is inherited: Ctrl-C in a terminal reaches all, and only the trainer may act.
        # What tracks resources is started first, as its start would unmask.
        resource_tracker.ensure_running()
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        theirs.close()

    def ask(self, number: int, request: Any) -> None:
        self.numbers.append(number)
        try:
            self.connection.send(request)
        except OSError:
            pass  # the process has ended, which whoever receives will find out

    def describe_end(self) -> str:
        self.process.join(timeout=5)
        return (
            f"a process that makes batches ended with exit code {self.process.exitcode}; "
            "if it is -9 the machine was short of memory: use fewer --workers"
        )

    def end(self) -> None:
        self.connection.close()  # it ends when nobody is there any more
        self.process.terminate()
        self.process.join()


def _work(connection: Connection, make: Callable[[Any], Any]) -> None:
    """Answer requests until the other end is closed, which its process's end does too."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    os.nice(2)  # a trainer on the same cores goes first: batches are made ahead of it
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, make(request))
        except Exception:
            answer = (False, traceback.format_exc())
        try:
            connection.send(answer)
        except OSError:
            return
