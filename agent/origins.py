"""Which servers a live page may talk to: origins, as browsers count them (scheme, host, port)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
# a socket is opened to the same server as a page
_SOCKETS = {"ws": "http", "wss": "https"}


def read_origin(address: str) -> str:
    """Return the origin of an address in one spelling: "http://host:port", port always given.

    Raises:
        ValueError: it is not an address of a web server; the message says what one looks like.
    """
    try:
        parts = urlsplit(address.strip())
        scheme = _SOCKETS.get(parts.scheme, parts.scheme)
        port = parts.port or _PORTS.get(scheme)
    except ValueError as error:
        raise ValueError(f"{address!r} is not an address: {error}") from error
    if scheme not in _PORTS or not parts.hostname or parts.username or parts.password:
        raise ValueError(
            f"{address!r} is not the address of a web server; give one such as "
            "http://127.0.0.1:8000, without a user name"
        )
    host = parts.hostname.rstrip(".")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def read_origins(listed: str) -> tuple[str, ...]:
    """Return the origins of a list with commas between them; () for an empty one.

    Raises:
        ValueError: an entry is not an origin, or has a path, which would not confine anything.
    """
    entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
    for entry in entries:
        parts = urlsplit(entry)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"{entry!r} has more than an origin; give scheme, host and port only")
    return tuple(dict.fromkeys(read_origin(entry) for entry in entries))


def is_allowed(address: str, origins: Iterable[str]) -> bool:
    """Whether an address belongs to one of the origins; False for what is no web address."""
    try:
        return read_origin(address) in set(origins)
    except ValueError:
        return False
