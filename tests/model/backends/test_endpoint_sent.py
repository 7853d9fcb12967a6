"""What a person can read of a request: all that was sent, but pictures' data and the key."""

from __future__ import annotations

import base64
import json
import re

from endpoint_client import HI, ask, conversation, start
from PIL import Image
from scripted_endpoint import Exchange, Script, fail, say

from model.backends.base import AnswerDelta, SamplingOptions, Sent

KEY = "sk-planted-0123456789"


def test_a_request_is_told_as_it_was_sent_and_pictures_by_their_size() -> None:
    picture = {"type": "image", "image": Image.new("RGB", (640, 400), "red")}
    content = [picture, {"type": "text", "text": "Größe?"}]
    with conversation(api_key=KEY) as (endpoint, backend):
        reply = ask(
            backend, [{"role": "user", "content": content}], options=SamplingOptions(temperature=0)
        )
    told, body = json.loads(reply.request), endpoint.asked[0].body
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    size = len(base64.b64decode(url.partition(",")[2]))
    expected = f"data:image/png;base64,... (640x400, {size:,} bytes)"
    assert told["messages"][0]["content"][0]["image_url"]["url"] == expected
    told["messages"][0]["content"][0]["image_url"]["url"] = url
    assert told == body
    assert "Größe?" in reply.request


def test_neither_key_nor_header_is_told_even_where_somebody_typed_the_key() -> None:
    with conversation(api_key=KEY) as (_, backend):
        reply = ask(backend, [{"role": "user", "content": f"Is {KEY} mine?"}])
    assert KEY not in reply.request
    assert "Is [key] mine?" in reply.request
    assert not re.search("authorization|bearer", reply.request, re.IGNORECASE)


def test_it_comes_once_before_the_first_piece_with_what_was_refused_left_out() -> None:
    refusal = fail(400, {"error": {"message": "unknown field logprobs"}})

    def dropped(exchange: Exchange) -> None:
        exchange.start()
        exchange.delta("", role="assistant")
        exchange.drop()

    scripts: list[Script] = [refusal, dropped, say("Yes", ".")]
    with conversation(*scripts) as (endpoint, backend):
        events = [e for e in start(backend) if isinstance(e, (Sent, AnswerDelta))]
    sent = [event for event in events if isinstance(event, Sent)]
    assert events[0] is sent[0]
    assert len(sent) == 1
    assert json.loads(sent[0].request) == endpoint.asked[-1].body
    assert "logprobs" not in endpoint.asked[-1].body


def test_an_answer_without_a_word_has_a_request_too() -> None:
    with conversation(say()) as (_, backend):
        assert json.loads(ask(backend, HI).request)["messages"] == [
            {"role": "user", "content": "Hi"}
        ]
