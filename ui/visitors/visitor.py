"""Who asks: what one person's questions are known by, for as long as they are asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gradio.context import LocalContext

# What a household or an office is usually given; one person may use any address in it.
IPV6_PREFIX = 64

_caller: ContextVar[str | None] = ContextVar("caller", default=None)


def identify(user: str | None, address: str | None) -> str:
    """Return what a visitor is known by: two tabs of one person share it.

    Both count: many people may log in with one name, and many names from one address.

    Args:
        user: name of the login; None without one.
        address: of the client. It is what the server believes: behind a proxy, uvicorn takes it
            from X-Forwarded-For, if the proxy is among FORWARDED_ALLOW_IPS.
    """
    return f"{user or ''}@{_shorten(address or '')}"


def who_asks() -> str:
    """Return the visitor whose question this thread works on; nobody's, outside of a request.

    Gradio sets its request before each step of a handler, in the step's own context.
    """
    caller = _caller.get()
    if caller is not None:
        return caller
    request = LocalContext.request.get(None)
    if request is None:
        return identify(None, None)
    client = request.client
    return identify(request.username, client.host if client else None)


@contextmanager
def asking_as(visitor: str) -> Iterator[None]:
    """Let what is asked inside be that visitor's, also in threads that anyio starts for it."""
    token = _caller.set(visitor)
    try:
        yield
    finally:
        _caller.reset(token)


def _shorten(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # of a socket file, or a proxy's own spelling
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_PREFIX), strict=False))
