"""The gate lets through what is allowed and nothing else, whatever is asked of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from agent.gate import Gate
from agent.origins import read_origin


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.requestline}\n{self.headers}".encode() + body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Origin of a server on this machine."""
    echo = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{echo.server_port}"
    echo.shutdown()
    echo.server_close()


def ask(gate: Gate, request: str) -> str:
    """Send a request to the gate as a browser would; return all that comes back."""
    with socket.create_connection(("127.0.0.1", urlsplit(gate.address).port), 5) as client:
        client.sendall(request.encode())
        client.settimeout(5)
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def open_gate(*origins: str) -> Gate:
    gate = Gate([read_origin(origin) for origin in origins])
    gate.start()
    return gate


def test_an_allowed_request_arrives_as_a_server_expects_it(server: str) -> None:
    head = f"POST {server}/a?b=c HTTP/1.1\r\nHost: {server[7:]}\r\nProxy-Connection: keep-alive\r\n"
    answer = ask(open_gate(server), f"{head}X-Own: 1\r\nContent-Length: 4\r\n\r\nbody")
    assert "\r\n\r\nPOST /a?b=c HTTP/1.1\n" in answer
    assert "X-Own: 1" in answer
    assert answer.endswith("body")
    assert "Proxy-Connection" not in answer


def test_a_tunnel_leads_to_an_allowed_server(server: str) -> None:
    request = f"CONNECT {server[7:]} HTTP/1.1\r\n\r\n"
    with socket.create_connection(
        ("127.0.0.1", urlsplit(open_gate(server).address).port), 5
    ) as client:
        client.sendall(request.encode())
        assert client.recv(999).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /inside HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"GET /inside" in answer


@pytest.mark.parametrize(
    "request_line",
    ["GET {server}/ HTTP/1.1", "CONNECT {authority} HTTP/1.1", "GET ws://{authority}/ HTTP/1.1",
     "POST {server}/ HTTP/1.1"],
)  # fmt: skip
def test_another_server_is_refused(server: str, request_line: str) -> None:
    line = request_line.format(server=server, authority=server[7:])
    answer = ask(open_gate("http://127.0.0.1:1"), f"{line}\r\n\r\n")
    assert answer.startswith("HTTP/1.1 403")
    assert "not among those that the operator" in answer


@pytest.mark.parametrize(
    "request_text",
    ["GET / HTTP/1.1\r\n\r\n", "GET file:///etc/passwd HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
     "CONNECT \r\n\r\n", "CONNECT host:99999 HTTP/1.1\r\n\r\n", "\x00\r\n\r\n",
     "GET http://user@127.0.0.1:1/ HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_gets_no_answer(server: str, request_text: str) -> None:
    assert ask(open_gate(server), request_text) == ""
