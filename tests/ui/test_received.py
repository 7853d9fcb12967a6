"""Files that a tool call hands over: decoded, or fetched from the internet and nowhere else."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from ui.answering import Refused
from ui.api import received
from ui.api.received import receive_file


class Site:
    """A server on this machine: path -> (status, headers, body)."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.hosts: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.hosts.append(self.headers["Host"])
                status, headers, body = outer.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def url(self, path: str, host: str = "files.example") -> str:
        return f"http://{host}:{self.server.server_port}{path}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that passes for one on the internet, as long as it is called files.example."""
    look_up = received._public_address

    async def public_address(url: httpx.URL) -> str:
        return "127.0.0.1" if url.host == "files.example" else await look_up(url)

    monkeypatch.setattr(received, "_public_address", public_address)
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def receive(tmp_path: Path) -> Callable[..., Path]:
    def run(given: Any, max_bytes: int = 1000) -> Path:
        return Path(anyio.run(receive_file, given, str(tmp_path), max_bytes))

    return run


def data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("kind", "name"), [("image/png", "file.png"), ("application/pdf", "file.pdf"), ("", "file")]
)
def test_a_data_url_becomes_a_file_named_by_its_kind(
    receive: Callable[..., Path], kind: str, name: str
) -> None:
    path = receive(data_url(b"content", kind))
    assert (path.name, path.read_bytes()) == (name, b"content")


def test_base64_may_be_broken_into_lines(receive: Callable[..., Path]) -> None:
    assert receive("data:image/png;base64,Y29u\ndGVu\r\ndA==").read_bytes() == b"content"


def test_two_files_of_one_name_are_kept_apart(receive: Callable[..., Path]) -> None:
    one, other = (receive(data_url(content, "image/png")) for content in (b"1", b"2"))
    assert (one.name, one.read_bytes(), other.read_bytes()) == (other.name, b"1", b"2")


@pytest.mark.parametrize(
    "given",
    [None, 5, "", " ", "/etc/hostname", "file:///etc/hostname", "ftp://files.example/x", "data:,x"]
    + ["data:image/png;base64", "data:image/png;base64,%%%", "http://", "http://[", "http://a b/"],
)
def test_what_is_no_file_is_refused(receive: Callable[..., Path], given: Any) -> None:
    with pytest.raises(Refused, match="give a data URL|encode it again"):
        receive(given)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "2130706433"]
    + ["192.168.1.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "224.0.0.1", "100.64.0.1"],
)
def test_servers_that_are_not_on_the_internet_are_not_asked(
    receive: Callable[..., Path], site: Site, host: str
) -> None:
    site.pages["/x.png"] = (200, {}, b"secret")
    with pytest.raises(Refused, match="cannot be fetched"):
        receive(site.url("/x.png", host))
    assert site.hosts == []


def test_a_file_on_the_internet_is_fetched(receive: Callable[..., Path], site: Site) -> None:
    site.pages["/a/my%20screen.png?x=/y"] = (200, {}, b"content")
    path = receive(site.url("/a/my%20screen.png?x=/y"))
    assert (path.name, path.read_bytes()) == ("my screen.png", b"content")
    # the site is asked by its name, although the connection goes to the address that was checked
    assert site.hosts == [f"files.example:{site.server.server_port}"]


@pytest.mark.parametrize("path", ["/", "/..", "/%2e%2e", "/..%2f..%2fetc%2fhostname", "/%00"])
def test_a_name_cannot_lead_out_of_the_folder(
    receive: Callable[..., Path], site: Site, tmp_path: Path, path: str
) -> None:
    site.pages |= {path: (200, {}, b"x"), "/": (200, {}, b"x"), "/../": (200, {}, b"x")}
    assert tmp_path in receive(site.url(path)).resolve().parents


def test_redirects_are_followed_on_the_internet(receive: Callable[..., Path], site: Site) -> None:
    site.pages["/old"] = (302, {"Location": "/new.png"}, b"")
    site.pages["/new.png"] = (200, {}, b"content")
    assert receive(site.url("/old")).read_bytes() == b"content"


def test_a_redirect_does_not_lead_to_this_machine(receive: Callable[..., Path], site: Site) -> None:
    site.pages["/old"] = (302, {"Location": site.url("/secret", "127.0.0.1")}, b"")
    site.pages["/secret"] = (200, {}, b"secret")
    with pytest.raises(Refused, match="not on the public internet"):
        receive(site.url("/old"))
    assert len(site.hosts) == 1


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://files.example/x"])
def test_a_redirect_stays_on_the_web(
    receive: Callable[..., Path], site: Site, location: str
) -> None:
    site.pages["/old"] = (302, {"Location": location}, b"")
    with pytest.raises(Refused, match="cannot be fetched"):
        receive(site.url("/old"))


def test_a_circle_of_redirects_ends(receive: Callable[..., Path], site: Site) -> None:
    site.pages["/old"] = (302, {"Location": "/old"}, b"")
    with pytest.raises(Refused, match="redirects too often"):
        receive(site.url("/old"))


def test_an_error_of_the_site_is_named(receive: Callable[..., Path], site: Site) -> None:
    with pytest.raises(Refused, match="answered with 404"):
        receive(site.url("/nothing"))


def test_a_site_that_does_not_answer_is_given_up(
    receive: Callable[..., Path], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(received, "DOWNLOAD_TIMEOUT_S", 0.0)
    with pytest.raises(Refused, match="took too long"):
        receive(site.url("/x.png"))


@pytest.mark.parametrize("by_url", [False, True])
def test_size_is_limited(receive: Callable[..., Path], site: Site, by_url: bool) -> None:
    def give(size: int) -> str:
        site.pages["/x"] = (200, {}, bytes(size))
        return site.url("/x") if by_url else data_url(bytes(size), "image/png")

    assert receive(give(1000)).stat().st_size == 1000
    with pytest.raises(Refused, match="MB allowed"):
        receive(give(1001))
