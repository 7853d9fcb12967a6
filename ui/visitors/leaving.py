"""What Gradio holds of visitors who left: that of the last ones only, in case they come back."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

# A page keeps a request to this route open for as long as it is there.
HEARTBEAT = "/gradio_api/heartbeat/"
# Gradio holds a conversation, its pictures and all that its page showed for an hour after that; a
# browser that reloads the page has another session, and brings the conversation along.
MOST_LEFT = 20


def forget_left(most: int = MOST_LEFT) -> Middleware:
    """Return what lets go of sessions whose page is closed, but for the ``most`` last used."""
    return Middleware(_ForgetLeft, most=most)


class _ForgetLeft:
    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._open: Counter[str] = Counter()  # requests of a session
        self._left: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        before, found, session = scope.get("path", "").partition(HEARTBEAT)
        if scope["type"] != "http" or not found or not session:
            await self._app(scope, receive, send)
            return
        self._open[session] += 1
        self._left.discard(session)
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]
                self._leave(session, scope["app"])

    def _leave(self, session: str, app: Any) -> None:
        """Count a session among those that left; ``app`` is Gradio's."""
        used = app.state_holder.time_last_used
        running = app.get_blocks()._queue.event_ids_to_events.values()
        self._left.add(session)
        # a connection can be lost where the page is still there
        idle = self._left - {event.session_hash for event in running}
        while len(self._left) > self._most and idle:
            oldest = min(idle, key=lambda name: used.get(name, datetime.min))
            idle.remove(oldest)
            self._left.remove(oldest)
            _forget(oldest, app)


def _forget(session: str, app: Any) -> None:
    """Remove a session, and the messages that nobody took."""
    holder, queue = app.state_holder, app.get_blocks()._queue
    holder.session_data.pop(session, None)
    holder.time_last_used.pop(session, None)
    queue.pending_messages_per_session.pop(session, None)
    queue.pending_event_ids_session.pop(session, None)
