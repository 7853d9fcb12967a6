"""Asynchronous work in tests, also where the browser's own loop already runs in this thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


def run_in_a_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what ``work`` returns, run in a thread and a loop of its own.

    Playwright's synchronous interface keeps a loop running in the thread of the tests from the
    first browser test of a process on, and a thread has room for one.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, work).result()
