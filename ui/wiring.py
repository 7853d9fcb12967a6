"""Settings that many events of the page share."""

from __future__ import annotations

from typing import Any

from ui.settings import PageSettings

# not part of the HTTP interface
PRIVATE: dict[str, Any] = {"api_visibility": "private"}

# small steps of the page itself, which do not wait for the model
AT_ONCE: dict[str, Any] = {**PRIVATE, "queue": False, "show_progress": "hidden"}


# Questions that the backend is given beyond those it computes: it tells each its place in the
# queue, and how far it is.
WAITING_AT_BACKEND = 16


def engine(settings: PageSettings) -> dict[str, Any]:
    """Return the settings of an event that asks the model: all of them wait in one queue."""
    limit = settings.max_conversations + WAITING_AT_BACKEND
    return {"concurrency_id": "model", "concurrency_limit": limit}
