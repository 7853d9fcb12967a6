"""Origins are compared as browsers do, and what is none is refused."""

from __future__ import annotations

import pytest

from agent.origins import is_allowed, read_origin, read_origins

ALLOWED = read_origins("http://127.0.0.1:8000, https://example.org,")


def test_a_list_gives_each_origin_once_with_its_port() -> None:
    assert read_origins("http://A.example, http://a.example:80/ ,http://[::1]:9") == (
        "http://a.example:80",
        "http://[::1]:9",
    )
    assert read_origins(" ") == ()


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8000", "http://127.0.0.1:8000/a?b#c", "https://EXAMPLE.org:443/",
     "wss://example.org/live", "ws://127.0.0.1:8000/"],
)  # fmt: skip
def test_an_allowed_origin_is_recognised(address: str) -> None:
    assert is_allowed(address, ALLOWED)


@pytest.mark.parametrize(
    "address",
    ["", "file:///etc/passwd", "http://127.0.0.1:8001", "http://localhost:8000", "chrome://gpu",
     "https://127.0.0.1:8000", "http://example.org", "https://example.org.evil.test",
     "http://127.0.0.1:8000@evil.test/", "http://user:x@127.0.0.1:8000", "data:text/html,x",
     "javascript:alert(1)", "//127.0.0.1:8000", "http://127.0.0.1:99999/", "about:blank"],
)  # fmt: skip
def test_anything_else_is_not_allowed(address: str) -> None:
    assert not is_allowed(address, ALLOWED)


@pytest.mark.parametrize(
    "entry", ["*", "example.org", "file:///", "http://a.example/path", "http:"]
)
def test_an_operators_mistake_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="origin|address"):
        read_origins(f"http://127.0.0.1:8000,{entry}")


def test_a_socket_belongs_to_the_origin_of_its_server() -> None:
    assert read_origin("ws://a.example") == read_origin("http://a.example")
