"""A backend connected to a scripted server, and questions to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripted_endpoint import Script, ScriptedEndpoint, scripted_endpoint

from model.backends.base import Event, Message, Reply, SamplingOptions
from model.backends.endpoint import EndpointBackend

HI: list[Message] = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


@contextmanager
def connected(endpoint: ScriptedEndpoint | str, **settings: Any) -> Iterator[EndpointBackend]:
    """Connect a backend until the block ends; it does not wait long between tries."""
    url = endpoint if isinstance(endpoint, str) else endpoint.url
    backend = EndpointBackend(url, **{"retry_delay_s": 0.01, **settings})
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def conversation(
    *scripts: Script, **settings: Any
) -> Iterator[tuple[ScriptedEndpoint, EndpointBackend]]:
    """Run a server that answers by the scripts, and a backend that asks it."""
    with scripted_endpoint(*scripts) as endpoint, connected(endpoint, **settings) as backend:
        yield endpoint, backend


def ask(
    backend: EndpointBackend,
    messages: list[Message] = HI,
    *,
    thinking: bool = False,
    options: SamplingOptions | None = None,
) -> Reply:
    """Return the whole answer."""
    reply = Reply()
    for event in start(backend, messages, thinking=thinking, options=options):
        reply.add(event)
    return reply


def start(
    backend: EndpointBackend,
    messages: list[Message] = HI,
    *,
    thinking: bool = False,
    options: SamplingOptions | None = None,
) -> Iterator[Event]:
    """Return a stream that nothing was asked of yet."""
    return backend.stream(messages, enable_thinking=thinking, options=options or SamplingOptions())
