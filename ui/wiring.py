"""Settings that many events of the page share."""

from __future__ import annotations

from typing import Any

from ui.settings import PageSettings

# not part of the HTTP interface
PRIVATE: dict[str, Any] = {"api_visibility": "private"}

# small steps of the page itself, which do not wait for the model
AT_ONCE: dict[str, Any] = {**PRIVATE, "queue": False, "show_progress": "hidden"}


def engine(settings: PageSettings) -> dict[str, Any]:
    """Return the settings of an event that asks the model: all of them wait in one queue."""
    return {"concurrency_id": "model", "concurrency_limit": settings.max_conversations}
