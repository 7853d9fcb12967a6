"""How the C library hands out memory in a server that runs for days."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Event, Thread

# numbers of glibc's <malloc.h>
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# By itself glibc gives each thread a heap of its own, and lets large blocks into it too: with the
# threads of a page, a third of what they held was free and could not be given back.
ARENAS = 2
LARGE_BLOCK_BYTES = 1024 * 1024
# What is freed between blocks that are still used stays with the process until it is asked for
# back: with 20 people on the page 25 to 60 MB, growing for minutes.
RETURN_INTERVAL_S = 15.0


def _function_of_glibc(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return None


def keep_memory_together() -> bool:
    """Let threads share heaps, and large blocks go back to the system when they are freed.

    Call before threads are started. False where the C library is another one than glibc, whose
    allocators are left alone.
    """
    mallopt = _function_of_glibc("mallopt")
    if mallopt is None:
        return False
    shared = mallopt(M_ARENA_MAX, ARENAS)
    returned = mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
    return bool(shared and returned)


def return_freed_memory(interval_s: float = RETURN_INTERVAL_S) -> Event | None:
    """Let free pages go back to the system every so often, in a thread of its own.

    Returns:
        Set it to end that. None where the C library is another one than glibc.
    """
    trim = _function_of_glibc("malloc_trim")
    if trim is None:
        return None
    ended = Event()

    def work() -> None:
        while not ended.wait(interval_s):
            trim(0)

    Thread(target=work, name="returning", daemon=True).start()
    return ended
