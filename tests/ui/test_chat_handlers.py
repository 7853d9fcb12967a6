"""The chat's handlers, called as Gradio calls them: plain values in, plain values out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from scripted_backend import BOXED, END, ScriptedBackend

from model.backends.base import (
    AnswerDelta,
    AnswerWasThinking,
    BackendError,
    Finished,
    ThinkingDelta,
    TokenProbability,
    Waiting,
)
from ui.chat.dialogue import Dialogue
from ui.chat.handlers import KEEP, UNCHANGED, Chat, ChatView
from ui.rendering.markdown import MARK
from ui.settings import PageSettings

pytestmark = pytest.mark.usefixtures("every_piece_is_shown")

EMPTY = Dialogue()
WHITE = (255, 255, 255)


def send(chat: Chat, text: str, files: list[str], dialogue: Dialogue = EMPTY) -> list[ChatView]:
    return list(chat.send({"text": text, "files": files}, (), dialogue))


def start(chat: Chat, text: str) -> Iterator[ChatView]:
    return chat.send({"text": text, "files": []}, (), EMPTY)


def chat_with(*script: Any) -> tuple[Chat, ScriptedBackend]:
    backend = ScriptedBackend(script)
    return Chat(backend, PageSettings()), backend


def texts(view: ChatView) -> list[str]:
    blocks = [block for message in view.log for block in message["content"]]
    return [block["text"] for block in blocks if "text" in block]


def test_the_answer_grows_and_the_prompt_is_left_alone_meanwhile() -> None:
    chat, _ = chat_with(AnswerDelta("one "), AnswerDelta("two"), END)
    views = send(chat, "count", [])
    assert all(view.prompt == KEEP for view in views)
    assert [texts(view)[1:] for view in views[:3]] == [[], ["one "], ["one two"]]


def test_a_thought_is_a_message_of_its_own_and_folds_when_the_answer_begins() -> None:
    chat, _ = chat_with(ThinkingDelta("hm"), ThinkingDelta(" so"), AnswerDelta("yes"), END)
    views = send(chat, "?", [])
    during, after = views[2].log[1], views[-1].log[1]
    assert during["metadata"] == {"title": "Thinking", "status": "pending"}
    assert after["metadata"]["status"] == "done"
    assert after["metadata"]["duration"] >= 0
    assert texts(views[-1]) == ["?", "hm so", "yes"]


def test_an_answer_that_turns_out_to_be_the_thought_moves_there() -> None:
    chat, _ = chat_with(AnswerDelta("hm"), AnswerWasThinking(), AnswerDelta("yes"), END)
    last = send(chat, "?", [])[-1]
    assert texts(last) == ["?", "hm", "yes"]
    assert "metadata" in last.log[1]


def test_a_question_that_waits_or_is_read_says_so_until_it_is_answered() -> None:
    chat, _ = chat_with(Waiting(2), Waiting(0, 0.25), AnswerDelta("yes"), END)
    assert [texts(view)[1:] for view in send(chat, "?", [])][:4] == [
        [],
        ["*Waiting for others: number 2 in the queue*"],
        ["*Reading the question: 25%*"],
        ["yes"],
    ]


def test_a_box_is_as_sure_as_the_tokens_of_its_numbers(screenshot: str) -> None:
    pieces = ("Here: <|begin_of_box|>[[", "100,200,300,400", "]]<|end_of_box|>")
    tokens = tuple(TokenProbability(piece, math.log(0.25)) for piece in pieces)
    chat, _ = chat_with(BOXED, replace(END, tokens=tokens))
    (target,) = send(chat, "where?", [screenshot])[-1].dialogue.path[-1].targets
    assert target.score == pytest.approx(0.25)


def test_coordinates_count_as_the_model_at_the_other_end_counts(screenshot: str) -> None:
    chat, backend = chat_with(AnswerDelta('[{"box_2d": [100, 200, 300, 400]}]'), END)
    backend.model_name = "google/gemini-3-pro"  # y first
    (target,) = send(chat, "where?", [screenshot])[-1].dialogue.path[-1].targets
    assert target.box == pytest.approx((40, 10, 80, 30))


def test_a_box_is_drawn_on_the_image_under_the_answer(screenshot: str) -> None:
    chat, _ = chat_with(BOXED, END)
    last = send(chat, "where?", [screenshot])[-1]
    assert texts(last)[-1] == "Here: [[\\[100,200,300,400\\]](#target-1)]"
    assert "<sightline-overlay" in last.log[-2]["content"][0]["value"]
    drawn = Image.open(last.dialogue.path[-1].shown.drawings[0]).convert("RGB")
    assert drawn.size == (200, 100)
    assert drawn.getpixel((20, 30)) != WHITE  # left edge
    assert drawn.getpixel((40, 30)) == WHITE  # middle
    assert drawn.getpixel((150, 80)) == WHITE


def test_a_box_in_the_thought_is_not_drawn(screenshot: str) -> None:
    chat, _ = chat_with(ThinkingDelta("maybe [[100,200,300,400]]"), AnswerDelta("No."), END)
    assert send(chat, "where?", [screenshot])[-1].dialogue.path[-1].targets == ()


def test_a_follow_up_question_is_about_the_last_images(screenshot: str) -> None:
    chat, backend = chat_with(BOXED, END)
    first = send(chat, "where?", [screenshot])[-1]
    second = send(chat, "and now?", [], first.dialogue)[-1]
    assert len(second.dialogue.path[-1].targets) == 1
    assert [message["role"] for message in backend.questions[-1]] == ["user", "assistant", "user"]


def test_thoughts_stay_out_of_the_next_prompt_and_answers_go_in_as_written() -> None:
    chat, backend = chat_with(ThinkingDelta("secret"), BOXED, END)
    first = send(chat, "one", [])[-1]
    send(chat, "two", [], first.dialogue)
    assert "secret" not in str(backend.questions[-1])
    assert backend.questions[-1][1]["content"] == [{"type": "text", "text": BOXED.text}]


def test_the_pixels_sent_are_upright_and_the_ones_shown(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), "red").save(photo, exif=exif)
    chat, backend = chat_with(AnswerDelta("ok"), END)
    last = send(chat, "?", [str(photo)])[-1]
    sent = backend.questions[0][0]["content"][0]["image"]
    shown = Image.open(last.log[0]["content"][0]["path"])
    assert sent.size == shown.size == (40, 60)
    assert sent.tobytes() == shown.tobytes()


def test_an_attachment_that_cannot_be_read_is_named_and_the_rest_is_kept(
    tmp_path: Path, screenshot: str
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("this is text")
    chat, backend = chat_with(END)
    (view,) = send(chat, "look", [screenshot, str(broken)])
    assert "broken.png" in view.notice
    assert view.prompt == {"text": "look", "files": [screenshot]}
    assert backend.questions == []


def test_a_refused_message_returns_to_the_prompt_and_leaves_the_history() -> None:
    chat, _ = chat_with(AnswerDelta("fine"), END)
    before = send(chat, "hello", [])[-1].dialogue
    chat, _ = chat_with(BackendError("the prompt has 9,000 tokens and the limit is 8,192"))
    last = send(chat, "long", [], before)[-1]
    assert last.prompt == {"text": "long", "files": []}
    assert last.dialogue == before
    assert last.notice == "The prompt has 9,000 tokens and the limit is 8,192."


def test_a_failure_half_way_keeps_what_came_and_says_so() -> None:
    chat, _ = chat_with(AnswerDelta("half"), BackendError("the device is lost"))
    last = send(chat, "?", [])[-1]
    assert last.dialogue.path[-1].state == "failed"
    assert texts(last)[1:] == ["half", "*The device is lost.*"]


def test_a_bug_half_way_is_not_shown_as_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    chat, _ = chat_with(AnswerDelta("half"), RuntimeError("internal"))
    last = send(chat, "?", [])[-1]
    assert last.dialogue.path[-1].state == "failed"
    assert "internal" not in str(last.log)
    assert "internal" in caplog.text


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (Finished("length", 9, 64, 0.1, 0.2), "Cut off after 64 tokens"),
        (END, "The model ended without an answer"),
    ],
)
def test_an_unusual_ending_is_explained(end: Finished, note: str) -> None:
    chat, _ = chat_with(ThinkingDelta("hm"), end)
    assert note in texts(send(chat, "?", [])[-1])[-1]


def test_an_empty_message_is_not_sent() -> None:
    chat, backend = chat_with(END)
    (view,) = send(chat, "  ", [])
    assert view.notice
    assert backend.questions == []


def test_eleven_files_are_refused_with_the_limit(screenshot: str) -> None:
    chat, _ = chat_with(END)
    (view,) = send(chat, "?", [screenshot] * 11)
    assert "11 files" in view.notice
    assert "10" in view.notice


def test_closing_the_handler_closes_the_backend_at_once() -> None:
    chat, backend = chat_with(AnswerDelta("one"), AnswerDelta("two"), AnswerDelta("three"), END)
    views = start(chat, "?")
    next(views), next(views)
    views.close()  # type: ignore[attr-defined]
    assert backend.closed == 1


def test_stopping_marks_the_answer_and_ends_its_thought() -> None:
    chat, _ = chat_with(ThinkingDelta("hm"), ThinkingDelta("hm"), END)
    views = start(chat, "?")
    next(views)
    settled = chat.settle(next(views).dialogue, None)
    log = settled.log
    assert settled.dialogue.path[-1].state == "stopped"
    assert log[1]["metadata"]["status"] == "done"
    assert texts(settled)[-1] == "*Stopped.*"


def test_settling_a_complete_answer_changes_nothing() -> None:
    chat, _ = chat_with(AnswerDelta("yes"), END)
    assert chat.settle(send(chat, "?", [])[-1].dialogue, None) == UNCHANGED


def test_two_conversations_do_not_meet() -> None:
    chat, backend = chat_with(AnswerDelta("yes"), AnswerDelta("!"), END)
    one, two = start(chat, "mine"), start(chat, "yours")
    last_one, last_two = list(zip(one, two, strict=True))[-1]
    assert [turn.text for turn in last_one.dialogue.path] == ["mine"]
    assert [turn.text for turn in last_two.dialogue.path] == ["yours"]


def test_tags_of_user_and_model_reach_the_page_escaped() -> None:
    chat, _ = chat_with(AnswerDelta("<script>alert(1)</script>"), END)
    last = send(chat, "<b>bold</b>", [])[-1]
    assert texts(last) == ["\\<b>bold\\</b>", "\\<script>alert(1)\\</script>"]


def test_code_keeps_its_indentation() -> None:
    code = "```python\n\tif x:\n\t    pass\n```"
    chat, _ = chat_with(AnswerDelta(code), END)
    blocks = gr.Chatbot().postprocess(send(chat, "?", [])[-1].log)
    text = blocks.root[-2].content[0].text
    assert text.replace(MARK, "") == code  # the mark keeps Gradio from tabs; the page removes it
