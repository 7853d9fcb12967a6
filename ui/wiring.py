"""Settings that many events of the page share."""

from __future__ import annotations

from typing import Any

from ui.settings import PageSettings

# not part of the HTTP interface
PRIVATE: dict[str, Any] = {"api_visibility": "private"}

# small steps of the page itself, which do not wait for the model
AT_ONCE: dict[str, Any] = {**PRIVATE, "queue": False, "show_progress": "hidden"}

# Questions that are opening their files, or are just being refused.
PASSING = 8
# Threads for all that is not a question: files being opened, clicks, the status line.
SMALL_STEPS = 40


def questions_at_once(settings: PageSettings) -> int:
    """Return how many questions the page holds at most, its line's and visitors' own."""
    return 2 * (settings.max_conversations + settings.max_waiting) + PASSING


def engine(settings: PageSettings) -> dict[str, Any]:
    """Return the settings of an event that asks the model.

    Gradio's own queue lets all of them through, so that they wait in the page's line, which is
    fair, and are refused there in kind words.
    """
    return {"concurrency_id": "model", "concurrency_limit": questions_at_once(settings)}


def live_run(settings: PageSettings) -> dict[str, Any]:
    """Return the settings of an event that has a browser of its own, and asks now and then."""
    return {"concurrency_id": "live", "concurrency_limit": settings.max_conversations}


def worker_threads(settings: PageSettings) -> int:
    """Return how many threads the page needs: a question has one while it waits for its turn."""
    return questions_at_once(settings) + settings.max_conversations + SMALL_STEPS
