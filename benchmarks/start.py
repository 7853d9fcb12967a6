"""From launch to page and to the first answer: ``python -m benchmarks.start [--repeats 5]``.

Starts the app with the bundled model, again and again, and asks for the place of something on a
screenshot as soon as the server listens; then once more, when everything is warm. With --compiling,
as on a machine where the kernels were never compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "assets" / "examples"
PATIENCE_S = 120.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(http: httpx.Client) -> None:
    """Send a screenshot and an instruction, and wait for the box."""
    example = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))[0]
    with (EXAMPLES / example["file"]).open("rb") as file:
        (path,) = http.post("/gradio_api/upload", files={"files": file}).raise_for_status().json()
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    data = {"data": [picture, example["instruction"], False, True]}
    call = http.post("/gradio_api/call/locate", json=data).raise_for_status().json()
    answer = http.get(f"/gradio_api/call/locate/{call['event_id']}").raise_for_status().text
    if "event: complete" not in answer:
        raise RuntimeError(answer)


def start(environment: dict[str, str]) -> list[float]:
    """Return seconds until the page, until the first answer, and of a second one."""
    port = free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port)]
    begun = time.perf_counter()
    app = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as http:
            while True:
                try:
                    http.get("/").raise_for_status()
                    break
                except httpx.TransportError:
                    if app.poll() is not None:
                        raise RuntimeError("the app ended") from None
                    time.sleep(0.02)
            page = time.perf_counter()
            ask(http)
            first = time.perf_counter()
            ask(http)
            return [page - begun, first - begun, time.perf_counter() - first]
    finally:
        app.terminate()
        app.wait()


def main() -> None:
    """Parse the command line and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compiling", action="store_true")
    options = parser.parse_args()
    runs = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as empty:
            changes = {"XDG_CACHE_HOME": empty} if options.compiling else {}
            runs.append(start(os.environ | changes))
    page, first, second = (statistics.median(column) for column in zip(*runs, strict=True))
    print(
        f"page after {page:.2f} s, first answer after {first:.2f} s; a further one takes "
        f"{second:.2f} s (medians of {options.repeats} starts)"
    )


if __name__ == "__main__":
    main()
