"""A browser's side of the page, without the browser: tabs that send what the page would send."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

# Nothing comes for so long only if the server hangs: it sends a sign of life every 15 s.
TIMEOUT = httpx.Timeout(60.0)


class PageError(RuntimeError):
    """The server refused an event, or one ended in an error; the text is the page's."""


class Page:
    """What the server says of its events and their components; the same for all tabs."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._components = {part["id"]: part for part in config["components"]}
        self._events = {event["api_name"]: event for event in config["dependencies"]}

    def number(self, event: str) -> int:
        """Return the index of an event."""
        return self._events[event]["id"]

    def fill(self, event: str, given: Mapping[str, Any]) -> list[Any]:
        """Return an event's inputs: those ``given`` by elem_id, the others as the page begins."""
        filled = []
        for number in self._events[event]["inputs"]:
            part = self._components[number]
            props = part["props"]
            at_first = None if part["type"] == "state" else props.get("value")
            filled.append(given.get(props.get("elem_id") or "", at_first))
        return filled


class Tab:
    """One open page. ``async with`` it; leaving closes it, whatever is under way.

    Args:
        address: of the visitor; a server on this machine believes it (X-Forwarded-For).
    """

    def __init__(self, url: str, page: Page, address: str) -> None:
        headers = {"X-Forwarded-For": address}
        self._http = httpx.AsyncClient(
            base_url=f"{url}/gradio_api", headers=headers, timeout=TIMEOUT
        )
        self._page = page
        self._session = uuid.uuid4().hex[:12]
        self._alive: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Tab:
        self._alive = asyncio.create_task(self._stay())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._alive is not None:
            self._alive.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await self._alive
        await self._http.aclose()

    async def _stay(self) -> None:
        """Hold the connection whose end tells the server that the tab was closed."""
        async with self._http.stream("GET", f"/heartbeat/{self._session}") as beats:
            async for _ in beats.aiter_bytes():
                pass

    async def upload(self, path: Path) -> dict[str, Any]:
        """Upload a file; return what stands for it in a message."""
        with path.open("rb") as file:
            sent = await self._http.post("/upload", files={"files": (path.name, file)})
        (stored,) = sent.raise_for_status().json()
        return {
            "path": stored,
            "orig_name": path.name,
            "meta": {"_type": "gradio.FileData"},
        }

    async def step(self, event: str) -> None:
        """Run a small event of the page, one that waits in no queue."""
        body = self._body(event, {}, None)
        answer = await self._http.post("/run/predict", json=body)
        answer.raise_for_status()

    async def start(
        self, event: str, *, data: Any = None, **given: Any
    ) -> tuple[str, AsyncIterator[dict[str, Any]]]:
        """Begin an event; return its id and its messages.

        The last one is "process_completed". Breaking off closes the connection that they come by.

        Args:
            data: what the event says beside its inputs.
            given: inputs, by the elem_id of their components.
        """
        joined = await self._http.post("/queue/join", json=self._body(event, given, data))
        if joined.is_error:
            raise PageError(joined.text)
        return joined.json()["event_id"], self._messages(joined.json()["event_id"])

    async def run(self, event: str, *, data: Any = None, **given: Any) -> list[Any]:
        """Run an event to its end; return its outputs."""
        _, messages = await self.start(event, data=data, **given)
        outputs: list[Any] = []
        async for message in messages:
            outputs = message.get("output", {}).get("data") or outputs
        return outputs

    async def cancel(self, event: str, event_id: str) -> None:
        """Stop an event, as the page's button does."""
        body = {
            "session_hash": self._session,
            "fn_index": self._page.number(event),
            "event_id": event_id,
        }
        (await self._http.post("/cancel", json=body)).raise_for_status()

    def _body(self, event: str, given: Mapping[str, Any], data: Any) -> dict[str, Any]:
        return {
            "fn_index": self._page.number(event),
            "data": self._page.fill(event, given),
            "event_data": data,
            "session_hash": self._session,
        }

    async def _messages(self, event_id: str) -> AsyncIterator[dict[str, Any]]:
        query = {"session_hash": self._session}
        async with self._http.stream("GET", "/queue/data", params=query) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line.removeprefix("data:"))
                if message["msg"] == "unexpected_error":
                    raise PageError(message["message"])
                if message.get("event_id") != event_id:
                    continue
                if message["msg"] == "process_completed" and not message["success"]:
                    raise PageError(str(message["output"].get("error")))
                yield message
                if message["msg"] == "process_completed":
                    return


async def open_page(url: str) -> Page:
    """Return what the server at ``url`` says of its page."""
    async with httpx.AsyncClient(timeout=TIMEOUT) as http:
        return Page((await http.get(f"{url}/config")).raise_for_status().json())
