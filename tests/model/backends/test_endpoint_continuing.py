"""Going on with an answer: what each kind of server is sent, and what of its stream is new."""

from __future__ import annotations

from typing import Any

import pytest
from endpoint_client import HI, ask, connected
from scripted_endpoint import card, deltas, error, fail, scripted_endpoint

from model.backends.base import BackendError, Message, Reply

THOUGHT, ANSWER = "It is the\nsecond one", "The button is at"


def beginning(answer: str = "", thought: str = "") -> list[Message]:
    message: Message = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
    return [*HI, {**message, "reasoning_content": thought} if thought else message]


def go_on(
    dialect: str, messages: list[Message], *pieces: dict[str, Any], thinking: bool = False
) -> tuple[dict[str, Any], Reply]:
    """Return the request and what came."""
    script = deltas(*(pieces or ({"content": " the top."},)))
    with scripted_endpoint(script) as endpoint, connected(endpoint, dialect=dialect) as backend:
        reply = ask(backend, messages, thinking=thinking)
    return endpoint.asked[0].body, reply


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
@pytest.mark.parametrize("field", ["content", "reasoning_content", "reasoning"])
def test_an_answer_is_gone_on_with_where_it_ended(dialect: str, field: str) -> None:
    """Reasoning parsers that wait for the end of a thought take what comes for one."""
    body, reply = go_on(dialect, beginning(ANSWER), {field: " the"}, {field: " top."})
    assert body["messages"][-1] == {"role": "assistant", "content": ANSWER}
    assert body["continue_final_message"] is True
    assert (reply.thinking, reply.answer) == ("", " the top.")


def test_vllm_is_told_not_to_begin_another_answer_and_sglang_does_not_know_that() -> None:
    assert go_on("vllm", beginning(ANSWER))[0]["add_generation_prompt"] is False
    assert "add_generation_prompt" not in go_on("sglang", beginning(ANSWER))[0]


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
def test_an_answer_goes_on_behind_its_thought_even_with_the_switch_off(dialect: str) -> None:
    body, reply = go_on(dialect, beginning(ANSWER, THOUGHT))
    assert body["messages"][-1]["content"] == f"<think>{THOUGHT}</think>\n{ANSWER}"
    assert "reasoning_content" not in body["messages"][-1]
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    assert reply.answer == " the top."


@pytest.mark.parametrize(
    "pieces",
    [
        [{"content": " and"}, {"content": " so</thi"}, {"content": "nk>\nYes."}],
        [{"reasoning_content": " and"}, {"reasoning_content": " so"}, {"content": "\nYes."}],
    ],
)
def test_sglang_goes_on_with_a_thought(pieces: list[dict[str, Any]]) -> None:
    body, reply = go_on("sglang", beginning(thought=THOUGHT), *pieces)
    assert body["messages"][-1]["content"] == f"<think>{THOUGHT}"
    assert (reply.thinking, reply.answer) == (" and so", "Yes.")


def test_vllm_closes_a_thought_and_answers() -> None:
    body, reply = go_on("vllm", beginning(thought=THOUGHT), {"reasoning_content": "\nYes."})
    assert body["messages"][-1]["content"] == f"<think>{THOUGHT}</think>\n"
    assert (reply.thinking, reply.answer) == ("", "Yes.")


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
@pytest.mark.parametrize(
    ("end", "comes", "new"),
    [
        (" ", " the", "the"),
        ("\n\n", "\n\nThe", "The"),
        ("\n", "\n\nThe", "\nThe"),
        ("\n", "x", "x"),
    ],
)
def test_blanks_at_the_seam_are_there_once(dialect: str, end: str, comes: str, new: str) -> None:
    body, reply = go_on(dialect, beginning(ANSWER + end), {"content": comes})
    assert body["messages"][-1]["content"] == ANSWER
    assert reply.answer == new


def test_blanks_that_come_one_by_one_are_left_out_too() -> None:
    _, reply = go_on("vllm", beginning(ANSWER + "\n\n"), *({"content": c} for c in "\n\nThe"))
    assert reply.answer == "The"


@pytest.mark.parametrize("dialect", ["zai", "openai", "auto"])
def test_a_server_that_cannot_is_not_asked(dialect: str) -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card(owner="someone")]
        with connected(endpoint, dialect=dialect) as backend:
            assert not backend.abilities.continuing
            with pytest.raises(BackendError, match="cannot go on with an answer; ask it to in"):
                ask(backend, beginning(ANSWER))
    assert endpoint.asked == []


@pytest.mark.parametrize("owner", ["vllm", "sglang"])
def test_that_a_server_can_is_known_once_it_is_there(owner: str) -> None:
    with scripted_endpoint() as endpoint:
        endpoint.models = [card(owner=owner)]
        with connected(endpoint) as backend:
            backend.test_connection()
            assert backend.abilities.continuing
            assert not backend.abilities.thinking_budget


def test_an_answer_that_has_not_begun_is_begun() -> None:
    body, reply = go_on("vllm", beginning(" "), {"content": "Yes."})
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert "continue_final_message" not in body
    assert reply.answer == "Yes."


def test_where_the_switch_is_refused_the_question_is_told_and_not_the_answer() -> None:
    refusal = fail(400, error("unknown field chat_template_kwargs"))
    with scripted_endpoint(refusal, deltas({"content": " on."})) as endpoint:
        with connected(endpoint) as backend:
            assert ask(backend, beginning(ANSWER)).answer == " on."
    assert [m["content"] for m in endpoint.asked[1].body["messages"]] == ["Hi/nothink", ANSWER]
