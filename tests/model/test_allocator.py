"""Threads share heaps once they are told to, and what is free goes back."""

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


HOLES = """
import ctypes, sys, time
sys.path.insert(0, sys.argv[1])
from model.allocator import keep_memory_together, return_freed_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
keep_memory_together()
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(65536) for _ in range(1024)]
for block in blocks:
    libc.memset(block, 1, 65536)
for number, block in enumerate(blocks):
    if number % 8:
        libc.free(block)
held = resident()
ended = return_freed_memory(0.05)
for _ in range(200):
    time.sleep(0.05)
    if resident() < held - 40_000_000:
        break
ended.set()
print(held - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is on Linux")
def test_what_is_free_between_used_blocks_goes_back(pytestconfig: pytest.Config) -> None:
    command = [sys.executable, "-c", HOLES, str(pytestconfig.rootpath)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 40_000_000  # of the 57 MB that were freed
