"""What Gradio holds of a session goes some time after its page is closed."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
from in_a_loop import run_in_a_loop
from starlette.types import Receive, Scope, Send

from ui.visitors.leaving import HEARTBEAT, forget_left

START = datetime(2026, 1, 1)


class Server:
    """What of Gradio's server is looked at, behind the middleware; pages open and close."""

    def __init__(self, most: int) -> None:
        self.ended: dict[str, asyncio.Event] = {}
        self.state_holder = SimpleNamespace(session_data={}, time_last_used={})
        self.queue = SimpleNamespace(
            pending_messages_per_session={}, pending_event_ids_session={}, event_ids_to_events={}
        )
        middleware = forget_left(most)
        self._app: Any = middleware.cls(self._serve, *middleware.args, **middleware.kwargs)
        self._pages: dict[str, asyncio.Task[None]] = {}

    def get_blocks(self) -> Any:
        return SimpleNamespace(_queue=self.queue)

    async def open(self, session: str, *, used_s: int) -> None:
        """Open a page, used last so long after the start."""
        self.state_holder.session_data[session] = self.queue.pending_event_ids_session[session] = {}
        self.queue.pending_messages_per_session[session] = []
        self.state_holder.time_last_used[session] = START + timedelta(seconds=used_s)
        scope = {"type": "http", "path": f"/some/where{HEARTBEAT}{session}", "app": self}
        self._pages[session] = asyncio.create_task(self._app(scope, None, None))
        await asyncio.sleep(0)

    async def close(self, session: str) -> None:
        self.ended[session].set()
        await self._pages[session]

    def known(self) -> set[str]:
        """Return the sessions that anything is held of."""
        queue, holder = self.queue, self.state_holder
        kept = (holder.session_data, holder.time_last_used, queue.pending_messages_per_session)
        return set().union(*kept, queue.pending_event_ids_session)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["path"].rsplit("/", 1)[-1]
        self.ended[session] = asyncio.Event()
        await self.ended[session].wait()


def test_of_those_that_left_the_last_used_stay_and_all_that_are_there() -> None:
    async def visit() -> None:
        server = Server(most=2)
        for number, session in enumerate("abcde"):
            await server.open(session, used_s=-number)
        for session in "abcd":
            await server.close(session)
        assert server.known() == set("abe")

    run_in_a_loop(visit)


def test_who_comes_back_is_not_forgotten() -> None:
    async def visit() -> None:
        server = Server(most=1)
        await server.open("back", used_s=0)
        await server.close("back")
        await server.open("back", used_s=0)
        for number, session in enumerate("ab"):
            await server.open(session, used_s=number)
            await server.close(session)
        assert server.known() == {"back", "b"}

    run_in_a_loop(visit)


def test_who_is_still_being_answered_is_not_forgotten() -> None:
    async def visit() -> None:
        server = Server(most=1)
        await server.open("busy", used_s=0)
        server.queue.event_ids_to_events["one"] = SimpleNamespace(session_hash="busy")
        await server.close("busy")
        for session in "ab":
            await server.open(session, used_s=1)
            await server.close(session)
        assert "busy" in server.known()

    run_in_a_loop(visit)


def ask(url: str, session: str) -> None:
    """Raise the first event of a page for a session and wait for its end."""
    asked = {"fn_index": 0, "data": ["a word", None], "session_hash": session}
    httpx.post(f"{url}gradio_api/queue/join", json=asked).raise_for_status()
    data = f"{url}gradio_api/queue/data"
    with httpx.stream("GET", data, params={"session_hash": session}, timeout=30) as messages:
        for line in messages.iter_lines():
            if line.startswith("data: ") and json.loads(line[6:])["msg"] == "process_completed":
                return


def test_gradio_s_server_lets_go_of_those_that_left() -> None:
    with gr.Blocks() as page:
        word, kept = gr.Textbox(), gr.State([])
        word.submit(lambda word, kept: [*kept, word], [word, kept], kept)
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, app_kwargs={"middleware": [forget_left(2)]}
    )
    sessions = page.app.state_holder.session_data
    try:
        for name in "abcd":
            with httpx.stream("GET", f"{url}{HEARTBEAT[1:]}{name}", timeout=30):
                ask(url, name)
                assert name in sessions
        most = time.monotonic() + 60
        while set(sessions) != {"c", "d"} and time.monotonic() < most:
            time.sleep(0.05)
        assert set(sessions) == {"c", "d"}
    finally:
        page.close()
