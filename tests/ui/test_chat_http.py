"""``/chat``, called as Gradio calls it: a question and its history in, an answer out."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from scripted_backend import BOXED, END, ScriptedBackend

from model.backends.base import AnswerDelta, BackendError, SamplingOptions, ThinkingDelta
from model.processing import Limits
from ui.chat.http_api import ChatCall


def chat_with(*script: Any) -> tuple[ChatCall, ScriptedBackend]:
    backend = ScriptedBackend(script)
    return ChatCall(backend, SamplingOptions(), Limits()), backend


def call(chat: ChatCall, text: str, files: list[str], history: Any = None) -> dict[str, Any]:
    return list(chat.call({"text": text, "files": files}, history, True))[-1]


def test_the_http_answer_has_boxes_in_pixels_and_thousandths(screenshot: str) -> None:
    chat, _ = chat_with(ThinkingDelta("hm"), BOXED, END)
    reply = call(chat, "where?", [screenshot])
    assert reply["thinking"] == "hm"
    assert reply["answer"] == "Here: [[100,200,300,400]]"
    assert reply["boxes"][0]["xyxy"] == [20, 20, 60, 40]
    assert reply["boxes"][0]["norm"] == [100, 200, 300, 400]
    assert reply["usage"]["finish_reason"] == "stop"


def test_history_over_http_reaches_the_model() -> None:
    chat, backend = chat_with(AnswerDelta("yes"), END)
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    call(chat, "c", [], history)
    assert [m["content"][0]["text"] for m in backend.questions[0]] == ["a", "b", "c"]


@pytest.mark.parametrize("script", [[BackendError("no")], [AnswerDelta("x"), BackendError("no")]])
def test_a_failure_over_http_is_an_error_with_its_message(script: list[Any]) -> None:
    chat, _ = chat_with(*script)
    with pytest.raises(gr.Error, match="No."):
        call(chat, "?", [])


@pytest.mark.parametrize(
    "history",
    [
        [{"role": "assistant", "content": "b"}],
        [{"role": "user"}],
        [{"role": ["user"], "content": "a"}],
        ["x"],
        "x",
        5,
        True,
        {"role": "user", "content": "a"},
    ],
)
def test_a_malformed_history_is_refused(history: Any) -> None:
    chat, _ = chat_with(END)
    with pytest.raises(gr.Error, match="history must be"):
        call(chat, "?", [], history)
