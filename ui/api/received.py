"""Files that a tool call hands over: a data URL, or the address of a file on the web."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import mimetypes
import socket
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import httpx

from ui.answering import Refused

MEBIBYTE = 1024 * 1024
MAX_REDIRECTS = 5
ANSWER_TIMEOUT_S = 30.0
DOWNLOAD_TIMEOUT_S = 300.0
HOW = "give a data URL (data:image/png;base64,...) or an http(s) address of a file on the web"


async def receive_file(given: Any, folder: str, max_bytes: int) -> str:
    """Return the path of a file below ``folder`` that holds what was given.

    Only servers on the public internet are asked, so that nobody reaches this machine or its
    neighbours through here; files of this machine are not read.

    Raises:
        Refused: it is neither, too large, or cannot be had.
    """
    if not isinstance(given, str) or not given.strip():
        raise Refused(f"A file is missing; {HOW}.")
    given = given.strip()
    # one each: files of a message may have the same name
    into = Path(tempfile.mkdtemp(dir=folder))
    if given[:5].lower() == "data:":
        return await anyio.to_thread.run_sync(_decode, given, into, max_bytes)
    if given[:8].lower().startswith(("http://", "https://")):
        return await _download(given, into, max_bytes)
    raise Refused(f"{given[:60]!r} is not a file that can be reached from here; {HOW}.")


def _decode(url: str, into: Path, max_bytes: int) -> str:
    head, comma, data = url.partition(",")
    kind, *options = head[5:].split(";")
    if not comma or "base64" not in options:
        raise Refused(f"A data URL must be in base64; {HOW}.")
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"The base64 of a data URL is damaged ({error}); encode it again.") from error
    if len(content) > max_bytes:
        raise _too_large(max_bytes)
    path = into / ("file" + (mimetypes.guess_extension(kind) or ""))
    path.write_bytes(content)
    return str(path)


async def _download(given: str, into: Path, max_bytes: int) -> str:
    try:
        with anyio.fail_after(DOWNLOAD_TIMEOUT_S):
            url = httpx.URL(given)
            for _ in range(MAX_REDIRECTS + 1):
                if url.scheme not in ("http", "https"):
                    raise ValueError(f"it leads to {url.scheme}:")
                # the address that was checked is the one that is asked, whatever a proxy or a
                # second look at the name would say
                address = url.copy_with(host=await _public_address(url))
                async with (
                    httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, trust_env=False) as client,
                    client.stream(
                        "GET",
                        address,
                        headers={"Host": url.netloc.decode("ascii")},
                        extensions={"sni_hostname": url.raw_host.decode("ascii")},
                    ) as response,
                ):
                    if response.has_redirect_location:
                        url = url.join(response.headers["Location"])
                        continue
                    response.raise_for_status()
                    return await _write(response, into / _name(str(url)), max_bytes)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise Refused(f"{given[:200]} was answered with {status}; check the address.") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        why = str(error) or "it took too long"
        raise Refused(f"{given[:200]} cannot be fetched from here ({why}); {HOW}.") from error
    raise Refused(f"{given[:200]} redirects too often; give the file's own address.")


async def _public_address(url: httpx.URL) -> str:
    """Return an address of the URL's server; ``ValueError`` if it has none on the internet."""
    found = await anyio.getaddrinfo(url.host, url.port or 0, type=socket.SOCK_STREAM)
    for *_, (host, *_) in found:
        address = ipaddress.ip_address(str(host).partition("%")[0])
        if address.is_global and not address.is_multicast:
            return str(host)
    raise ValueError(f"{url.host} is not on the public internet")


async def _write(response: httpx.Response, path: Path, max_bytes: int) -> str:
    size = 0
    async with await anyio.open_file(path, "wb") as file:
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            await file.write(piece)
    return str(path)


def _too_large(max_bytes: int) -> Refused:
    return Refused(f"A file is larger than the {max_bytes / MEBIBYTE:,.0f} MB allowed.")


def _name(url: str) -> str:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return "".join(c for c in name if c.isalnum() or c in "._- ").strip(". ")[-80:] or "file"
