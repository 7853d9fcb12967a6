"""A slow line: what is typed, asked or opened just before and after a button is pressed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from scripted_backend import ScriptedBackend
from visitor import Visitor, ask, wait_until

from model.backends.base import AnswerDelta, Event, Finished, Message, SamplingOptions, Sent
from model.processing import Attachment, Choice, Limits

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOT = Path(__file__).parents[2] / "assets" / "examples" / "checkout.png"
END = Finished("stop", prompt_tokens=12, new_tokens=2, first_token_s=0.1, total_s=0.2)


class Repeats(ScriptedBackend):
    """Says how many messages it was given, and the last of them; opens files when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_open = threading.Event()
        self.may_open.set()
        self.opened = 0

    def open_attachment(self, path: str, choice: Choice, *, limits: Limits) -> Attachment:
        self.opened += 1
        assert self.may_open.wait(30)
        return super().open_attachment(path, choice, limits=limits)

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        yield Sent("request")
        yield AnswerDelta(f"{len(messages)} with {messages[-1]['content'][-1]['text']}")
        yield END


@pytest.fixture(scope="module")
def backend() -> Repeats:
    return Repeats()


@pytest.fixture(scope="module")
def url(backend: Repeats, serve_for_all: Callable[..., str]) -> str:
    return serve_for_all(backend)


class SlowLine:
    """Keeps what an event of a component asks of the server until it is told to let it go."""

    def __init__(self, page: Page, name: str, event: str) -> None:
        self.held: list[Route] = []
        self._page = page
        self._numbers = page.evaluate(
            """([name, event]) => {
              const { components, dependencies } = window.gradio_config;
              const { id } = components.find(({ props }) => props.elem_id === name);
              const isOfIt = ([of, on]) => of === id && on === event;
              return dependencies.filter((d) => d.targets.some(isOfIt)).map((d) => d.id);
            }""",
            [name, event],
        )
        page.route("**/gradio_api/queue/join*", self._take)

    def _take(self, route: Route) -> None:
        if route.request.post_data_json["fn_index"] in self._numbers:
            self.held.append(route)
        else:
            route.continue_()

    def wait_until_held(self) -> None:
        # a request is told of while Playwright is asked something
        wait_until(lambda: self._page.title() and self.held)

    def let_go(self) -> None:
        for route in self.held:
            route.continue_()
        self.held.clear()


def open_chat(visitor: Visitor, url: str, file: str = "") -> Page:
    page = visitor.open(url)
    page.get_by_role("tab", name="Chat").click()
    if file:
        page.locator("#prompt input[type=file]").set_input_files(file)
        page.wait_for_selector("#strip section")
    ask(page, "first")
    expect_answer(page, "1 with first")
    return page


def expect_answer(page: Page, text: str) -> None:
    expect(page.locator("#log .bot")).to_contain_text([text])
    expect(page.locator("#prompt [aria-label=Submit]")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "event", "button"),
    [
        ("new-conversation", "click", "#new-conversation"),
        ("log", "clear", "#chat [aria-label=Clear]"),
    ],
)
def test_a_question_sent_right_after_clearing_begins_the_new_conversation(
    name: str, event: str, button: str, visitor: Visitor, url: str
) -> None:
    page = open_chat(visitor, url)
    line = SlowLine(page, name, event)
    page.locator(button).click()
    line.wait_until_held()
    ask(page, "second")
    page.wait_for_timeout(500)
    line.let_go()
    expect_answer(page, "1 with second")
    expect(page.locator("#history")).to_contain_text("(2)")
    expect(page.locator("#prompt textarea")).to_have_value("")


def test_what_is_typed_right_after_new_stays(visitor: Visitor, url: str) -> None:
    page = open_chat(visitor, url)
    page.locator("#prompt textarea").fill("left")
    line = SlowLine(page, "new-conversation", "click")
    page.locator("#new-conversation").click()
    line.wait_until_held()
    expect(page.locator("#prompt textarea")).to_have_value("")
    page.locator("#prompt textarea").fill("third")
    line.let_go()
    expect(page.locator("#log .bot")).to_have_count(0)
    page.wait_for_timeout(300)
    expect(page.locator("#prompt textarea")).to_have_value("third")


def test_what_is_typed_and_attached_right_after_a_question_stays(
    visitor: Visitor, url: str
) -> None:
    page = open_chat(visitor, url)
    line = SlowLine(page, "prompt", "submit")
    ask(page, "second")
    line.wait_until_held()
    expect(page.locator("#prompt textarea")).to_have_value("")
    page.locator("#prompt textarea").fill("third")
    page.locator("#prompt input[type=file]").set_input_files(SCREENSHOT)
    page.wait_for_selector("#strip section")
    line.let_go()
    expect(page.locator("#log .bot").filter(has_text="3 with second").first).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.locator("#prompt textarea")).to_have_value("third")
    expect(page.locator("#strip section")).to_be_visible()


def test_new_on_a_page_that_is_not_complete_yet_is_not_undone(visitor: Visitor, url: str) -> None:
    page = open_chat(visitor, url)
    expect(page.locator("#history")).to_contain_text("(1)")
    # as on a machine that takes its time to read what it has kept
    page.add_init_script("""
      const open = indexedDB.open.bind(indexedDB);
      indexedDB.open = (...given) => {
        const request = {}, real = open(...given);
        for (const name of ["onsuccess", "onerror", "onupgradeneeded", "onblocked"]) {
          real[name] = (event) => setTimeout(() => request[name]?.(event), 3000);
        }
        for (const name of ["result", "error", "transaction"]) {
          Object.defineProperty(request, name, { get: () => real[name] });
        }
        return request;
      };
    """)
    visitor.reload(page)
    page.get_by_role("tab", name="Chat").click()
    page.locator("#new-conversation").click()
    page.wait_for_timeout(5_000)
    ask(page, "second")
    expect_answer(page, "1 with second")


def test_new_ends_the_opening_of_a_conversation_at_once(
    visitor: Visitor, url: str, backend: Repeats
) -> None:
    page = open_chat(visitor, url, str(SCREENSHOT))
    page.locator("#new-conversation").click()
    expect(page.locator("#log .bot")).to_have_count(0)
    backend.may_open.clear()
    backend.opened = 0
    page.locator("#history-panel .fold").click()
    page.locator("#history-panel li .open").click()
    wait_until(lambda: page.title() and backend.opened)
    page.locator("#new-conversation").click()
    expect(page.locator("#prompt")).to_have_js_property("inert", False)
    ask(page, "second")
    expect_answer(page, "1 with second")
    backend.may_open.set()
    page.wait_for_timeout(1_000)
    expect_answer(page, "1 with second")


def test_an_older_new_does_not_end_what_is_opened_later(visitor: Visitor, url: str) -> None:
    page = open_chat(visitor, url)
    page.locator("#new-conversation").click()
    expect(page.locator("#log .bot")).to_have_count(0)
    line = SlowLine(page, "history", "restore")
    page.locator("#history-panel .fold").click()
    page.locator("#history-panel li .open").click()
    line.wait_until_held()
    # longer than what a press of New waits for the end of an opening
    page.wait_for_timeout(5_000)
    expect(page.locator("#prompt")).to_have_js_property("inert", True)
    line.let_go()
    expect_answer(page, "1 with first")
    expect(page.locator("#prompt")).to_have_js_property("inert", False)
