"""Whether the model can answer, for programs that watch the server: an address beside the page."""

from __future__ import annotations

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from model.backends.base import ChatBackend

PATH = "/health"
UNAVAILABLE = 503


def tell_health(backend: ChatBackend) -> Middleware:
    """Return what answers ``/health`` with ``{"state": ...}``, as ``Status`` has it.

    With status 200 where it is "ready", else 503. Nobody has to be logged in: nothing else is told.
    """
    return Middleware(_TellHealth, backend=backend)


class _TellHealth:
    def __init__(self, app: ASGIApp, backend: ChatBackend) -> None:
        self._app = app
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # behind a proxy the path may begin with the proxy's
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path != PATH:
            await self._app(scope, receive, send)
            return
        status = await to_thread.run_sync(self._backend.status)
        code = 200 if status.state == "ready" else UNAVAILABLE
        await JSONResponse({"state": status.state}, code)(scope, receive, send)
