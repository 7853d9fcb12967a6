"""What needs a model that says certain things, or takes its time: text as data, Stop, company."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import pytest
from opens_files import OpensFiles
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect
from visitor import Visitor, wait_until

from model.backends.base import (
    AnswerDelta,
    BackendError,
    ChatBackend,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Status,
    ThinkingDelta,
    Waiting,
)

pytestmark = pytest.mark.browser

STEP_S = 0.1
END = Finished("stop", prompt_tokens=1, new_tokens=1, first_token_s=0.1, total_s=0.1)
Serve = Callable[..., str]

NASTY = """a < b and c > d, a <b> c, x<y
<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">
<style>#log { display: none }</style> <h1>big</h1> what does <think> mean? &lt;b&gt;
`<i>` ![](http://127.0.0.1:9/x.png) [f]: /u 't
```
'
<u>
```
costs $5 or $10, $HOME and \\(E = mc^2\\)"""


@dataclass
class Slow(OpensFiles):
    """Answers for ever, one word a step, until it is closed; then notes that."""

    name: str = "Slow"
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(8))
    closed: set[str] = field(default_factory=set)
    steps: dict[str, int] = field(default_factory=dict)

    def status(self) -> Status:
        return Status("ready", "Ready")

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        question = messages[-1]["content"][-1]["text"]
        while not self.places.acquire(timeout=STEP_S):
            yield Waiting(1)
        try:
            while True:
                self.steps[question] = self.steps.get(question, 0) + 1
                yield ThinkingDelta("word ") if enable_thinking else AnswerDelta("word ")
                time.sleep(STEP_S)
        finally:
            self.closed.add(question)
            self.places.release()


@dataclass
class Says(OpensFiles):
    """Says one thing."""

    text: str
    name: str = "Says"
    state: Status = Status("ready", "Ready")

    def status(self) -> Status:
        return self.state

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        if not self.text:
            raise BackendError("the prompt has 9,000 tokens and the limit is 8,192")
        yield AnswerDelta(self.text)
        yield END


def ask(page: Page, text: str) -> None:
    page.get_by_role("tab", name="Chat").click()
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt textarea").press("Enter")


def attach_screenshot(page: Page) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (80, 80), "white").save(buffer, "PNG")
    file: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.locator("#screenshot input[type=file]").set_input_files(file)


def test_text_of_model_and_user_is_shown_as_it_is(serve: Serve, visitor: Visitor) -> None:
    page = visitor.open(serve(Says(NASTY)))
    ask(page, "is 1 <b>2</b> or <unknown> 3?")
    log = page.locator("#log")
    expect(log.locator(".bot-row").first).to_contain_text("a < b and c > d, a <b> c, x<y")
    expect(log.locator(".user-row")).to_contain_text("is 1 <b>2</b> or <unknown> 3?")
    shown = log.locator(".bot-row").first.inner_text()
    for literal in (
        "<script>window.pwned = 1</script>",
        '<img src=x onerror="window.pwned = 1">',
        "<h1>big</h1> what does <think> mean? &lt;b&gt;",
        "costs $5 or $10, $HOME",
    ):
        assert literal in shown
    assert page.evaluate("window.pwned") is None
    texts = log.locator(".md")
    assert texts.locator("script, img, style, h1, b, i, u").count() == 0
    assert texts.locator(".katex").count() == 1  # the formula, and nothing else
    assert log.locator("code").first.inner_text() == "<i>"


def test_text_grows_while_it_is_computed_and_stop_ends_it(serve: Serve, visitor: Visitor) -> None:
    backend = Slow()
    page = visitor.open(serve(backend))
    ask(page, "count")
    expect(page.locator("#log .bot-row").first).to_contain_text("word word word")
    page.locator("#prompt [aria-label=Stop]").click()
    wait_until(lambda: "count" in backend.closed)
    expect(page.locator("#log")).to_contain_text("Stopped.")
    expect(page.locator("#prompt [aria-label=Submit]")).to_be_visible()


@pytest.mark.slow
def test_stop_ends_a_thought_without_leaving_it_spinning(serve: Serve, visitor: Visitor) -> None:
    page = visitor.open(serve(Slow()))
    page.get_by_role("tab", name="Chat").click()
    page.locator("#chat").get_by_label("Think first").check()
    ask(page, "think")
    expect(page.locator("#log")).to_contain_text("Thinking")
    page.locator("#prompt [aria-label=Stop]").click()
    expect(page.locator("#log")).to_contain_text("Thought")
    expect(page.locator("#log")).to_contain_text("Stopped.")


def test_a_new_question_can_be_asked_after_a_stop(serve: Serve, visitor: Visitor) -> None:
    backend = Slow()
    page = visitor.open(serve(backend))
    for question in ("one", "two"):
        ask(page, question)
        wait_until(lambda q=question: backend.steps.get(q, 0) > 2)
        page.locator("#prompt [aria-label=Stop]").click()
        expect(page.locator("#prompt [aria-label=Submit]")).to_be_visible()
    expect(page.locator("#log .user-row")).to_have_count(2)


def test_stop_of_one_visitor_leaves_the_other_alone(serve: Serve, visitor: Visitor) -> None:
    backend = Slow()
    url = serve(backend, 2)
    mine, yours = visitor.open(url), visitor.open(url)
    ask(mine, "mine")
    ask(yours, "yours")
    wait_until(lambda: min(backend.steps.get(q, 0) for q in ("mine", "yours")) > 2)
    mine.locator("#prompt [aria-label=Stop]").click()
    wait_until(lambda: "mine" in backend.closed)
    steps = backend.steps["yours"]
    wait_until(lambda: backend.steps["yours"] > steps + 3)
    assert "yours" not in backend.closed
    assert "mine" not in yours.locator("#log").inner_text()


@pytest.mark.slow
def test_locating_can_be_stopped_and_started_again(serve: Serve, visitor: Visitor) -> None:
    backend = Slow()
    page = visitor.open(serve(backend))
    attach_screenshot(page)
    for instruction in ("Click on Save", "Click on Cancel"):
        page.locator("#instruction textarea").fill(instruction)
        page.locator("#start").click()
        # the answer before stays on the page until this one begins
        wait_until(lambda asked=instruction: backend.steps.get(asked, 0) > 1)
        expect(page.locator("#answer")).to_contain_text("word word")
        page.locator("#stop").click()
        wait_until(lambda stopped=instruction: stopped in backend.closed)
        expect(page.locator("#start")).to_be_visible()


@pytest.mark.slow
def test_leaving_the_page_frees_the_engine(serve: Serve, visitor: Visitor) -> None:
    backend = Slow()
    page = visitor.open(serve(backend))
    ask(page, "leave")
    wait_until(lambda: backend.steps.get("leave", 0) > 2)
    page.close()
    wait_until(lambda: "leave" in backend.closed)


@pytest.mark.slow
def test_a_refused_message_stays_in_the_prompt(serve: Serve, visitor: Visitor) -> None:
    page = visitor.open(serve(Says("")))
    ask(page, "a long story")
    expect(page.locator("#chat-notice")).to_contain_text("9,000 tokens")
    expect(page.locator("#prompt textarea")).to_have_value("a long story")
    expect(page.locator("#log .user-row")).to_have_count(0)


@pytest.mark.parametrize("button", ["New conversation", "Clear"])
@pytest.mark.slow
def test_a_cleared_conversation_is_forgotten(serve: Serve, visitor: Visitor, button: str) -> None:
    page = visitor.open(serve(Says("fine")))
    ask(page, "first")
    expect(page.locator("#log .bot-row").first).to_contain_text("fine")
    page.locator("#chat").get_by_role("button", name=button).click()
    expect(page.locator("#log .user-row")).to_have_count(0)
    ask(page, "second")
    expect(page.locator("#log .bot-row").first).to_contain_text("fine")
    assert "first" not in page.locator("#log").inner_text()


def test_the_status_follows_the_loading(serve: Serve, visitor: Visitor) -> None:
    backend = Says("fine", state=Status("loading", "Loading the weights"))
    page = visitor.open(serve(backend))
    expect(page.locator("#status")).to_contain_text("Loading the weights")
    backend.state = Status("ready", "Ready on cpu")
    expect(page.locator("#status")).to_contain_text("Ready on cpu")


def test_braces_from_a_model_are_not_a_template(serve: Serve, visitor: Visitor) -> None:
    backend: ChatBackend = Says('[{"bbox_2d": [1, 2, 300, 400], "label": "${1+1} {{value}}"}]')
    page = visitor.open(serve(backend))
    attach_screenshot(page)
    page.locator("#instruction textarea").fill("Find")
    page.locator("#instruction textarea").press("Enter")
    expect(page.locator("#table tbody tr")).to_contain_text("${1+1} {{value}}")


@pytest.mark.slow
def test_a_second_visitor_waits_in_the_queue_and_is_served(serve: Serve, visitor: Visitor) -> None:
    backend = Slow(places=threading.Semaphore(1))
    url = serve(backend, 1)
    mine, yours = visitor.open(url), visitor.open(url)
    ask(mine, "mine")
    wait_until(lambda: backend.steps.get("mine", 0) > 1)
    ask(yours, "yours")
    expect(yours.locator("#log")).to_contain_text("number 1 in the queue")
    assert "yours" not in backend.steps
    mine.locator("#prompt [aria-label=Stop]").click()
    wait_until(lambda: backend.steps.get("yours", 0) > 1)
