"""Being there and not: status, stopping at any moment, company."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from endpoint_client import ask, connected, conversation, start
from gradio.utils import SyncToAsyncIterator
from media_files import make_image
from scripted_endpoint import (
    MODEL,
    PATIENCE_S,
    Exchange,
    Script,
    card,
    fail,
    say,
    scripted_endpoint,
)

from model.backends.base import AnswerDelta, BackendError, Status, Waiting
from model.backends.endpoint import EndpointBackend
from model.backends.endpoint.server import check_url
from model.processing import Limits


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.backends.endpoint.backend.HEARTBEAT_S", 0.02)
    monkeypatch.setattr("model.backends.endpoint.server.RECONNECT_S", (0.02,))
    monkeypatch.setattr("model.backends.endpoint.server.MODEL_PATIENCE_S", 0.3)


def wait_for(backend: EndpointBackend, state: str) -> Status:
    """Return the status once it is that, without asking for a look."""
    deadline = time.monotonic() + PATIENCE_S
    while backend.status().state != state:
        assert time.monotonic() < deadline, backend.status()
        threading.Event().wait(0.01)
    return backend.status()


def silent(exchange: Exchange) -> None:
    """Answer nothing at all until the other side gives up."""
    exchange.wait_for_disconnect()


def silent_stream(exchange: Exchange) -> None:
    exchange.start()
    exchange.wait_for_disconnect()


def endless(exchange: Exchange) -> None:
    """Talk until the other side is gone."""
    exchange.start()
    try:
        while True:
            exchange.delta("word ")
    except OSError:
        pass


def first_word(stream: Iterator[Any]) -> str:
    return next(e.text for e in stream if isinstance(e, AnswerDelta) and e.text)


def test_the_first_model_that_a_server_lists_is_asked() -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card("first"), card("second")]
        with connected(endpoint) as backend:
            host = endpoint.url.split("/")[2]
            assert wait_for(backend, "ready").detail == f"at {host}"
            assert backend.name == "first"
            assert backend.list_models() == ("first", "second")
            ask(backend)
    assert endpoint.asked[0].body["model"] == "first"
    assert endpoint.asked[0].path == "/v1/chat/completions"


def test_a_model_that_is_named_is_asked_whatever_is_listed() -> None:
    with conversation(model="other") as (endpoint, backend):
        ask(backend)
        assert backend.name == "other"
    assert endpoint.asked[0].body["model"] == "other"


def test_a_server_that_comes_later_is_found_without_asking() -> None:
    with scripted_endpoint() as endpoint:
        port = int(endpoint.url.split(":")[2].split("/")[0])
    with connected(endpoint) as backend:
        while "Trying again" not in backend.status().detail:
            threading.Event().wait(0.01)
        absent = backend.status()
        assert absent.state == "loading"
        assert "cannot be reached" in absent.detail
        with pytest.raises(BackendError, match="cannot be reached"):
            ask(backend)
        with scripted_endpoint(say("Back."), port=port):
            wait_for(backend, "ready")
            assert ask(backend).answer == "Back."


def test_a_test_of_the_connection_tells_what_is_so_now() -> None:
    with scripted_endpoint() as endpoint, connected(endpoint) as backend:
        assert backend.test_connection().state == "ready"
        endpoint.models = fail(500, {"error": {"message": "down"}})
        assert backend.test_connection().state == "loading"
        with pytest.raises(BackendError, match="down"):
            backend.list_models()


def test_a_list_that_cannot_be_read_is_asked_for_again() -> None:
    def too_deep_at_first(exchange: Exchange) -> None:
        is_first = len(endpoint.listed) == 1
        exchange.reply(200, "[" * 200_000 if is_first else {"object": "list", "data": [card()]})

    with scripted_endpoint() as endpoint:
        endpoint.models = too_deep_at_first
        with connected(endpoint) as backend:
            wait_for(backend, "ready")
    assert len(endpoint.listed) == 2


@pytest.mark.parametrize("length", [-1, 0, 1, True, pytest.param(10**400, id="huge"), "8192"])
def test_a_length_of_context_that_no_model_has_is_not_believed(length: Any, tmp_path: Path) -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card("first", max_model_len=length)]
        with connected(endpoint) as backend:
            wait_for(backend, "ready")
            assert backend.context_length is None
            backend.open_attachment(make_image(tmp_path / "a.png"), limits=Limits())


def test_a_models_name_can_be_shown_whatever_it_is() -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card("half a \ud83e")]
        with connected(endpoint) as backend:
            wait_for(backend, "ready")
            assert backend.name == "half a \ufffd"


def test_a_list_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.backends.endpoint.backend.LISTING_TIMEOUT_S", 0.2)

    def trickling(exchange: Exchange) -> None:
        exchange.start(kind="application/json")
        try:
            while True:
                exchange.raw(" ")
                threading.Event().wait(0.02)
        except OSError:
            pass

    with scripted_endpoint() as endpoint:
        endpoint.models = trickling
        with connected(endpoint) as backend:
            with pytest.raises(BackendError, match="silent for too long"):
                backend.list_models()


@pytest.mark.parametrize("model", [None, MODEL])
def test_a_key_that_is_refused_is_a_failed_status(model: str | None) -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = fail(401, {})
        with connected(endpoint, api_key="sk-old", model=model) as backend:
            assert "refuses the key" in wait_for(backend, "failed").detail


@pytest.mark.parametrize(
    "listing", [fail(404, {}), lambda e: e.reply(200, "<html>", kind="text/html")]
)
def test_without_a_list_a_model_must_be_named(listing: Script) -> None:
    with scripted_endpoint(say("Yes.")) as endpoint:
        endpoint.models = listing
        with connected(endpoint) as backend, pytest.raises(BackendError):
            ask(backend)
        with connected(endpoint, model=MODEL) as backend:
            assert ask(backend).answer == "Yes."


def test_a_server_without_a_list_is_ready_for_a_model_that_is_named() -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = fail(404, {})
        with connected(endpoint, model=MODEL) as backend:
            wait_for(backend, "ready")
            assert backend.name == MODEL


def test_an_empty_list_asks_for_a_name() -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = []
        with connected(endpoint) as backend:
            assert "--endpoint-model" in wait_for(backend, "failed").detail
            with pytest.raises(BackendError, match="--endpoint-model"):
                ask(backend)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "no address of a server"),
        ("ftp://host/v1", "no address of a server"),
        ("http:///v1", "no address of a server"),
        ("http://a b/v1", "no address of a server"),
        ("http://host:99999/v1", "no address"),
        ("http://[::1/v1", "no address"),
        ("http://host/v1?key=1", "behind"),
        ("http://host/v1/chat/completions", "goes too far"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EndpointBackend(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="SIGHTLINE_ENDPOINT_KEY") as caught:
        EndpointBackend("http://me:secret@host/v1")
    assert "secret" not in str(caught.value)


def test_a_host_is_shown_with_its_port() -> None:
    assert check_url("https://api.z.ai/api/paas/v4") == "api.z.ai"
    assert check_url("http://[::1]:8000/v1") == "[::1]:8000"


@pytest.mark.parametrize("script", [silent, silent_stream])
def test_closing_before_the_first_token_closes_the_connection(script: Script) -> None:
    with conversation(script) as (endpoint, backend):
        stream = start(backend)
        while not endpoint.asked:
            assert next(stream) == Waiting()
        stream.close()  # type: ignore[attr-defined]
        endpoint.wait_for_scripts()


def test_closing_within_an_answer_closes_the_connection() -> None:
    with conversation(endless) as (endpoint, backend):
        stream = start(backend)
        assert first_word(stream) == "word"
        stream.close()  # type: ignore[attr-defined]
        endpoint.wait_for_scripts()


def test_a_stream_that_nobody_holds_any_more_is_closed() -> None:
    with conversation(endless) as (endpoint, backend):
        assert first_word(start(backend)) == "word"
        endpoint.wait_for_scripts()


def test_closing_between_two_tries_ends_the_waiting_and_frees_the_place() -> None:
    busy = fail(503, {})
    with conversation(busy, say("Yes."), retry_delay_s=15.0, max_conversations=1) as (
        endpoint,
        backend,
    ):
        stream = start(backend)
        next(stream)
        endpoint.wait_for_scripts()
        stream.close()  # type: ignore[attr-defined]
        assert ask(backend).answer == "Yes."
    assert len(endpoint.asked) == 2


def test_one_too_many_waits_for_a_place_and_may_leave_the_queue() -> None:
    with conversation(silent_stream, silent_stream, say("Yes."), max_conversations=1) as (
        endpoint,
        backend,
    ):
        first, second = start(backend), start(backend)
        while not endpoint.asked:
            next(first)
        third = start(backend)
        assert (next(second), next(third)) == (Waiting(place=1), Waiting(place=2))
        second.close()  # type: ignore[attr-defined]
        assert len(endpoint.asked) == 1
        while next(third) != Waiting(place=1):
            pass
        first.close()  # type: ignore[attr-defined]
        while len(endpoint.asked) < 2:
            next(third)
        third.close()  # type: ignore[attr-defined]
        endpoint.wait_for_scripts(2)


def test_the_page_can_stop_it_while_it_waits() -> None:
    """As the page's server does: a step runs in a thread, and is cancelled from the event loop."""
    with conversation(silent) as (endpoint, backend):

        async def stop_while_waiting() -> None:
            stream = SyncToAsyncIterator(start(backend), limiter=None)
            while not endpoint.asked:
                await stream.__anext__()
            step = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(0)
            await stream.aclose()
            await asyncio.gather(step, return_exceptions=True)

        # on a thread of its own: a browser may keep a loop on this one
        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, stop_while_waiting()).result()
        endpoint.wait_for_scripts()


def test_stopping_one_does_not_touch_another() -> None:
    waiting = threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.start()
        exchange.delta("One")
        assert waiting.wait(PATIENCE_S)
        exchange.delta(" two")
        exchange.finish()

    with conversation(slow, endless) as (endpoint, backend):
        kept = start(backend)
        text = first_word(kept)
        stopped = start(backend)
        first_word(stopped)
        stopped.close()  # type: ignore[attr-defined]
        endpoint.wait_for_scripts()
        waiting.set()
        text += "".join(event.text for event in kept if isinstance(event, AnswerDelta))
    assert text == "One two"


def test_many_at_once_get_each_its_own_answer() -> None:
    def echo(exchange: Exchange) -> None:
        exchange.start()
        for letter in exchange.asked.body["messages"][0]["content"]:
            exchange.delta(letter)
        exchange.finish()

    questions = [f"question{number}" for number in range(8)]
    with conversation(echo) as (_, backend), ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda q: ask(backend, [{"role": "user", "content": q}]).answer, questions)
        )
    assert answers == questions


def test_tokens_that_come_slowly_are_waited_for() -> None:
    def slow(exchange: Exchange) -> None:
        exchange.start()
        for piece in ("a", "b", "c"):
            threading.Event().wait(0.15)
            exchange.delta(piece)
        exchange.finish()

    with conversation(slow, read_timeout_s=0.4) as (_, backend):
        assert ask(backend).answer == "abc"


def test_a_backend_that_is_closed_ends_its_answers() -> None:
    with scripted_endpoint(endless) as endpoint, connected(endpoint) as backend:
        stream = start(backend)
        first_word(stream)
        backend.close()
        with pytest.raises(BackendError, match="closed from this side"):
            list(stream)
        endpoint.wait_for_scripts()


def test_files_can_be_opened_while_there_is_no_server(tmp_path: Path) -> None:
    with connected("http://127.0.0.1:9/v1") as backend:
        opened = backend.open_attachment(make_image(tmp_path / "a.png"), limits=Limits())
        assert opened.tokens > 2
        assert backend.context_length is None
