"""Threads share heaps once they are told to."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, os, sys, threading
sys.path.insert(0, sys.argv[2])
libc = ctypes.CDLL("libc.so.6")
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fflush.argtypes = [ctypes.c_void_p]
libc.malloc.restype = ctypes.c_void_p
if sys.argv[1] == "together":
    from model.allocator import keep_memory_together
    assert keep_memory_together()
everybody = threading.Barrier(9)
def hold():
    libc.malloc(1000)
    everybody.wait()
    everybody.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads: thread.start()
everybody.wait()
out = libc.fdopen(1, b"w")
libc.malloc_info(0, out)
libc.fflush(out)
everybody.wait()
os._exit(0)
"""


def count_heaps(how: str, root: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how, root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is on Linux")
def test_threads_share_two_heaps(pytestconfig: pytest.Config) -> None:
    root = str(pytestconfig.rootpath)
    assert count_heaps("together", root) <= 2 < count_heaps("by itself", root)
