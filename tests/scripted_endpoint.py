"""A real server on this machine that answers as a script says, and keeps what it was asked."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "zai-org/GLM-4.5V"
# far longer than any test waits for anything that happens
PATIENCE_S = 30


@dataclass
class Asked:
    """A question as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Exchange:
    """One question on its connection, for a script to answer."""

    def __init__(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self._handler = handler
        self.asked = asked

    def reply(
        self, status: int, body: Any, *, kind: str = "application/json", **headers: str
    ) -> None:
        """Send a whole answer; ``body`` is made JSON unless it is text."""
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        self._handler.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Content-Length", str(len(raw)))
        self._handler.end_headers()
        self._handler.wfile.write(raw)

    def start(self, kind: str = "text/event-stream") -> None:
        """Begin a stream."""
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", kind)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def raw(self, text: str) -> None:
        """Send text as it is."""
        self.bytes(text.encode())

    def bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def data(self, value: Any) -> None:
        """Send one event of the stream."""
        self.raw(f"data: {json.dumps(value)}\n\n")

    def delta(self, content: str | None = None, **delta: Any) -> None:
        """Send a piece of the answer; ``logprobs`` goes beside it."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": None}
        if "logprobs" in delta:
            choice["logprobs"] = {"content": delta.pop("logprobs")}
        choice["delta"] = {"content": content, **delta}
        self.data(chunk(choice))

    def finish(
        self, reason: str = "stop", *, usage: tuple[int, int] | None = (11, 7), done: bool = True
    ) -> None:
        """Send the last pieces, and end the stream."""
        self.data(chunk({"index": 0, "delta": {}, "finish_reason": reason}))
        if usage is not None:
            counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
            self.data({**chunk(), "usage": {**counts, "total_tokens": sum(usage)}})
        if done:
            self.raw("data: [DONE]\n\n")
        self.end()

    def end(self) -> None:
        """End the stream as the transport wants it."""
        self._handler.wfile.write(b"0\r\n\r\n")

    def drop(self) -> None:
        """Break the connection off."""
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def wait_for_disconnect(self) -> None:
        """Wait until the other side closes the connection; an error if it does not."""
        readable, _, _ = select.select([self._handler.connection], [], [], PATIENCE_S)
        assert readable, "the connection was kept open"
        assert self._handler.connection.recv(1, socket.MSG_PEEK) == b""


Script = Callable[[Exchange], None]


def chunk(*choices: Any) -> dict[str, Any]:
    """Return a chunk of a stream."""
    return {"id": "1", "object": "chat.completion.chunk", "model": MODEL, "choices": [*choices]}


def say(*pieces: str, **finish: Any) -> Script:
    """Return a script that streams an answer."""
    return deltas(*({"content": piece} for piece in pieces), **finish)


def streaming(*steps: Script) -> Script:
    """Return a script that begins a stream and then takes steps."""

    def script(exchange: Exchange) -> None:
        exchange.start()
        for step in steps:
            step(exchange)

    return script


def deltas(*pieces: dict[str, Any], **finish: Any) -> Script:
    """Return a script that streams pieces as they are given."""

    def script(exchange: Exchange) -> None:
        exchange.start()
        for piece in pieces:
            exchange.delta(**piece)
        exchange.finish(**finish)

    return script


def fail(status: int, body: Any = None, **headers: str) -> Script:
    """Return a script that answers with a status and a body."""
    return lambda exchange: exchange.reply(status, {} if body is None else body, **headers)


def error(message: str, code: Any = None) -> dict[str, Any]:
    """Return the body of a refusal, or the event that breaks an answer off."""
    return {"error": {"message": message, "code": code}}


def card(name: str = MODEL, owner: str = "vllm", **more: Any) -> dict[str, Any]:
    """Return a model as servers list it."""
    return {"id": name, "object": "model", "created": 1, "owned_by": owner, **more}


@dataclass
class ScriptedEndpoint:
    """The server: ``scripts`` answer one question each, the last one all further ones.

    Attributes:
        models: what is listed; a script answers in its place.
        asked: the questions that came.
        listed: the requests for the list.
    """

    url: str = ""
    models: list[dict[str, Any]] | Script = field(default_factory=lambda: [card()])
    scripts: deque[Script] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    listed: list[Asked] = field(default_factory=list)
    done: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    errors: list[BaseException] = field(default_factory=list)

    def answer(self, exchange: Exchange) -> None:
        """Answer one request by its path."""
        if exchange.asked.path.endswith("/models"):
            self.listed.append(exchange.asked)
            if callable(self.models):
                self.models(exchange)
            else:
                exchange.reply(200, {"object": "list", "data": self.models})
            return
        self.asked.append(exchange.asked)
        script = self.scripts.popleft() if len(self.scripts) > 1 else self.scripts[0]
        try:
            script(exchange)
        except BaseException as error:
            self.errors.append(error)
        finally:
            self.done.release()

    def wait_for_scripts(self, count: int = 1) -> None:
        """Wait until that many more scripts have ended, none with an error."""
        for _ in range(count):
            assert self.done.acquire(timeout=PATIENCE_S)
        assert self.errors == []


@contextmanager
def scripted_endpoint(*scripts: Script, port: int = 0) -> Iterator[ScriptedEndpoint]:
    """Run a server until the block ends."""
    endpoint = ScriptedEndpoint(scripts=deque(scripts or (say("Yes."),)))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            endpoint.answer(Exchange(self, Asked(self.path, dict(self.headers), {})))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.answer(Exchange(self, Asked(self.path, dict(self.headers), body)))

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
