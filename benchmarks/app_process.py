"""The app in a process of its own, and what that process holds, looked at each second."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import psutil

START_TIMEOUT_S = 120.0
# After the last visitor: threads that nobody needs end within this time (anyio: 10 s).
IDLE_S = 15.0
INTERVAL_S = 1.0
FAULT = "Traceback (most recent call last)"


class Sample(NamedTuple):
    """What the process held at one moment.

    Attributes:
        at_s: seconds since the app was ready.
        resident: bytes of memory.
        engine: bytes of running requests, of kept prefixes, of kept images and of opened files.
    """

    at_s: float
    resident: int
    threads: int
    files: int
    engine: tuple[int, ...]


class AppProcess:
    """``python app.py`` with the bundled model.

    Args:
        arguments: of the command line; with a --port.
        log: file for what it prints.
    """

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.samples: list[Sample] = []
        self.url = ""
        self._log = log
        spawn = multiprocessing.get_context("spawn")
        self._engine, reports = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_serve, args=(arguments, str(log), reports))
        self._process.start()
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def wait_until_ready(self, url: str) -> None:
        """Return once the page is served and the weights are loaded."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.is_alive():
            try:
                urllib.request.urlopen(url, timeout=5)
            except urllib.error.URLError:
                time.sleep(0.1)
                continue
            if self._engine.poll(INTERVAL_S):
                self.url = url
                self._watching.start()
                return
        raise RuntimeError(f"the app did not start:\n{self._log.read_text(encoding='utf-8')}")

    def wait_until_idle(self) -> None:
        """Let the process come to rest."""
        time.sleep(IDLE_S)

    def failures(self) -> list[str]:
        """Return what the app logged as errors, one entry for each."""
        pieces = self._log.read_text(encoding="utf-8").split(FAULT)[1:]
        return [f"log: {piece.strip()[-600:]}" for piece in pieces]

    def close(self) -> None:
        """End the process."""
        self._ended.set()
        if self._watching.is_alive():
            self._watching.join()
        self._process.terminate()
        self._process.join(10)

    def _watch(self) -> None:
        process, started = psutil.Process(self._process.pid), time.monotonic()
        engine: tuple[int, ...] = ()
        while not self._ended.wait(INTERVAL_S):
            while self._engine.poll():
                engine = self._engine.recv()
            with process.oneshot():
                self.samples.append(
                    Sample(
                        time.monotonic() - started,
                        process.memory_info().rss,
                        process.num_threads(),
                        process.num_fds(),
                        engine,
                    )
                )


def _serve(arguments: list[str], log: str, reports: Connection) -> None:
    """Run the app; report what its engine holds each second, once that is loaded."""
    with open(log, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import app
    from model.backends.local import LocalBackend

    class Watched(LocalBackend):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            threading.Thread(target=self._report, daemon=True).start()

        def _report(self) -> None:
            self.wait_until_settled()
            assert self._loaded is not None and self._prepared is not None
            while True:
                memory = self._loaded.engine.memory()
                reports.send((*memory, self._prepared.cache.nbytes))
                time.sleep(INTERVAL_S)

    app.LocalBackend = Watched  # type: ignore[misc]
    sys.argv = ["app.py", *arguments]
    app.main()
