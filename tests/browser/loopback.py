"""Small servers on this machine, for the live agent to use and to be kept away from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# path -> (status, headers, body)
Answers = Callable[[str], tuple[int, dict[str, str], str]]


class Loopback:
    """Answers GET as told, and remembers what it was asked: ``asked`` and ``posted``."""

    def __init__(self, answers: Answers | None = None) -> None:
        self.asked: list[str] = []
        self.posted: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                status, headers, body = (answers or _hello)(self.path)
                self.send_response(status)
                for name, value in {"Content-Type": "text/html", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.posted.append(self.rfile.read(length).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _hello(path: str) -> tuple[int, dict[str, str], str]:
    return 200, {}, f"<title>hello</title>{path}"
