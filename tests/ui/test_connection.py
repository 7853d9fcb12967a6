"""A visitor's own endpoint: chosen from a closed list, tested in plain words, let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_files import make_image
from scripted_backend import END, ScriptedBackend
from scripted_endpoint import MODEL, Exchange, card, fail, scripted_endpoint

from model.backends.base import AnswerDelta, BackendError, SamplingOptions
from model.backends.endpoint import EndpointBackend
from model.processing import Limits
from ui import PageSettings, build_ui
from ui import connection as module
from ui.connection import Connection, let_go
from ui.locate.handlers import Locate

KEY = "sk-planted-0123456789"
PATIENCE_S = 30


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close all connections of a test."""
    made: list[EndpointBackend] = []

    def make(*args: Any, **settings: Any) -> EndpointBackend:
        made.append(EndpointBackend(*args, **settings))
        return made[-1]

    monkeypatch.setattr(module, "EndpointBackend", make)
    yield
    for backend in made:
        backend.close()


def wait_until_closed(backend: EndpointBackend | None) -> None:
    assert backend is not None
    deadline = time.monotonic() + PATIENCE_S
    while not backend.is_closed:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def answer_of(backend: EndpointBackend | None) -> str:
    assert backend is not None
    events = backend.stream(
        [{"role": "user", "content": "Hi"}], enable_thinking=False, options=SamplingOptions()
    )
    return "".join(event.text for event in events if isinstance(event, AnswerDelta))


def test_a_visitor_tests_chooses_a_model_and_is_answered_with_the_own_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGHTLINE_ENDPOINT_KEY", "of-the-operator")
    with scripted_endpoint() as endpoint:
        endpoint.models = [card("first"), card("second")]
        connection = Connection([endpoint.url])
        tested = connection.test(endpoint.url, f" {KEY} ", None, None)
        assert (tested.models, tested.own) == (("first", "second"), None)
        used = connection.use("second", tested.tested, None)
        assert used.own is tested.tested
        assert "second" in used.notice
        assert answer_of(used.own) == "Yes."
        assert used.own is not None
        assert used.own.status().state == "ready"
        stopped = connection.stop(used.tested, used.own)
        assert (stopped.tested, stopped.own) == (None, None)
        wait_until_closed(used.own)
    assert endpoint.asked[0].body["model"] == "second"
    assert {a.headers["authorization"] for a in endpoint.listed} == {f"Bearer {KEY}"}
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", [KEY, ""])
def test_no_other_address_is_called_whatever_the_browser_sends(key: str) -> None:
    with scripted_endpoint() as other, scripted_endpoint() as endpoint:
        connection = Connection([endpoint.url])
        for address in (other.url, endpoint.url + "/", None, [endpoint.url], {"a": 1}):
            view = connection.test(address, key, None, None)
            assert (view.tested, view.models) == (None, None)
            assert "does not connect" in view.notice
    assert (other.listed, endpoint.listed) == ([], [])


def test_a_redirect_leads_nowhere() -> None:
    with scripted_endpoint() as other, scripted_endpoint() as endpoint:
        endpoint.models = fail(307, "", Location=f"{other.url}/models")
        view = Connection([endpoint.url]).test(endpoint.url, KEY, None, None)
    assert "sends elsewhere" in view.notice
    assert other.listed == []


FAULTS = {
    "wrong key": (fail(401, {"error": {"message": f"bad {KEY}"}}), KEY, "refuses the key"),
    "no key": (fail(401, {}), "", "wants a key; enter it"),
    "broken": (fail(500, {"error": {"message": f"{KEY} broke"}}), KEY, "failed (500"),
    "page": (lambda e: e.reply(200, f"<p>{KEY}</p>", kind="text/html"), KEY, "not the OpenAI"),
    "bad key": (fail(500), "two words", "copy it again"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_told_in_words_for_visitors_and_without_the_key(fault: str) -> None:
    script, key, words = FAULTS[fault]
    with scripted_endpoint() as endpoint:
        endpoint.models = script
        view = Connection([endpoint.url]).test(endpoint.url, key, None, None)
    assert (view.tested, view.own, view.models) == (None, None, None)
    assert words in view.notice
    for word in (KEY, "--endpoint", "SIGHTLINE"):
        assert word not in view.notice


def test_where_nothing_is_listed_a_name_is_typed() -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = fail(404, {})
        connection = Connection([endpoint.url])
        view = connection.test(endpoint.url, KEY, None, None)
        assert view.models == ()
        assert "type the name" in view.notice
        assert connection.use(" ", view.tested, None).own is None
        used = connection.use("mine", view.tested, None)
        assert answer_of(used.own) == "Yes."
    assert endpoint.asked[0].body["model"] == "mine"


def test_another_connection_ends_the_one_before_once_it_is_used() -> None:
    with scripted_endpoint() as endpoint:
        connection = Connection([endpoint.url])
        first = connection.test(endpoint.url, KEY, None, None)
        first = connection.use(MODEL, first.tested, None)
        second = connection.test(endpoint.url, "sk-other", first.tested, first.own)
        assert second.own is first.own
        assert answer_of(first.own) == "Yes."
        third = connection.test(endpoint.url, "sk-third", second.tested, second.own)
        wait_until_closed(second.tested)
        used = connection.use(MODEL, third.tested, third.own)
        wait_until_closed(first.own)
        assert answer_of(used.own) == "Yes."


def test_a_test_that_fails_leaves_what_answers_now() -> None:
    with scripted_endpoint() as endpoint:
        connection = Connection([endpoint.url])
        view = connection.test(endpoint.url, KEY, None, None)
        own = connection.use(MODEL, view.tested, None).own
        endpoint.models = fail(401, {})
        after = connection.test(endpoint.url, "sk-wrong", own, own)
        assert (after.tested, after.own) == (own, own)
        assert answer_of(own) == "Yes."


def test_there_are_only_so_many_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    with scripted_endpoint() as endpoint:
        connection = Connection([endpoint.url])
        first, *others = [connection.test(endpoint.url, KEY, None, None).tested for _ in range(3)]
        wait_until_closed(first)
        assert [each is not None and each.is_closed for each in others] == [False, False]
        with pytest.raises(BackendError, match="connect again"):
            answer_of(first)
        assert connection.use(MODEL, first, None).own is None


def test_a_session_that_ends_ends_its_answers_and_threads() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.start()
        try:
            while True:
                exchange.delta("word ")
        except OSError:
            pass

    with scripted_endpoint(endless) as endpoint:
        connection = Connection([endpoint.url])
        view = connection.test(endpoint.url, KEY, None, None)
        own = connection.use(MODEL, view.tested, None).own
        assert own is not None
        stream = own.stream(
            [{"role": "user", "content": "Hi"}], enable_thinking=False, options=SamplingOptions()
        )
        next(stream)
        let_go(own)
        with pytest.raises(BackendError, match="connect again"):
            list(stream)
        endpoint.wait_for_scripts()


def test_grounding_is_answered_by_it_too(tmp_path: Path) -> None:
    page = ScriptedBackend([AnswerDelta("From the page."), END])
    own = ScriptedBackend([AnswerDelta("From the own."), END])
    locate = Locate(page, SamplingOptions(), Limits())
    image = make_image(tmp_path / "a.png")
    *_, view = locate.show(image, "Click on Save", False, False, own)
    assert "From the own." in view.answer
    *_, view = locate.show(image, "Click on Save", False, False, None)
    assert "From the page." in view.answer
    assert (len(own.questions), len(page.questions)) == (1, 1)


def config_of(*addresses: str) -> str:
    backend = ScriptedBackend([AnswerDelta("Yes."), END])
    return str(build_ui(backend, PageSettings(visitor_endpoints=addresses)).get_config_file())


def test_without_addresses_the_page_has_no_trace_of_it() -> None:
    assert "own-key" not in config_of()
    assert "own-key" in config_of("http://gpu:8000/v1")
