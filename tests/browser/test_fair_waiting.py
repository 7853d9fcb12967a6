"""Visitors of a served page, over the page's own protocol: they wait, in turn, and are told so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import httpx
import pytest
from in_a_loop import run_in_a_loop
from scripted_backend import END, ScriptedBackend

from benchmarks.page_client import Page, Tab, open_page
from model.backends.base import AnswerDelta, Event, Message, SamplingOptions
from ui.visitors.visitor import identify, who_asks

SOON_S = 20.0


@dataclass
class Gated(ScriptedBackend):
    """Answers one question after the other, each when the test says so; notes whose it was."""

    script: list[Event] = field(default_factory=lambda: [AnswerDelta("hello"), END])
    asked_by: list[str] = field(default_factory=list)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        self.asked_by.append(who_asks())
        while not self.gate.acquire(timeout=0.1):
            yield AnswerDelta("")
        yield from super().stream(messages, enable_thinking=enable_thinking, options=options)


def message(text: str) -> dict[str, Any]:
    return {"text": text, "files": []}


async def ask(tab: Tab, heard: list[str] | None = None) -> asyncio.Task[str]:
    """Ask; return the task that ends with all that came, once the question is in the line.

    Args:
        heard: what comes is appended to it.
    """
    begun = asyncio.Event()
    steps = count(1)
    told = heard if heard is not None else []

    async def follow() -> str:
        _, messages = await tab.start("ask", message=message("Where?"))
        async for part in messages:
            told.append(str(part))
            # the first shows the question, before it is asked
            if part["msg"] == "process_generating" and next(steps) == 2:
                begun.set()
        return "".join(told)

    task = asyncio.create_task(follow())
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait({task, waiting}, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return task


async def until(claim: Callable[[], bool]) -> None:
    with anyio.fail_after(SOON_S):
        while not claim():
            await asyncio.sleep(0.02)


def run(url: str, visit: Callable[[Callable[[str], Any]], Coroutine[Any, Any, None]]) -> None:
    """Run ``visit`` with a function that opens a tab of the visitor with an address."""

    async def go() -> None:
        page: Page = await open_page(url)
        async with AsyncExitStack() as tabs:
            await visit(lambda address: tabs.enter_async_context(Tab(url, page, address)))

    run_in_a_loop(lambda: asyncio.wait_for(go(), 4 * SOON_S))


def test_questions_are_answered_in_turn_among_visitors(serve: Callable[..., str]) -> None:
    backend = Gated()

    async def visit(open_tab: Callable[[str], Any]) -> None:
        asked = []
        for number in (1, 1, 1, 2, 2, 3):
            asked.append(await ask(await open_tab(f"192.0.2.{number}")))
        backend.gate.release(len(asked))
        told = await asyncio.gather(*asked)
        assert "number 5 in the queue" in told[2]
        assert all("hello" in words for words in told)

    run(serve(backend), visit)
    turns = [visitor.rpartition(".")[2] for visitor in backend.asked_by]
    assert turns == ["1", "2", "3", "1", "2", "1"]


def test_where_no_more_can_wait_the_message_is_kind_and_stays(serve: Callable[..., str]) -> None:
    backend = Gated()

    async def visit(open_tab: Callable[[str], Any]) -> None:
        asked = [await ask(await open_tab(f"192.0.2.{number}")) for number in (1, 2, 3)]
        outputs = await (await open_tab("192.0.2.4")).run("ask", message=message("And me?"))
        assert "There are 3 questions before yours" in str(outputs)
        assert "And me?" in str(outputs)
        asked += [await ask(await open_tab("192.0.2.5"))]
        assert "There are 3 questions before yours" in await asked.pop()
        backend.gate.release(len(asked))
        assert all("hello" in words for words in await asyncio.gather(*asked))

    run(serve(backend, max_waiting=2), visit)


def test_whoever_asks_too_often_is_told_how_long_to_wait(serve: Callable[..., str]) -> None:
    backend = Gated()

    async def visit(open_tab: Callable[[str], Any]) -> None:
        backend.gate.release(3)
        first, second = await open_tab("192.0.2.1"), await open_tab("192.0.2.1")
        assert "hello" in str(await first.run("ask", message=message("One?")))
        assert "hello" in str(await second.run("ask", message=message("Two?")))
        refused = str(await first.run("ask", message=message("Three?")))
        assert "as many questions as one person may within a minute here (2)" in refused
        other = await open_tab("192.0.2.2")
        assert "hello" in str(await other.run("ask", message=message("Me?")))

    run(serve(backend, max_per_minute=2), visit)


@pytest.mark.slow
def test_a_tab_that_is_closed_while_it_waits_leaves_the_queue(serve: Callable[..., str]) -> None:
    backend = Gated()

    async def visit(open_tab: Callable[[str], Any]) -> None:
        running = await ask(await open_tab("192.0.2.1"))
        left = await ask(await open_tab("192.0.2.2"))
        told: list[str] = []
        behind = await ask(await open_tab("192.0.2.3"), told)
        left.cancel()
        await until(lambda: any("number 1 in the queue" in part for part in told))
        backend.gate.release(2)
        await asyncio.gather(running, behind)

    run(serve(backend), visit)
    assert [visitor.rpartition(".")[2] for visitor in backend.asked_by] == ["1", "3"]


def test_tools_wait_in_the_same_line_and_know_their_callers(serve: Callable[..., str]) -> None:
    backend = Gated()
    backend.gate.release(2)
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "chat", "arguments": {"text": "Where?"}},
    }
    address = f"{serve(backend, mcp=True, max_per_minute=1)}/gradio_api/mcp"

    def ask_tool(caller: str) -> str:
        headers = {
            "Accept": "application/json, text/event-stream",
            "X-Forwarded-For": caller,
        }
        return httpx.post(address, json=call, headers=headers, timeout=SOON_S).text

    assert "hello" in ask_tool("192.0.2.1")
    assert "as many questions as one person may" in ask_tool("192.0.2.1")
    assert "hello" in ask_tool("192.0.2.2")
    assert backend.asked_by == [identify(None, "192.0.2.1"), identify(None, "192.0.2.2")]


@pytest.mark.slow
def test_sixty_who_wait_do_not_hold_up_the_page(serve: Callable[..., str]) -> None:
    backend = Gated()

    async def visit(open_tab: Callable[[str], Any]) -> None:
        tabs = [await open_tab(f"192.0.2.{number}") for number in range(61)]
        told: list[list[str]] = [[] for _ in tabs]
        asked = await asyncio.gather(*map(ask, tabs, told))
        assert sum("Waiting for others" in "".join(words) for words in told) == 60
        watching = await open_tab("192.0.2.99")
        await watching.step("look")
        await watching.run("attach", prompt=message(""))
        assert not any(task.done() for task in asked)
        backend.gate.release(len(asked))
        assert all("hello" in words for words in await asyncio.gather(*asked))

    run(serve(backend), visit)
