"""Routes of Gradio that this page has no use for, and that would tell about a visitor."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Writes all that a session shows into a file, for whoever knows the session's name, and says where.
DEEP_LINK = "/gradio_api/deep_link"


def without_deep_links() -> Middleware:
    """Return what answers Gradio's route for links to a session's state: there is none."""
    return Middleware(_WithoutDeepLinks)


class _WithoutDeepLinks:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # behind a proxy the path may begin with the proxy's
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(DEEP_LINK):
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
