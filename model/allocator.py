"""How the C library hands out memory in a server that runs for days."""

from __future__ import annotations

import ctypes

# numbers of glibc's <malloc.h>
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# By itself glibc gives each thread a heap of its own, and lets large blocks into it too: with the
# threads of a page, a third of what they held was free and could not be given back.
ARENAS = 2
LARGE_BLOCK_BYTES = 1024 * 1024


def keep_memory_together() -> bool:
    """Let threads share heaps, and large blocks go back to the system when they are freed.

    Call before threads are started. False where the C library is another one than glibc, whose
    allocators are left alone.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    shared = mallopt(M_ARENA_MAX, ARENAS)
    returned = mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
    return bool(shared and returned)
