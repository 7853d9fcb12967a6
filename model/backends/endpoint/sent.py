"""A request as it was sent -> a text for people."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

# of a PNG: its signature, then the header chunk, in which width and height come first
PNG_HEADER_BYTES = 24


def describe_request(body: Mapping[str, Any]) -> str:
    """Return a request's body as JSON, its pictures told by kind, size and length."""
    return json.dumps(_shorten(body), indent=2, ensure_ascii=False)


def _shorten(value: Any) -> Any:
    """Rebuild nested lists and mappings with data URLs told in the place of their data."""
    if isinstance(value, Mapping):
        is_url = value.keys() == {"url"} and str(value["url"]).startswith("data:")
        return {k: _tell(v) if is_url else _shorten(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shorten(each) for each in value]
    return value


def _tell(url: str) -> str:
    """Return a data URL without its data."""
    kind, _, data = url.partition(",")
    length = len(data) * 3 // 4 - data[-2:].count("=")
    # 4 characters for each 3 bytes
    header = base64.b64decode(data[: PNG_HEADER_BYTES * 4 // 3])
    width, height = struct.unpack(">II", header[16:PNG_HEADER_BYTES])
    return f"{kind},... ({width}x{height}, {length:,} bytes)"
