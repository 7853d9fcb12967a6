"""Conversations that the browser keeps: they outlast a refresh and the server, and stay its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import visitor
from media_files import make_image
from playwright.sync_api import Browser, Locator, Page, expect
from processes import free_port
from scripted_backend import BOXED, END, ScriptedBackend
from visitor import TIMEOUT_MS

import app
from model.backends.base import AnswerDelta, BackendError, Event, Message, Status
from model.processing import WHOLE, Attachment, Choice, Limits
from ui import PageSettings, build_ui
from ui.chat import handlers

pytestmark = pytest.mark.browser


class Backend(ScriptedBackend):
    """Answers with a box; a question about "slow" things until it is told to end."""

    end = threading.Event()

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        if self.state.state == "loading":
            raise BackendError("Loading. Try again in a moment.")
        return super().open_attachment(path, choice, limits=limits)

    def stream(self, messages: list[Message], **more: Any) -> Generator[Event, None, None]:
        if "slow" not in str(messages[-1]):
            yield from super().stream(messages, **more)
            return
        for number in range(600):
            yield AnswerDelta(f"item{number} ")
            if self.end.wait(0.05):
                return


@pytest.fixture
def enter(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Give a function that opens a page as somebody else each time.

    Not as a ``Visitor``, who complains of requests that a refresh ends.
    """
    pages: list[Page] = []

    def open_page(url: str) -> Page:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        pages.append(page)
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(url)
        open_chat(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()


def open_chat(page: Page) -> None:
    page.get_by_role("tab", name="Chat").click()
    page.wait_for_selector("#history-panel")


def ask(page: Page, text: str, file: str = "") -> None:
    if file:
        page.locator("#prompt input[type=file]").set_input_files(file)
        page.wait_for_selector("#strip section")
    visitor.ask(page, text)


def answer(page: Page, text: str = "Here:") -> Locator:
    """Wait for the last answer to be there."""
    found = page.locator("#log .bot", has_text=text).last
    found.wait_for()
    return found


def kept(page: Page) -> list[str]:
    """Return the titles in the list."""
    return page.locator("#history-panel li .title").all_inner_texts()


def row(page: Page, title: str) -> Locator:
    return page.locator("#history-panel li", has_text=title)


def choose(page: Page, title: str, action: str) -> None:
    row(page, title).get_by_role("button", name="More about").click()
    row(page, title).get_by_role("button", name=action).click()


def start_new(page: Page) -> None:
    page.locator("#new-conversation").click()
    expect(page.locator("#log .bot")).to_have_count(0)


def read_store(page: Page) -> dict[str, int]:
    """Return how much the browser has stored."""
    return page.evaluate(
        """async () => {
          const ended = (request) => new Promise((done) => {
            request.onsuccess = () => done(request.result);
          });
          const database = await ended(indexedDB.open("sightline", 1));
          const counts = {};
          for (const name of ["conversations", "files"]) {
            const store = database.transaction(name).objectStore(name);
            counts[name] = await ended(store.count());
          }
          database.close();
          return counts;
        }"""
    )


def kept_answers(page: Page) -> list[str]:
    """Return the answers that the browser has stored."""
    return page.evaluate(
        """async () => {
          const ended = (request) => new Promise((done) => {
            request.onsuccess = () => done(request.result);
          });
          const database = await ended(indexedDB.open("sightline", 1));
          const entries = await ended(database.transaction("conversations")
            .objectStore("conversations").getAll());
          database.close();
          return entries.flatMap((entry) => entry.record.turns.map((turn) => turn.answer));
        }"""
    )


@pytest.fixture(autouse=True)
def records_come_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "RECORD_INTERVAL_S", 0.1)


@pytest.fixture
def serve_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., gr.Blocks]]:
    """Give a function that serves a backend at a port, as a server that is started again."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    pages: list[gr.Blocks] = []

    def start(backend: ScriptedBackend, port: int) -> gr.Blocks:
        page = build_ui(backend, PageSettings(thinking=False, max_conversations=4))
        page.launch(server_port=port, prevent_thread_lock=True, quiet=True, **app.LAUNCH)
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.close()


@pytest.mark.slow
def test_a_refresh_and_a_new_server_lose_nothing(
    enter: Callable[[str], Page], serve_at: Callable[..., gr.Blocks], tmp_path: Path
) -> None:
    port = free_port()
    served = serve_at(Backend([BOXED, END]), port)
    page = enter(f"http://127.0.0.1:{port}")
    ask(page, "Where is it?", make_image(tmp_path / "screen.png"))
    page.wait_for_selector("#log sightline-overlay")
    expect(page.locator("#history-panel .count")).to_have_text("(1)")
    # what is shown is stored a moment later
    visitor.wait_until(lambda: all(kept_answers(page)))

    page.reload()
    page.wait_for_selector("#log sightline-overlay")
    assert "Where is it?" in page.locator("#log").inner_text()

    served.close()  # and with it all of its files
    newer = Backend([BOXED, END])
    newer.state = Status("loading", "Loading")
    served = serve_at(newer, port)
    page.reload()
    expect(page.locator("#chat-notice")).to_contain_text("once the model is loaded")
    expect(page.locator("#log")).to_contain_text("Where is it?")  # which does not wait
    newer.state = Status("ready", "Ready")
    page.wait_for_selector("#log sightline-overlay")
    picture = page.locator("#log .user img").first
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("(image) => image.naturalWidth") == 200
    ask(page, "And now?")
    expect(page.locator("#log sightline-overlay")).to_have_count(2)
    parts = [part["type"] for message in newer.questions[0] for part in message["content"]]
    assert parts == ["image", "text", "text", "text"]

    served.state_holder.session_data.clear()  # as an hour after a connection was lost
    ask(page, "Still there?")
    expect(page.locator("#history-panel .status")).to_contain_text("had forgotten")
    expect(page.locator("#history-panel .count")).to_have_text("(2)")


@pytest.mark.slow
def test_an_answer_that_was_being_written_is_stopped_and_never_gets_into_another(
    enter: Callable[[str], Page], serve: Callable[..., str]
) -> None:
    url = serve(Backend([BOXED, END]), places=4)
    page = enter(url)
    ask(page, "first")
    answer(page)
    start_new(page)
    ask(page, "slow one")
    answer(page, "item9")
    page.wait_for_function(
        "() => document.querySelector('#history-panel .count').textContent == '(2)'"
    )
    visitor.wait_until(lambda: any("item9" in answer for answer in kept_answers(page)))
    page.reload()
    came = answer(page, "item9")
    expect(page.locator("#log")).to_contain_text("Stopped when the page was left.")
    assert "item599" not in came.inner_text()

    page.locator("#history-panel .fold").click()
    ask(page, "slow again")
    answer(page, "item5")
    row(page, "first").locator(".open").click()
    answer(page)
    expect(row(page, "first").locator(".open")).to_have_attribute("aria-current", "true")
    expect(page.locator("#prompt")).not_to_have_attribute("inert", "")
    assert "item" not in page.locator("#log").inner_text()
    row(page, "slow one").locator(".open").click()
    expect(page.locator("#log")).to_contain_text("slow again")
    expect(page.locator("#log")).to_contain_text("Stopped.")
    Backend.end.set()


@pytest.mark.slow
def test_a_conversation_comes_on_a_new_page_where_an_answer_before_it_never_ends(
    enter: Callable[[str], Page], serve: Callable[..., str]
) -> None:
    page = enter(serve(Backend([BOXED, END]), places=4))
    ask(page, "first")
    answer(page)
    start_new(page)
    ask(page, "second")
    answer(page)
    page.locator("#history-panel .fold").click()
    # as an answer that Gradio tells the beginning of and then nothing more
    page.evaluate("document.dispatchEvent(new Event('sightline:asked')); window.isOld = true")
    row(page, "first").locator(".open").click()
    page.wait_for_function("() => !window.isOld", timeout=30_000)
    answer(page)
    expect(page.locator("#log")).to_contain_text("first")
    expect(page.locator("#log")).not_to_contain_text("second")
    expect(page.locator("#prompt")).not_to_have_attribute("inert", "")


@pytest.mark.slow
def test_the_list_finds_renames_deletes_exports_and_imports(
    enter: Callable[[str], Page], serve: Callable[..., str], tmp_path: Path
) -> None:
    url = serve(Backend([BOXED, END]), places=4)
    page = enter(url)
    page.locator("#history-panel .fold").click()
    ask(page, "<b>About</b> elephants", make_image(tmp_path / "screen.png"))
    answer(page)
    page.wait_for_selector("#log sightline-overlay")
    start_new(page)
    ask(page, "About lions")
    answer(page)
    expect(page.locator("#history-panel li")).to_have_count(2)
    assert kept(page) == ["About lions", "<b>About</b> elephants"]

    search = page.get_by_role("searchbox", name="Search conversations")
    search.fill("screen.PNG here")  # the name of a file, and what was answered
    expect(page.locator("#history-panel li")).to_have_count(1)
    search.fill("")
    expect(page.locator("#history-panel li")).to_have_count(2)

    choose(page, "elephants", "Rename")
    page.keyboard.type("Zoo")
    page.keyboard.press("Enter")
    expect(row(page, "Zoo").locator(".open")).to_have_attribute("aria-current", "false")
    with page.expect_download() as download:
        choose(page, "Zoo", "Export as JSON")
    exported = tmp_path / download.value.suggested_filename
    download.value.save_as(exported)
    assert exported.name == "Zoo.json"
    assert "data:image/png;base64," in exported.read_text()
    with page.expect_download() as download:
        choose(page, "Zoo", "Export as Markdown")
    download.value.save_as(tmp_path / "zoo.md")
    written = (tmp_path / "zoo.md").read_text()
    assert "<b>About</b> elephants" in written and written.count("data:image/png") == 2

    choose(page, "lions", "Delete")  # which is on the page
    expect(page.locator("#log .bot")).to_have_count(0)
    page.locator("#history-panel .undo button").click()
    row(page, "lions").locator(".open").click()
    answer(page)
    page.get_by_role("button", name="Delete all").click()
    expect(page.locator("#history-panel li")).to_have_count(0)
    page.reload()
    page.wait_for_selector("#history-panel")
    expect(page.locator("#history-panel .empty")).to_contain_text("are listed here")
    assert read_store(page) == {"conversations": 0, "files": 0}

    choosing = page.locator("#history-panel input[type=file]")
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({**json.loads(exported.read_text()), "conversations": [{}]}))
    choosing.set_input_files(str(broken))
    expect(page.locator("#history-panel .status")).to_contain_text("damaged")
    choosing.set_input_files([str(exported), str(exported)])
    expect(page.locator("#history-panel .status")).to_have_text("2 conversations imported.")
    assert kept(page) == ["Zoo", "Zoo"] and read_store(page)["files"] == 1
    row(page, "Zoo").first.locator(".open").click()
    page.wait_for_selector("#log sightline-overlay")

    other = enter(url)  # another person
    other.locator("#history-panel .fold").click()
    assert kept(other) == []
    forget = other.get_by_label("Do not keep conversations in this browser")
    forget.check()
    ask(other, "nothing of this")
    answer(other)
    assert read_store(other) == {"conversations": 0, "files": 0}
    other.reload()
    other.wait_for_selector("#history-panel")
    expect(other.locator("#log .bot")).to_have_count(0)
