"""The only way out of the live browser: a proxy that lets through what the operator allowed.

Every connection of the browser goes through here, whatever asks for it: pages, frames, scripts,
redirects, popups, sockets, workers. Interception inside the browser would miss some of these (a
redirected request is not offered to it again), and would need an answer from the agent's own
thread for each; here pages keep loading while the model thinks.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Sequence

from agent.origins import read_origin

CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 300.0
_MAX_HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
# about the proxy itself, or about keeping connections open for other requests
_OWN_HEADERS = (b"proxy-", b"connection:", b"keep-alive:")


class Gate:
    """Listens on the loopback interface of this machine."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> str:
        """Where the browser finds the proxy."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Serve in the background until the process ends."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            client.settimeout(CONNECT_TIMEOUT_S)
            head, rest = _read_head(client)
            method, target, _ = head[0].split(b" ", 2)
            if method == b"CONNECT":
                self._tunnel(client, target.decode("ascii"))
            else:
                self._forward(client, method, target.decode("ascii"), head, rest)

    def _tunnel(self, client: socket.socket, authority: str) -> None:
        """Connect to ``host:port`` for an encrypted page or a socket of either kind."""
        known = [read_origin(f"{scheme}://{authority}") for scheme in ("http", "https")]
        if not self._origins.intersection(known):
            _refuse(client)
            return
        with _connect(known[0]) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _join(client, server)

    def _forward(
        self, client: socket.socket, method: bytes, target: str, head: list[bytes], rest: bytes
    ) -> None:
        """Hand one request on, as its server expects it; the connection ends with the answer."""
        origin = read_origin(target)
        if origin not in self._origins:
            _refuse(client)
            return
        path = "/" + target.split("://", 1)[1].partition("/")[2]
        lines = [b"%s %s HTTP/1.1" % (method, path.encode("ascii"))]
        lines += [line for line in head[1:] if not line.lower().startswith(_OWN_HEADERS)]
        with _connect(origin) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + rest)
            _join(client, server)


def _refuse(client: socket.socket) -> None:
    text = b"This address is not among those that the operator of Sightline allowed."
    client.sendall(
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(text), text)
    )


def _read_head(client: socket.socket) -> tuple[list[bytes], bytes]:
    """Read the lines of a request's head, and what came of its body with them."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(_CHUNK_BYTES)
        if not piece or len(data) > _MAX_HEAD_BYTES:
            raise ValueError("not a request")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), rest


def _connect(origin: str) -> socket.socket:
    host, _, port = origin.partition("://")[2].rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S)


def _join(client: socket.socket, server: socket.socket) -> None:
    """Pass bytes both ways until either side has ended."""
    other = {client: server, server: client}
    while True:
        ready, _, _ = select.select(list(other), [], [], IDLE_TIMEOUT_S)
        if not ready:
            return
        for side in ready:
            data = side.recv(_CHUNK_BYTES)
            if not data:
                return
            other[side].sendall(data)
