"""Every fault at every kind of server: told in plain words, without the key, and soon."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest
from endpoint_client import ask, connected, start
from scripted_endpoint import (
    MODEL,
    Exchange,
    Script,
    error,
    fail,
    say,
    scripted_endpoint,
    streaming,
)

from model.backends.base import BackendError, Reply

KEY = "sk-planted-0123456789"
DIALECTS = ("vllm", "sglang", "zai", "openai")
HUGE = 8 * 1024 * 1024
READ_TIMEOUT_S = 1.0
DELAY_S = 0.15


def half(exchange: Exchange) -> None:
    exchange.delta("Half")


def raw(text: str) -> Script:
    return lambda exchange: exchange.raw(text)


# what the server does -> what the person is told, and what is kept of an answer
FAULTS: dict[str, tuple[Script, str, str]] = {
    "busy": (fail(429, error(KEY), Retry_After="99"), "too many questions.*again in 99 s", ""),
    "broken": (fail(500, error(f"CUDA {KEY}")), r"failed \(500 .*CUDA \[key\]; try again", ""),
    "wrong key": (fail(401, error(f"bad {KEY}")), r"refuses the key \(401\)", ""),
    "page": (lambda e: e.reply(502, f"<html>{KEY}</html>", kind="text/html"), r"failed \(502", ""),
    "silent": (lambda e: e.wait_for_disconnect(), "silent for too long", ""),
    "silent within": (
        streaming(half, lambda e: e.wait_for_disconnect()),
        "cut off.*silent",
        "Half",
    ),
    "dropped": (streaming(half, lambda e: e.drop()), "cut off: the connection .* broke", "Half"),
    "garbage": (
        streaming(half, lambda e: e.bytes(b"\xff\x00\xfe\n\n"), raw("\n\n")),
        "cut off",
        "Half",
    ),
    "no JSON": (streaming(raw(f"data: {{{KEY}\n\n")), "not the OpenAI protocol", ""),
    "huge line": (streaming(half, raw("data: " + "x" * HUGE + "\n\n")), "cut off.*not the", "Half"),
    "error event": (streaming(half, lambda e: e.data(error(KEY))), r"cut off.*\[key\]", "Half"),
    "redirect": (fail(307, "", Location=f"http://127.0.0.1:9/{KEY}"), r"elsewhere .*\[key\]", ""),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_and_what_came_is_kept(fault: str, dialect: str) -> None:
    script, words, kept = FAULTS[fault]
    settings: dict[str, Any] = {"max_retries": 1, "model": MODEL}
    if fault.startswith("silent"):
        settings["read_timeout_s"] = READ_TIMEOUT_S
    with scripted_endpoint(script) as endpoint:
        with connected(endpoint, api_key=KEY, dialect=dialect, **settings) as backend:
            reply = Reply()
            with pytest.raises(BackendError) as caught:
                for event in start(backend):
                    reply.add(event)
    told = str(caught.value)
    assert re.search(words, told), told
    assert KEY not in told + reply.request
    assert len(told) < 500
    assert reply.answer == kept


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_fault_that_passes_is_not_seen(dialect: str) -> None:
    busy = fail(429, error("slow down"), Retry_After="0.1")
    with scripted_endpoint(busy, fail(500, {}), say("Yes.")) as endpoint:
        with connected(endpoint, dialect=dialect, model=MODEL) as backend:
            started = time.monotonic()
            assert ask(backend).answer == "Yes."
            assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_first_word_that_comes_late_is_waited_for(dialect: str) -> None:
    def late(exchange: Exchange) -> None:
        threading.Event().wait(DELAY_S)
        exchange.start()
        threading.Event().wait(DELAY_S)
        exchange.delta("Yes.")
        exchange.finish()

    with scripted_endpoint(late) as endpoint:
        with connected(endpoint, dialect=dialect, model=MODEL) as backend:
            reply = ask(backend)
    assert reply.answer == "Yes."
    assert reply.finished is not None
    assert reply.finished.first_token_s >= 2 * DELAY_S


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_server_without_encryption_gets_no_key(dialect: str) -> None:
    with scripted_endpoint() as endpoint:
        url = endpoint.url.replace("http:", "https:")
        with connected(url, api_key=KEY, dialect=dialect, model=MODEL, max_retries=0) as backend:
            with pytest.raises(BackendError, match="no secure connection"):
                ask(backend)
    assert endpoint.asked == endpoint.listed == []
