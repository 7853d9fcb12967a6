"""The tools as an MCP server beside the page, behind the page's own name and password.

Gradio has one of its own (``launch(mcp_server=True)``). It lists its tools without a login and
cannot run them with one, and hands results over as text that no JSON parser reads.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from model.backends.base import ChatBackend
from ui.api.tools import Tools
from ui.settings import PageSettings

# where clients of Gradio pages look for it
PATH = "/gradio_api/mcp"
# A call is held in memory, with its files in base64; larger ones can be given by their address.
MAX_CALL_BYTES = 64 * 1024 * 1024


def mount_mcp(
    backend: ChatBackend, settings: PageSettings, auth: tuple[str, str] | None
) -> dict[str, Any]:
    """Return what ``launch`` takes as ``app_kwargs`` so that the tools are served at ``PATH``.

    Args:
        auth: name and password that a client must send, as HTTP's Basic authentication has it.
    """
    manager = StreamableHTTPSessionManager(
        Tools(backend, settings, auth[0] if auth else "").make_server(),
        stateless=True,  # nothing of a client is kept between its calls
        max_request_body_size=MAX_CALL_BYTES,
    )

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with manager.run():
            yield

    gate = _Gate(manager, auth)
    return {"routes": [Route(PATH, gate), Route(PATH + "/", gate)], "lifespan": lifespan}


class _Gate:
    """Lets those through who may ask: Gradio's own login covers its own routes only."""

    def __init__(self, manager: StreamableHTTPSessionManager, auth: tuple[str, str] | None) -> None:
        self._manager = manager
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refuse(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._manager.handle_request(scope, receive, send)

    def _refuse(self, request: Request) -> Response | None:
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            # another site in the browser of somebody who can reach this one
            return PlainTextResponse("Pages of other sites may not call this.", 403)
        if self._auth is None or _is_login(request.headers.get("authorization", ""), self._auth):
            return None
        return PlainTextResponse(
            "Send the name and password of the page: Authorization: Basic base64(USER:PASSWORD).",
            401,
            {"WWW-Authenticate": 'Basic realm="Sightline", charset="UTF-8"'},
        )


def _is_login(header: str, auth: tuple[str, str]) -> bool:
    scheme, _, sent = header.partition(" ")
    try:
        given = base64.b64decode(sent.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    # in constant time: how long it takes must not tell how much was right
    return scheme.lower() == "basic" and hmac.compare_digest(given, ":".join(auth).encode())
