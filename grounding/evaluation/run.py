"""Asks about the items of a benchmark, several at a time; what comes back is kept at once."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator, Sequence

from grounding.evaluation.asking import Record
from grounding.evaluation.datasets import Item

logger = logging.getLogger(__name__)

# How long an interrupted run waits for answers in the making to be given up.
PATIENCE_S = 5.0


def run(
    items: Sequence[Item],
    answer: Callable[[Item, threading.Event], Record],
    *,
    concurrency: int = 1,
) -> Generator[Record, None, None]:
    """Yield what comes of each item, in the order in which answers come.

    An item whose answer fails yields a record with the error, and the run goes on. Closing the
    iterator (or an interrupt) sets the event that ``answer`` was given, and starts no other item.

    Args:
        answer: asks about an item; may look at the event to stop early, its record is then lost.
        concurrency: how many items are asked about at the same time, each in a thread.
    """
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    done: queue.SimpleQueue[Record] = queue.SimpleQueue()
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                record = answer(item, stopped)
            # one item must not end a run of hours, whatever is wrong with it
            except Exception as error:
                logger.debug("%s failed", item.name, exc_info=True)
                record = Record(item.key, error=f"{type(error).__name__}: {error}")
            done.put(record)

    # daemons: a request that hangs must not keep an interrupted program alive
    threads = [
        threading.Thread(target=work, name=f"asking {number}", daemon=True)
        for number in range(min(concurrency, len(items)))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            yield done.get()
    finally:
        stopped.set()
        for thread in threads:
            thread.join(PATIENCE_S)
