"""A real page in Chromium that the agent looks at and acts on, confined to allowed origins.

Chromium and Playwright run in a process of their own (``agent.worker``), whose network is a gate
(``agent.gate``); ``close`` ends all of it at once. Playwright is an optional dependency.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from agent.commands import Command
from agent.deciding import Screen
from agent.marks import Mark
from agent.origins import is_allowed

POLL_S = 0.2
START_TIMEOUT_S = 30.0
REAP_TIMEOUT_S = 0.1


class BrowserError(RuntimeError):
    """The page cannot be opened or went away; the message says what happened, for the user."""


class LivePage:
    """A page of its own for one run; close it whatever happens.

    The methods that take time are generators: they yield while they wait, so that whoever runs
    them can give up, and return the result.
    """

    def __init__(
        self,
        address: str,
        *,
        origins: Sequence[str],
        viewport: tuple[int, int],
        step_timeout_s: float = 30.0,
    ) -> None:
        """Start the browser.

        Args:
            address: where to begin.
            origins: the servers that the page may talk to, as ``agent.origins`` spells them.
            viewport: width and height of the page in pixels.
            step_timeout_s: how long one step may take.

        Raises:
            BrowserError: the address is not allowed.
        """
        if not is_allowed(address, origins):
            allowed = f"addresses that begin with {' or '.join(origins)}" if origins else "none"
            raise BrowserError(
                f"{address or 'An empty address'} is not allowed here; allowed: {allowed}."
            )
        self._step_timeout_s = step_timeout_s
        self._answers: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agent.worker"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self._send({"address": address, "origins": [*origins], "viewport": [*viewport]})

    @property
    def pid(self) -> int:
        """The process that the browser is a child of."""
        return self._process.pid

    def open(self) -> Generator[None, None, Screen]:
        """Go to the run's address; returns what it shows."""
        yield from self._wait(START_TIMEOUT_S)
        return (yield from self._request({"do": "open"}))

    def perform(self, commands: Sequence[Command]) -> Generator[None, None, Screen]:
        """Carry commands out one after the other; returns what the page shows then.

        A command that the page does not take is told in the notes, and ends the list.
        """
        described = [asdict(command) for command in commands]
        return (yield from self._request({"do": "perform", "commands": described}))

    def close(self) -> None:
        """End the browser and everything it started, without asking it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            _kill_family(psutil.Process(self._process.pid))
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _request(self, request: dict[str, Any]) -> Generator[None, None, Screen]:
        self._send(request)
        answer = yield from self._wait(self._step_timeout_s)
        png = base64.b64decode(answer["png"])
        marks = [Mark(mark["tag"], mark["text"], tuple(mark["box"])) for mark in answer["marks"]]
        image = Image.open(io.BytesIO(png)).convert("RGB")
        return Screen(image, answer["address"], tuple(marks), notes=tuple(answer["notes"]))

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BrowserError("The browser has ended.") from error

    def _wait(self, timeout_s: float) -> Generator[None, None, dict[str, Any]]:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                answer = json.loads(self._answers.get(timeout=POLL_S))
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise BrowserError(f"The page took longer than {timeout_s:.0f} s.") from None
                yield
                continue
            if "error" in answer:
                raise BrowserError(answer["error"])
            return answer

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # closed meanwhile
            for line in self._process.stdout:
                self._answers.put(line)
        self._answers.put(json.dumps({"error": "The browser has ended."}))


def _kill_family(parent: psutil.Process) -> None:
    """Kill all that descends from a process, grandchildren first.

    So each is cleared away by its own parent, which still lives; where nothing adopts orphans, as
    in a container without an init, the dead would stay in the process table.
    """
    layers: list[list[psutil.Process]] = [parent.children()]
    while layers[-1]:
        below: list[psutil.Process] = []
        for process in layers[-1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                below += process.children()
        layers.append(below)
    for layer in reversed(layers):
        for process in layer:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(layer, timeout=REAP_TIMEOUT_S)
