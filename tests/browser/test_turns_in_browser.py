"""The buttons under the answers in a real page: mouse, keyboard, a phone, and company."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from scripted_backend import ScriptedBackend
from visitor import Visitor, ask, wait_until

from model.backends.base import (
    AnswerDelta,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Sent,
)

pytestmark = pytest.mark.browser

STEP_S = 0.05
END = Finished("stop", prompt_tokens=1204, new_tokens=85, first_token_s=0.42, total_s=4.07)
SPEED = "First word after 0.4 s · 23 tokens/s · 1,204 tokens in, 85 out"
SCREENSHOT = Path(__file__).parents[2] / "assets" / "examples" / "checkout.png"


class Counts(ScriptedBackend):
    """Numbers its answers; one to a question with "slow" in it never ends."""

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        self.questions.append(messages)
        number = len(self.questions)
        try:
            yield Sent(f"<b>request</b> {number}")
            while "slow" in str(messages) and messages[-1]["role"] == "user":
                yield AnswerDelta("word ")
                time.sleep(STEP_S)
            yield AnswerDelta(f"Answer {number}, 1 < *2*")
            yield END
        finally:
            self.closed += 1


@pytest.fixture(scope="module")
def backend() -> Counts:
    return Counts()


@pytest.fixture(scope="module")
def url(backend: Counts, serve_for_all: Callable[..., str]) -> str:
    return serve_for_all(backend, 4)


@pytest.fixture(autouse=True)
def counting_anew(backend: Counts) -> None:
    backend.questions.clear()
    backend.closed = 0


def open_chat(visitor: Visitor, url: str, width: int = 1280) -> Page:
    page = visitor.open(url, width=width)
    page.get_by_role("tab", name="Chat").click()
    return page


def expect_answer(page: Page, number: int) -> None:
    expect(page.locator("#log")).to_contain_text(f"Answer {number}, 1 < 2")
    expect(page.locator("#prompt [aria-label=Submit]")).to_be_visible()


@pytest.mark.slow
def test_an_answer_is_asked_for_again_and_the_question_mended(
    visitor: Visitor, url: str, backend: Counts
) -> None:
    page = open_chat(visitor, url)
    message = page.locator("#prompt textarea")
    page.locator("#prompt input[type=file]").set_input_files(SCREENSHOT)
    expect(page.locator("#prompt .thumbnail-item")).to_have_count(1)
    ask(page, "first")
    expect_answer(page, 1)
    expect(page.locator("#log .speed")).to_have_text(SPEED)
    page.locator("#log").get_by_text("What was sent").click()
    expect(page.locator("#log .sent pre").first).to_have_text("<b>request</b> 1")
    page.locator("#log").get_by_text("What came back").click()
    expect(page.locator("#log .sent pre").last).to_contain_text("Answer 1, 1 < *2*")

    page.get_by_label("Regenerate answer 1").press("Enter")
    expect_answer(page, 2)
    expect(page.get_by_label("Regenerate answer 1")).to_be_focused()
    page.get_by_label("Previous version of question 1").click()
    expect_answer(page, 1)
    expect(page.get_by_label("Next version of question 1")).to_be_focused()

    message.fill("half typed")
    page.get_by_label("Edit question 1").click()
    expect(page.locator("#editing")).to_contain_text("Editing question 1.")
    expect(message).to_have_value("first")
    expect(message).to_be_focused()
    expect(page.locator("#prompt .thumbnail-item")).to_have_count(1)
    page.locator("#editing").get_by_role("button", name="Cancel").click()
    expect(message).to_have_value("half typed")
    expect(page.locator("#prompt .thumbnail-item")).to_have_count(0)

    page.get_by_label("Edit question 1").click()
    expect(message).to_have_value("first")
    ask(page, "mended")
    expect_answer(page, 3)
    expect(page.get_by_label("Version 3 of 3")).to_be_visible()
    expect(page.locator("#editing")).to_be_hidden()
    expect(message).to_have_value("half typed")
    sent = [part["type"] for part in backend.questions[-1][0]["content"]]
    assert (len(backend.questions[-1]), sent) == (1, ["image", "text"])

    page.get_by_label("Take back question 1").click()
    expect(message).to_have_value("mended")
    expect(page.locator("#log .turn-tools")).to_have_count(0)
    page.locator("#editing").get_by_role("button", name="Put it back").click()
    expect_answer(page, 3)


def test_stop_ends_a_regeneration_and_continue_goes_on(
    visitor: Visitor, url: str, backend: Counts
) -> None:
    page = open_chat(visitor, url)
    stop = page.locator("#prompt [aria-label=Stop]")
    ask(page, "slow")
    expect(page.locator("#log")).to_contain_text("word word")
    stop.click()
    page.get_by_label("Regenerate answer 1").dblclick()
    expect(page.locator("#log .turn-tools[data-running]")).to_have_count(1)
    expect(page.locator("#log")).to_contain_text("word word")
    stop.click()
    wait_until(lambda: backend.closed == 2)
    expect(page.get_by_label("Version 2 of 2")).to_be_visible()
    assert len(backend.questions) == 2  # the second click asked for nothing
    page.get_by_label("Continue answer 1").click()
    expect(page.locator("#log .bot-row").first).to_contain_text("word Answer 3, 1 < 2")
    assert [m["role"] for m in backend.questions[-1]] == ["user", "assistant"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("Copy answer 1").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("word word") and copied.endswith("Answer 3, 1 < *2*")


@pytest.mark.slow
def test_the_buttons_rest_while_an_answer_is_written_and_fit_a_phone(
    visitor: Visitor, url: str, backend: Counts
) -> None:
    phone, other = open_chat(visitor, url, width=390), open_chat(visitor, url)
    ask(other, "mine")
    wait_until(lambda: len(backend.questions) == 1)
    ask(phone, "first")
    expect_answer(phone, 2)
    ask(phone, "slow")
    expect(phone.locator("#log")).to_contain_text("word word")
    for label in ("Regenerate answer 1", "Edit question 1"):
        expect(phone.get_by_label(label)).to_be_disabled()
    expect(phone.get_by_label("Copy answer 1")).to_be_enabled()
    phone.locator("#prompt [aria-label=Stop]").click()
    expect(phone.get_by_label("Edit question 1")).to_be_enabled()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.get_by_label("Edit question 2").click()
    expect(phone.locator("#prompt textarea")).to_have_value("slow")
    assert "slow" not in other.locator("#chat").inner_text()
    expect(other.locator("#editing")).to_be_hidden()
