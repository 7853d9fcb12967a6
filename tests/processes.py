"""Servers in processes of their own: a port for them, and waiting until they answer."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request

import pytest

START_TIMEOUT_S = 60


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until the app answers; a test that waits in vain shows what the app printed."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except OSError:
            time.sleep(0.1)
    process.kill()
    pytest.fail(f"the app did not start:\n{process.communicate()[0]}")
