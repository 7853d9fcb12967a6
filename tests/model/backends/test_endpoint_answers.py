"""What becomes of a server's stream: thought and answer, tokens, the ending."""

from __future__ import annotations

import math
from typing import Any

import pytest
from endpoint_client import ask, conversation, start
from hypothesis import given
from hypothesis import strategies as st
from scripted_endpoint import Exchange, deltas, say

from model.backends.base import AnswerDelta, AnswerWasThinking, Reply
from model.backends.endpoint.answer import STOP_TOKENS, StopTrimmer

BOX = "<|begin_of_box|>[[1,2,3,4]]<|end_of_box|>"


def logprob(text: str, probability: float, *raw: int) -> dict[str, Any]:
    """A token as servers tell it; ``raw``: its bytes, if not those of the text."""
    return {
        "token": text,
        "logprob": math.log(probability),
        "bytes": list(raw or text.encode()),
        "top_logprobs": [],
    }


def reply_to(*pieces: dict[str, Any], thinking: bool = True, **finish: Any) -> Reply:
    with conversation(deltas(*pieces, **finish)) as (_, backend):
        return ask(backend, thinking=thinking)


THOUGHTS: dict[str, list[dict[str, Any]]] = {
    "reasoning_content": [
        {"content": ""},
        {"reasoning_content": "\nwhy "},
        {"reasoning_content": "so"},
        {"content": "\nBecause"},
        {"content": "."},
    ],
    "reasoning": [{"reasoning": "why "}, {"reasoning": "so"}, {"content": "Because."}],
    # while vLLM renamed one to the other it sent both
    "both": [
        {"reasoning": "why so", "reasoning_content": "why so"},
        {"content": "Because."},
    ],
    "one chunk": [{"reasoning_content": "why so", "content": "Because."}],
    "tags": [{"content": "<thi"}, {"content": "nk>why so</th"}, {"content": "ink>\nBecause."}],
    "no opening tag": [{"content": "why so</think>"}, {"content": "Because."}],
    "nulls": [{"reasoning_content": None, "content": "<think>why so</think>Because."}],
}


@pytest.mark.parametrize("way", THOUGHTS)
def test_a_thought_comes_apart_however_it_is_sent(way: str) -> None:
    reply = reply_to(*THOUGHTS[way])
    assert (reply.thinking, reply.answer) == ("why so", "Because.")


def test_tags_in_an_answer_are_text_where_the_thought_comes_apart() -> None:
    reply = reply_to({"reasoning_content": "why"}, {"content": "The tag </think> ends it."})
    assert (reply.thinking, reply.answer) == ("why", "The tag </think> ends it.")


def test_an_answer_that_a_server_takes_for_a_thought_is_still_an_answer() -> None:
    pieces = [{"reasoning_content": "Because "}, {"reasoning_content": "of it."}]
    assert reply_to(*pieces, thinking=False).answer == "Because of it."
    assert reply_to(*pieces, thinking=True).answer == ""


def test_a_thought_that_is_cut_is_no_answer() -> None:
    reply = reply_to({"reasoning_content": "Because "}, thinking=False, reason="length")
    assert reply.answer == ""


@pytest.mark.parametrize("token", STOP_TOKENS)
def test_a_stop_token_at_the_end_is_not_shown_and_boxes_stay(token: str) -> None:
    assert reply_to({"content": BOX}, {"content": token[:4]}, {"content": token[4:]}).answer == BOX


@given(
    text=st.lists(st.sampled_from(["a", "<", "|", ">", "user", *STOP_TOKENS])).map("".join),
    data=st.data(),
)
def test_only_a_stop_token_at_the_very_end_is_removed(text: str, data: st.DataObject) -> None:
    expected = next((text[: -len(t)] for t in STOP_TOKENS if text.endswith(t)), text)
    trimmer, seen, rest = StopTrimmer(), "", text
    while rest:
        length = data.draw(st.integers(1, len(rest)))
        seen, rest = seen + trimmer.push(rest[:length]), rest[length:]
    assert seen + trimmer.flush() == expected


def test_an_answer_streams_piece_by_piece() -> None:
    with conversation(say("One ", "two ", "three.")) as (_, backend):
        events = list(start(backend))
    texts = [event.text for event in events if isinstance(event, AnswerDelta) and event.text]
    # blanks wait for what comes next: they may precede a tag
    assert texts == ["One", " two", " three."]
    assert AnswerWasThinking() not in events


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "stop"), ("length", "length"), ("model_context_window_exceeded", "length")],
)
def test_the_ending_and_the_counts_are_the_servers(reason: str, expected: str) -> None:
    finished = reply_to({"content": "Yes."}, reason=reason, usage=(123, 45)).finished
    assert finished is not None
    assert (finished.reason, finished.prompt_tokens, finished.new_tokens) == (expected, 123, 45)
    assert 0 < finished.first_token_s <= finished.total_s


def test_counts_that_a_server_does_not_tell_are_estimated() -> None:
    finished = reply_to({"content": "Yes"}, {"content": "."}, usage=None).finished
    assert finished is not None
    assert finished.prompt_tokens >= 1
    assert finished.new_tokens == 2


@pytest.mark.parametrize("usage", [(-1, 5), (11, 10**400)])
def test_counts_that_cannot_be_are_estimated(usage: tuple[int, int]) -> None:
    finished = reply_to({"content": "Yes"}, {"content": "."}, usage=usage).finished
    assert finished is not None
    assert finished.prompt_tokens >= 1
    assert finished.new_tokens == 2


@pytest.mark.parametrize("value", [math.nan, 1000.0, pytest.param(10**400, id="huge")])
def test_probabilities_that_are_no_numbers_are_not_passed_on(value: float) -> None:
    token = {"token": "Yes", "logprob": value}
    finished = reply_to({"content": "Yes", "logprobs": [token]}).finished
    assert finished is not None
    assert finished.tokens == ()


def test_a_stream_may_end_without_its_last_line() -> None:
    assert reply_to({"content": "Yes."}, done=False).answer == "Yes."


def test_tokens_come_with_their_probabilities() -> None:
    finished = reply_to(
        {"reasoning_content": "why", "logprobs": [logprob("<think>", 1.0), logprob("why", 0.5)]},
        {"content": "Y", "logprobs": [logprob("</think>", 1.0), logprob("Y", 0.25)]},
        {"content": "es", "logprobs": [logprob("es", 0.75), logprob("<|user|>", 1.0)]},
    ).finished
    assert finished is not None
    assert [token.text for token in finished.tokens][-2:] == ["Y", "es"]
    assert [math.exp(t.logprob) for t in finished.tokens][-2:] == pytest.approx([0.25, 0.75])


def test_a_token_that_ends_within_a_character_is_told_with_the_next() -> None:
    first, second = "世".encode()[:1], "世".encode()[1:]
    finished = reply_to(
        {"content": "", "logprobs": [logprob("\ufffd", 0.5, *first)]},
        {"content": "世", "logprobs": [logprob("\ufffd", 0.5, *second)]},
    ).finished
    assert finished is not None
    assert [token.text for token in finished.tokens] == ["", "世"]


def test_probabilities_of_other_text_than_the_answer_are_not_passed_on() -> None:
    finished = reply_to({"content": "Yes", "logprobs": [logprob("No", 0.5)]}).finished
    assert finished is not None
    assert finished.tokens == ()


def test_chunks_that_make_no_sense_are_passed_over() -> None:
    nonsense: list[Any] = [
        3,
        [1],
        "x",
        None,
        {"choices": None},
        {"choices": []},
        {"choices": [1]},
        {"choices": {"a": 1}},
        {"choices": "abc"},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": [1]}, "finish_reason": 3, "logprobs": 4}]},
        {"choices": [], "usage": {"prompt_tokens": "many"}},
    ]

    def script(exchange: Exchange) -> None:
        exchange.start()
        for value in nonsense:
            exchange.data(value)
        exchange.raw(": a comment\n\nevent: ping\ndata: {}\n\n")
        exchange.delta("Yes.")
        exchange.finish()

    with conversation(script) as (_, backend):
        assert ask(backend).answer == "Yes."


HALVES = {
    "joined": (["a \ud83e", "\udd84 b"], "a 🦄 b"),
    "joined, each alone": (["a ", "\ud83e", "\udd84", " b"], "a 🦄 b"),
    "followed by something else": (["a \ud83e", "b"], "a \ufffdb"),
    "followed by nothing": (["a \ud83e"], "a \ufffd"),
    "in the wrong order": (["a \udd84", "\ud83e b"], "a \ufffd\ufffd b"),
}


@pytest.mark.parametrize("halves", HALVES)
@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_halves_of_a_character_are_joined_or_replaced(field: str, halves: str) -> None:
    pieces, expected = HALVES[halves]
    reply = reply_to(*({field: piece} for piece in pieces), {"content": ""})
    assert (reply.answer if field == "content" else reply.thinking) == expected


def test_half_a_character_at_the_end_of_a_thought_stays_with_the_thought() -> None:
    reply = reply_to({"reasoning_content": "why \ud83e"}, {"content": "Because."})
    assert (reply.thinking, reply.answer) == ("why \ufffd", "Because.")


def test_tokens_that_are_halves_of_a_character_are_told_as_one() -> None:
    first, second = ({"token": half, "logprob": -0.5} for half in "\ud83e\udd84")
    pieces = [
        {"content": "\ud83e", "logprobs": [first]},
        {"content": "\udd84", "logprobs": [second]},
    ]
    finished = reply_to(*pieces).finished
    assert finished is not None
    assert [token.text for token in finished.tokens] == ["", "🦄"]


def test_a_line_of_megabytes_arrives_whole() -> None:
    text = "word " * 1_000_000
    with conversation(say(text)) as (_, backend):
        assert ask(backend).answer == text


def test_characters_that_are_cut_by_the_network_arrive_whole() -> None:
    def script(exchange: Exchange) -> None:
        exchange.start()
        line = 'data: {"choices":[{"index":0,"delta":{"content":"世界 🌍"}}]}\n\n'.encode()
        for i in range(len(line)):
            exchange.bytes(line[i : i + 1])
        exchange.finish()

    with conversation(script) as (_, backend):
        assert ask(backend).answer == "世界 🌍"
