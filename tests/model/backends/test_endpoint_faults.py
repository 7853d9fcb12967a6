"""What a person is told when a server fails, and what is tried again; the key is never told."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import traceback
from email.utils import formatdate
from typing import Any

import pytest
from endpoint_client import ask, connected, conversation, start
from scripted_endpoint import (
    MODEL,
    Exchange,
    Script,
    card,
    error,
    fail,
    say,
    scripted_endpoint,
    streaming,
)

from model.backends.base import BackendError, Reply
from model.backends.endpoint import EndpointBackend
from model.backends.endpoint.asking import retry_delay
from model.backends.endpoint.errors import Dropped

KEY = "sk-planted-0123456789"


def dropped(exchange: Exchange) -> None:
    exchange.drop()


def ended(exchange: Exchange) -> None:
    exchange.end()


def begin_refusal(exchange: Exchange) -> None:
    """Send a refusal whose body is longer than what comes of it."""
    exchange.reply(400, "64\r\n{", Transfer_Encoding="chunked")


def cut_refusal(exchange: Exchange) -> None:
    begin_refusal(exchange)
    exchange.drop()


def deep(exchange: Exchange) -> None:
    exchange.raw(f"data: {'[' * 200_000}\n\n")


def failing(script: Script, **settings: Any) -> tuple[BackendError, int]:
    """Return the error that a question comes to, and how often it was asked."""
    with conversation(script, **settings) as (endpoint, backend):
        with pytest.raises(BackendError) as caught:
            ask(backend)
        return caught.value, len(endpoint.asked)


# what the server does -> what the person is told, and whether it is tried again
FAULTS: dict[str, tuple[Script, str, bool]] = {
    "wrong key": (
        fail(401, error(f"Incorrect API key {KEY}")),
        r"refuses the key \(401\); set SIGHTLINE_ENDPOINT_KEY",
        False,
    ),
    "forbidden": (fail(403, error(f"{KEY} may not")), r"refuses the key \(403\)", False),
    "too large": (fail(413, "<html>413</html>"), "fewer files or pages, or lower", False),
    "too large for nginx": (fail(413, error(KEY)), "as large as this one", False),
    "rate limit": (fail(429, error("slow down")), "too many questions.*in a moment", True),
    "rate limit for long": (
        fail(429, error("slow down"), Retry_After="3600"),
        "too many questions.*try again in 3600 s",
        False,
    ),
    "no credit at Z.ai": (
        fail(429, error("Insufficient balance or no resource package.", "1113")),
        "account behind the key.*: Insufficient balance",
        False,
    ),
    "no credit at OpenAI": (
        fail(429, error("You exceeded your current quota", "insufficient_quota")),
        "account behind the key",
        False,
    ),
    "broken": (fail(500, error("CUDA error")), r"failed \(500 .*\): CUDA error; try again", True),
    "overloaded": (fail(503, "<html>busy</html>"), r"failed \(503 Service Unavail.*\); try", True),
    "no status that is known": (fail(529, {}), r"failed \(529 unknown status\)", True),
    "refused": (
        fail(400, {"object": "error", "message": f"bad request of {KEY}", "code": 400}),
        r"refused the question \(400 Bad Request\): bad request of \[key\]",
        False,
    ),
    "refused by a list": (
        fail(422, {"detail": [{"loc": ["body", "messages"], "msg": "wrong"}]}),
        r"refused the question \(422 .*'msg': 'wrong'",
        False,
    ),
    "redirect": (
        fail(307, "", Location="http://127.0.0.1:9/v1"),
        r"sends elsewhere \(307\), to http://127.0.0.1:9/v1; give that as --endpoint",
        False,
    ),
    "page of HTML": (
        lambda exchange: exchange.reply(200, "<html>Welcome</html>", kind="text/html"),
        "not the OpenAI protocol.*text/html in the place of a stream.*end in /v1",
        False,
    ),
    "JSON in the place of a stream": (
        lambda exchange: exchange.reply(200, {"choices": []}),
        "not the OpenAI protocol.*application/json in the place",
        False,
    ),
    "no JSON": (
        streaming(lambda exchange: exchange.raw(f"data: {{{KEY}\n\n")),
        "not the OpenAI protocol",
        False,
    ),
    "JSON too deep to be read": (streaming(deep), "not the OpenAI protocol", False),
    "refused in no text encoding": (
        lambda exchange: exchange.reply(400, {}, kind="application/json; charset=zlib"),
        "not the OpenAI protocol",
        False,
    ),
    "refused and dropped": (cut_refusal, "connection to .* broke; try again", True),
    "empty stream": (streaming(ended), "closed the connection before the end", True),
    "dropped at once": (dropped, "connection to .* broke; try again", True),
    "dropped before the first token": (streaming(dropped), "connection to .* broke", True),
    "error as an event": (
        streaming(lambda exchange: exchange.data(error(f"out of memory {KEY}"))),
        r"failed: out of memory \[key\]; try again",
        False,
    ),
    "error as a text": (
        streaming(lambda exchange: exchange.data({"error": "out of memory"})),
        "failed: out of memory; try again",
        False,
    ),
    "withheld": (say(reason="content_filter"), r"withholds the answer \(content_filter\)", False),
    "withheld by Z.ai": (say(reason="sensitive"), r"withholds the answer \(sensitive\)", False),
    "failed at Z.ai": (say("Y", reason="network_error"), r"cut off.*\(network_error\)", False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_plain_words_without_the_key(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    script, words, is_tried_again = FAULTS[fault]
    with caplog.at_level(logging.DEBUG):
        told, times = failing(script, api_key=KEY, max_retries=2)
    assert times == (3 if is_tried_again else 1)
    assert re.search(words, str(told)), str(told)
    everything = [str(told), repr(told), *traceback.format_exception(told), caplog.text]
    assert [text for text in everything if KEY in text] == []


def test_long_complaints_are_quoted_in_part_and_never_a_part_of_the_key() -> None:
    told, _ = failing(fail(400, error("x" * 290 + KEY * 100)), api_key=KEY)
    assert len(str(told)) < 500
    assert KEY[:4] not in str(told)


def test_the_key_is_in_no_representation() -> None:
    with conversation(api_key=KEY) as (_, backend):
        texts = [repr(backend), str(backend), repr(backend.test_connection()), backend.name]
        server = backend._server
        texts += [repr(server), str(server), repr(server.explainer), str(server.explainer)]
    assert [text for text in texts if KEY in text] == []


def test_no_part_of_a_backend_and_no_error_shows_the_key_when_it_is_printed() -> None:
    with conversation(fail(401, error(f"bad {KEY}")), api_key=KEY) as (_, backend):
        with pytest.raises(BackendError) as caught:
            ask(backend)
        parts = [backend, *vars(backend).values(), backend._server.client]
        texts = [repr(part) for part in (*parts, *threading.enumerate())]
        chain: BaseException | None = caught.value
        while chain is not None:
            texts += [repr(chain), str(chain), str(vars(chain))]
            chain = chain.__cause__ or chain.__context__ if not chain.__suppress_context__ else None
    assert any("Server(" in text for text in texts)
    assert [text for text in texts if KEY in text] == []


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ValueError, match="SIGHTLINE_ENDPOINT_KEY holds") as caught:
        EndpointBackend("http://127.0.0.1:9/v1", api_key=key)
    assert key not in "".join(traceback.format_exception_only(caught.value))


def test_a_server_that_wants_a_key_says_so_where_none_is_set() -> None:
    told, _ = failing(fail(401, error("no key")))
    assert "wants a key; set SIGHTLINE_ENDPOINT_KEY" in str(told)


TOO_LONG = {
    "vLLM": "This model's maximum context length is 65536 tokens. However, you requested 70000",
    "vLLM, newer": "You passed 70000 input tokens. However, the model's context length is only 8",
    "vLLM, images": "The decoder prompt (length 9) is longer than the maximum model length of 8.",
    "SGLang": "The input (85050 tokens) is longer than the model's context length (32768 tokens).",
    "SGLang, memory": "Input length (16 tokens) exceeds the maximum allowed length (5 tokens).",
    "Z.ai": "Prompt exceeds max length",
}


@pytest.mark.parametrize("vendor", TOO_LONG)
def test_a_conversation_that_is_too_long_is_told_as_that(vendor: str) -> None:
    told, times = failing(fail(400, error(TOO_LONG[vendor])))
    assert f"too long for {MODEL}; attach less" in str(told)
    assert TOO_LONG[vendor] in str(told)
    assert times == 1


def test_the_most_images_that_a_server_takes_are_told() -> None:
    told, _ = failing(fail(400, error("At most 4 image(s) may be provided in one prompt.")))
    assert "takes at most 4 image(s)" in str(told)


NO_MODEL = {
    "vLLM": fail(404, error("The model `other` does not exist.", 404)),
    "Z.ai": fail(400, error("Unknown Model, please check the model code.", "1211")),
    "Z.ai, China": fail(400, error("模型不存在，请检查模型代码。", "1211")),
}


@pytest.mark.parametrize("vendor", NO_MODEL)
def test_a_model_that_is_not_there_is_named_with_those_that_are(vendor: str) -> None:
    with scripted_endpoint(NO_MODEL[vendor]) as endpoint:
        endpoint.models = [card("first"), card("second")]
        with connected(endpoint, model="other") as backend:
            with pytest.raises(BackendError, match="no model named other; it has first, second;"):
                ask(backend)


def test_an_address_without_its_end_is_told_as_that() -> None:
    with scripted_endpoint(fail(404, {"detail": "Not Found"})) as endpoint:
        endpoint.models = fail(404, {"detail": "Not Found"})
        with connected(endpoint, model="other") as backend:
            with pytest.raises(BackendError, match="no chat, or no model.*end in /v1"):
                ask(backend)


@pytest.mark.parametrize(
    "fault",
    [
        fail(500, error("once")),
        fail(429, error("once"), Retry_After="0"),
        fail(429, error("once"), Retry_After=formatdate(time.time() - 60, usegmt=True)),
        fail(408, error("once")),
        dropped,
        streaming(dropped),
        streaming(ended),
    ],
)
def test_what_passes_is_tried_again_and_not_seen(fault: Script) -> None:
    with conversation(fault, fault, say("Yes.")) as (endpoint, backend):
        assert ask(backend).answer == "Yes."
    first, second, third = endpoint.asked
    assert first.body == second.body == third.body


def test_a_server_may_ask_for_the_time_between_two_tries() -> None:
    busy = fail(429, error("once"), Retry_After="0.3")
    with conversation(busy, say("Yes.")) as (_, backend):
        started = time.monotonic()
        assert ask(backend).answer == "Yes."
        assert time.monotonic() - started >= 0.3


def test_times_between_tries_grow_and_differ() -> None:
    for tries, longest in enumerate((2.0, 4.0, 8.0)):
        waits = [retry_delay(Dropped(), tries, 2.0) for _ in range(9)]
        assert all(wait is not None and longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (dropped, "cut off: the connection to .* broke"),
        (ended, "cut off: .* closed the connection before the end"),
        (lambda exchange: exchange.data(error("out of memory")), "cut off: .* out of memory"),
        (lambda exchange: exchange.raw("data: {nonsense\n\n"), "cut off: .* not the OpenAI"),
        (deep, "cut off: .* not the OpenAI"),
    ],
)
def test_an_answer_that_breaks_off_keeps_what_came_and_is_not_asked_again(
    ending: Script, words: str
) -> None:
    script = streaming(lambda exchange: exchange.delta("Half an <|us"), ending)
    with conversation(script) as (endpoint, backend):
        reply, stream = Reply(), start(backend)
        with pytest.raises(BackendError, match=words):
            for event in stream:
                reply.add(event)
    assert reply.answer == "Half an <|us"
    assert reply.finished is None
    assert len(endpoint.asked) == 1


def test_a_silent_server_is_given_up_and_not_asked_again() -> None:
    silent: Script = streaming(lambda exchange: exchange.wait_for_disconnect())
    with conversation(silent, read_timeout_s=0.2) as (endpoint, backend):
        with pytest.raises(BackendError, match="silent for too long"):
            ask(backend)
        endpoint.wait_for_scripts()
    assert len(endpoint.asked) == 1


def test_silence_within_a_refusal_is_given_up() -> None:
    def script(exchange: Exchange) -> None:
        begin_refusal(exchange)
        exchange.wait_for_disconnect()

    told, times = failing(script, read_timeout_s=0.2)
    assert "silent for too long" in str(told)
    assert times == 1


def test_silence_within_an_answer_cuts_it_off() -> None:
    stuck = streaming(lambda e: e.delta("Half"), lambda e: e.wait_for_disconnect())
    told, _ = failing(stuck, read_timeout_s=0.2)
    assert str(told).startswith("the answer is cut off: ")


def test_a_server_that_is_not_running_is_told_as_that() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with connected(f"http://127.0.0.1:{port}/v1", model=MODEL, max_retries=1) as backend:
        with pytest.raises(BackendError, match="refuses connections; is it running"):
            ask(backend)


def test_a_server_that_takes_no_connection_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        held = []
        for _ in range(4):  # until its queue is full
            held.append(socket.socket())
            held[-1].setblocking(False)
            held[-1].connect_ex(("127.0.0.1", port))
        url = f"http://127.0.0.1:{port}/v1"
        with connected(url, model=MODEL, max_retries=1, connect_timeout_s=0.2) as backend:
            with pytest.raises(BackendError, match="no answer in time; is it running"):
                ask(backend)
        for each in held:
            each.close()


def test_a_server_without_encryption_is_told_as_that() -> None:
    with scripted_endpoint() as endpoint:
        url = endpoint.url.replace("http:", "https:")
        with connected(url, model=MODEL) as backend:
            with pytest.raises(BackendError, match="no secure connection.*begin with http://"):
                ask(backend)
    assert endpoint.asked == []


def test_another_host_is_never_called() -> None:
    with scripted_endpoint() as other:
        away = fail(307, "", Location=f"{other.url}/chat/completions")
        with conversation(away, api_key=KEY, model=MODEL) as (endpoint, backend):
            endpoint.models = fail(302, "", Location=f"{other.url}/models")
            with pytest.raises(BackendError, match="sends elsewhere"):
                ask(backend)
            assert "sends elsewhere" in backend.test_connection().detail
    assert (other.asked, other.listed) == ([], [])


def test_a_question_without_a_message_is_refused() -> None:
    with conversation() as (endpoint, backend), pytest.raises(ValueError, match="empty"):
        ask(backend, [])
    assert endpoint.asked == []
