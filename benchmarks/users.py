"""Many people at once on the page: ``python -m benchmarks.users [--users 20] [--minutes 5]``.

Starts the app with the bundled model in a process of its own, and visits it as browsers do: people
chat about a picture, ask on, ask again, look for something on a screen, stop an answer half way,
and close the tab while they wait. One more has several tabs open and never pauses. Prints what
went wrong, how long people waited for others, and what the server held meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import socket
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.app_process import AppProcess, Sample
from benchmarks.conditions import machine
from benchmarks.page_client import Page, PageError, Tab, open_page
from model.backends.base import Waiting
from ui.chat.log import describe_waiting

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"
FOLLOW_UPS = ("Where is it?", "And the one beside it?", "What is at the top?", "Click on the logo")
PAUSE_S = (0.0, 2.0)
HALF_WAY_S = (0.05, 1.5)
IN_QUEUE = describe_waiting(Waiting(1)).split("1")[0]
WARM_UP_S = 60.0
REGENERATE = re.compile(r'data-act="regenerate" data-turn="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, and how it ended."""

    who: str
    what: str
    end: str  # "answered", "stopped", "left" or "refused"
    waited_s: float  # for others
    stopping_s: float = 0.0  # from Stop until nothing computes it any more


@dataclass
class Visits:
    """What happened to all visitors."""

    asked: list[Asked] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def waits(self) -> dict[str, list[float]]:
        """Return how long each visitor waited for others, one number for each answer."""
        waits: dict[str, list[float]] = defaultdict(list)
        for asked in self.asked:
            if asked.end == "answered":
                waits[asked.who].append(asked.waited_s)
        return waits


class Visitor:
    """Somebody in front of a tab, who does one thing after the other until time is up."""

    def __init__(self, name: str, address: str, seed: int, visits: Visits) -> None:
        self._name = name
        self._address = address
        self._chance = random.Random(seed)
        self._visits = visits
        self._turn = ""  # that can be asked again
        examples = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
        self._examples = [(EXAMPLES / entry["file"], entry["instruction"]) for entry in examples]

    async def visit(self, url: str, page: Page, until: float, *, pauses: bool = True) -> None:
        """Come back with a new tab whenever one was closed."""
        while time.monotonic() < until:
            self._turn = ""
            try:
                async with Tab(url, page, self._address) as tab:
                    while time.monotonic() < until and await self._act(tab):
                        await asyncio.sleep(self._chance.uniform(*PAUSE_S) if pauses else 0.0)
            except (PageError, httpx.HTTPError) as error:
                self._visits.errors.append(f"{self._name}: {type(error).__name__}: {error}")

    async def _act(self, tab: Tab) -> bool:
        """Do something; return whether the tab stays open."""
        acts = ["picture", "picture", "ground", "stop", "leave"]
        if self._turn:
            acts += ["follow-up", "follow-up", "regenerate"]
        what = self._chance.choice(acts)
        given, event = await self._prepare(what, tab)
        if what == "ground":
            await self._ask(tab, what, "show", given)
            return True
        await self._ask(tab, what, "ask", given, data=event)
        if what != "leave":
            await tab.run("settle")
        return what != "leave"

    async def _prepare(self, what: str, tab: Tab) -> tuple[dict[str, Any], Any]:
        """Return what is entered on the page, and what the event says beside."""
        path, instruction = self._chance.choice(self._examples)
        if what == "regenerate":
            return {}, {"act": "regenerate", "turn": self._turn}
        if what == "follow-up":
            return {"message": {"text": self._chance.choice(FOLLOW_UPS), "files": []}}, None
        file = await tab.upload(path)
        if what == "ground":
            return {"screenshot": file, "instruction": instruction}, None
        await tab.run("attach", prompt={"text": "", "files": [file]})
        return {"message": {"text": instruction, "files": [file]}}, None

    async def _ask(
        self, tab: Tab, what: str, event: str, given: dict[str, Any], data: Any = None
    ) -> None:
        ends = {"stop": "stopped", "leave": "left"}
        gives_up = time.monotonic() + self._chance.uniform(*HALF_WAY_S) if what in ends else None
        started = last_in_queue = time.monotonic()
        outputs, end, stopped = "", "answered", None
        event_id, messages = await tab.start(event, data=data, **given)
        async for message in messages:
            now = time.monotonic()
            outputs = json.dumps(message.get("output", ""), ensure_ascii=False)
            if IN_QUEUE in outputs and message["msg"] == "process_generating":
                last_in_queue = now
            if gives_up is not None and now > gives_up and message["msg"] == "process_generating":
                gives_up, end = None, ends[what]
                if what == "leave":
                    break
                stopped = now
                await tab.cancel(event, event_id)
        stopping_s = time.monotonic() - stopped if stopped else 0.0
        turns = REGENERATE.findall(outputs.replace('\\"', '"'))
        self._turn = turns[-1] if turns else self._turn
        if end == "answered" and "questions before yours" in outputs:
            end = "refused"
        if end == "answered" and event == "ask" and not turns:
            self._visits.errors.append(f"{self._name}: {what} ended without an answer")
        self._visits.asked.append(Asked(self._name, what, end, last_in_queue - started, stopping_s))


async def visit_all(
    url: str, visits: Visits, *, users: int, tabs_of_one: int, seconds: float, seed: int
) -> None:
    """Let everybody visit for so long, and finish what is under way."""
    page = await open_page(url)
    until = time.monotonic() + seconds
    tasks = []
    for number in range(users):
        visitor = Visitor(f"user {number}", f"192.0.2.{number + 1}", seed + number, visits)
        tasks.append(visitor.visit(url, page, until))
    for number in range(tabs_of_one):
        visitor = Visitor("many tabs", "198.51.100.1", seed + users + number, visits)
        tasks.append(visitor.visit(url, page, until, pauses=False))
    await asyncio.gather(*tasks)


def fairness(values: Sequence[float]) -> float:
    """Return Jain's index: 1 where all are equal, 1/n where one has everything (R. Jain, 1984)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def growth(samples: Sequence[Sample], after_s: float) -> tuple[float, float]:
    """Return MB a minute that memory grew by after so long (least squares), and MB in all."""
    late = [sample for sample in samples if sample.at_s >= after_s]
    if len(late) < 2:
        return 0.0, 0.0
    slope = statistics.linear_regression(
        [sample.at_s for sample in late], [sample.resident / 1e6 for sample in late]
    ).slope
    return slope * 60, (late[-1].resident - late[0].resident) / 1e6


def cache_growth(samples: Sequence[Sample], after_s: float) -> tuple[float, float]:
    """Return MB that the model's caches held after so long, and MB that they had grown by then on.

    They fill up to their bounds, whoever asks; what else grows with the visits should not.
    """
    late = [sum(sample.engine[1:]) / 1e6 for sample in samples if sample.at_s >= after_s]
    return (late[0], late[-1] - late[0]) if late else (0.0, 0.0)


def describe(visits: Visits, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"asked: {len(visits.asked)}; " + ", ".join(
        f"{count} {end}" for end, count in Counter(asked.end for asked in visits.asked).items()
    )
    yield f"errors: {len(visits.errors)}" + "".join(f"\n  {error}" for error in visits.errors[:20])
    waits = visits.waits()
    many = waits.pop("many tabs", [])
    for name, own in (("users", [s for one in waits.values() for s in one]), ("many tabs", many)):
        if own:
            own = sorted(own)
            p95 = own[int(0.95 * (len(own) - 1))]
            yield (
                f"{name} waited for others: median {statistics.median(own):.2f} s, p95 {p95:.2f} s,"
                f" longest {own[-1]:.2f} s ({len(own)} answers)"
            )
    if waits:
        means = [statistics.mean(own) for own in waits.values()]
        worst = max(means) / max(statistics.median(means), 1e-9)
        yield (
            f"mean wait of each user: Jain's index {fairness(means):.3f}, longest {worst:.2f} times"
            f" the median; answers of each: {min(map(len, waits.values()))} to "
            f"{max(map(len, waits.values()))}"
        )
    stops = sorted(asked.stopping_s for asked in visits.asked if asked.end == "stopped")
    if stops:
        yield (
            f"Stop freed the engine after: median {statistics.median(stops):.2f} s, longest "
            f"{stops[-1]:.2f} s ({len(stops)} times)"
        )
    a_minute, in_all = growth(samples, WARM_UP_S)
    yield (
        f"resident memory: {samples[0].resident / 1e6:.0f} MB at first, most "
        f"{max(sample.resident for sample in samples) / 1e6:.0f} MB; after the first minute "
        f"{a_minute:+.1f} MB a minute, {in_all:+.0f} MB in all"
    )
    held, filled = cache_growth(samples, WARM_UP_S)
    yield (
        f"of that, caches of the model on their way to their bounds: {held:.0f} MB after the first "
        f"minute, {filled:+.0f} MB since"
    )
    for label, values in (
        ("threads", [sample.threads for sample in samples]),
        ("open files", [sample.files for sample in samples]),
        ("engine, MB", [round(sum(sample.engine) / 1e6) for sample in samples]),
    ):
        yield f"{label}: {values[0]} at first, most {max(values)}, {values[-1]} at the end"


@contextmanager
def started(folder: Path) -> Iterator[AppProcess]:
    """Start the app on a free port, with its files in ``folder``; end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "gradio")
    # those who ask without a pause are welcome here
    process = AppProcess(["--port", str(port), "--max-per-minute", "0"], folder / "server.log")
    try:
        process.wait_until_ready(f"http://127.0.0.1:{port}")
        yield process
    finally:
        process.close()


def run(
    *, users: int, tabs_of_one: int, seconds: float, seed: int = 0
) -> tuple[Visits, AppProcess]:
    """Start the app, let people visit it, and end it; return what happened, and its samples."""
    visits = Visits()
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as process:
        asyncio.run(
            visit_all(
                process.url,
                visits,
                users=users,
                tabs_of_one=tabs_of_one,
                seconds=seconds,
                seed=seed,
            )
        )
        process.wait_until_idle()
        visits.errors += process.failures()
    return visits, process


def main() -> None:
    """Parse the command line and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--tabs-of-one", type=int, default=5, help="of one more who never pauses")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine())
    print(
        f"{options.users} users, one more with {options.tabs_of_one} tabs, {options.minutes:g} "
        f"minutes, load of the machine at first {psutil.getloadavg()[0]:.1f}"
    )
    visits, process = run(
        users=options.users,
        tabs_of_one=options.tabs_of_one,
        seconds=options.minutes * 60,
        seed=options.seed,
    )
    for line in describe(visits, process.samples):
        print(line)


if __name__ == "__main__":
    main()
