"""Files of all kinds in the message box: the strip, the bundled model's answer, refusals."""

from __future__ import annotations

import base64
import mimetypes
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from media_files import make_animation, make_clip, make_image, make_pdf, make_rtf
from opens_files import OpensFiles
from PIL import Image
from playwright.sync_api import Page, expect
from visitor import Visitor, ask

from model.backends.base import (
    AnswerDelta,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Status,
)
from model.processing import WHOLE, Attachment, Choice, Limits

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DROP = """(box, files) => {
    const transfer = new DataTransfer();
    for (const file of files) {
        const bytes = Uint8Array.from(atob(file.content), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], file.name, {type: file.type}));
    }
    for (const kind of ["dragenter", "dragover", "drop"]) {
        box.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true}));
    }
}"""
MB = 1024 * 1024
WAIT_S = 60.0
CONVERTING_MS = 90_000  # LibreOffice starts for it


@dataclass
class Patient(OpensFiles):
    """Says yes, once ``may_answer``; opens first pages at once, the others once ``may_open``."""

    name: str = "Patient"
    may_answer: threading.Event = field(default_factory=threading.Event)
    may_open: threading.Event = field(default_factory=threading.Event)
    questions: list[list[Message]] = field(default_factory=list)

    def status(self) -> Status:
        return Status("ready", "Ready")

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        attachment = super().open_attachment(path, choice, limits=limits)
        pictures = attachment.pictures

        def wait_after_the_first() -> Iterator[Image.Image]:
            for index, picture in enumerate(pictures()):
                if index:
                    self.may_open.wait(WAIT_S)
                yield picture

        attachment.pictures = wait_after_the_first  # type: ignore[method-assign]
        return attachment

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        self.questions.append(messages)
        self.may_answer.wait(WAIT_S)
        yield AnswerDelta("Yes.")
        yield Finished("stop", prompt_tokens=500, new_tokens=4, first_token_s=0.1, total_s=0.2)


@pytest.fixture
def chat(app_url: str, visitor: Visitor) -> Page:
    return open_chat(app_url, visitor)


def open_chat(url: str, visitor: Visitor) -> Page:
    page = visitor.open(url)
    page.get_by_role("tab", name="Chat").click()
    return page


def attach(page: Page, *files: str) -> None:
    page.locator("#prompt input[type=file]").set_input_files(list(files))


def drop(page: Page, *files: str) -> None:
    """Let go of files above the message box, as after dragging them in."""
    described = [
        {
            "content": base64.b64encode(Path(file).read_bytes()).decode(),
            "name": Path(file).name,
            "type": mimetypes.guess_type(file)[0] or "",
        }
        for file in files
    ]
    page.locator("#prompt .full-container").evaluate(DROP, described)


def press(page: Page, name: str) -> None:
    page.locator("#strip").get_by_role("button", name=name).press("Enter")


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label')"))


def expect_files(page: Page, *names: str) -> None:
    expect(page.locator("#strip section strong")).to_have_text(list(names))


def test_files_are_dropped_moved_and_removed_and_the_rest_is_answered(
    chat: Page, tmp_path: Path
) -> None:
    drop(
        chat,
        make_image(tmp_path / "screen.png"),
        make_pdf(tmp_path / "report.pdf"),
        make_clip(tmp_path / "clip.mp4"),
    )
    strip = chat.locator("#strip")
    expect_files(chat, "screen.png", "report.pdf", "clip.mp4")
    for text in ("200 × 100 →", "Page 3", "0:01.5", "not trained on images and videos"):
        expect(strip).to_contain_text(text)
    expect(strip.locator(".total")).to_contain_text("the model takes in 8,192 at once")
    for picture in strip.locator("img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0

    chat.locator("#prompt textarea").fill("Where is the")
    press(chat, "Move report.pdf earlier")
    expect_files(chat, "report.pdf", "screen.png", "clip.mp4")
    assert focused(chat) == "Move report.pdf later"  # it cannot go further
    press(chat, "Move screen.png later")
    expect_files(chat, "report.pdf", "clip.mp4", "screen.png")
    press(chat, "Remove clip.mp4")
    expect_files(chat, "report.pdf", "screen.png")
    assert focused(chat) == "Remove screen.png"
    expect(chat.locator("#prompt .thumbnail-item")).to_have_count(2)
    expect(chat.locator("#prompt textarea")).to_have_value("Where is the")

    ask(chat, "Where is the button?")
    expect(chat.locator("#log .bot-row").first).to_be_visible()
    expect(chat.locator("#log")).to_contain_text("report.pdf: pages 1, 2, 3")
    expect(chat.locator("#prompt [aria-label=Submit]")).to_be_visible()
    expect(strip).to_be_hidden()


def test_the_order_in_the_strip_is_the_order_in_the_prompt(
    serve: Callable[..., str], visitor: Visitor, tmp_path: Path
) -> None:
    backend = Patient()
    backend.may_answer.set()
    chat = open_chat(serve(backend), visitor)
    files = [make_image(tmp_path / f"{width}.png", (width, 100)) for width in (200, 300, 400)]
    attach(chat, *files)
    expect_files(chat, "200.png", "300.png", "400.png")
    press(chat, "Move 400.png earlier")
    expect_files(chat, "200.png", "400.png", "300.png")
    press(chat, "Move 400.png earlier")
    press(chat, "Remove 300.png")
    expect_files(chat, "400.png", "200.png")
    ask(chat, "And?")
    expect(chat.locator("#log")).to_contain_text("Yes.")
    sent = [part["image"].width for part in backend.questions[0][0]["content"][:-1]]
    assert sent == [400, 200]


def test_the_first_page_is_shown_while_the_others_are_made_and_all_are_sent(
    serve: Callable[..., str], visitor: Visitor, tmp_path: Path
) -> None:
    backend = Patient()
    backend.may_answer.set()
    chat = open_chat(serve(backend), visitor)
    attach(chat, make_pdf(tmp_path / "long.pdf", pages=5))
    strip = chat.locator("#strip")
    expect(strip.locator("li")).to_have_count(1)
    expect(strip).to_contain_text("5 pages")
    ask(chat, "And?")
    backend.may_open.set()
    expect(chat.locator("#log")).to_contain_text("Yes.")
    content = backend.questions[0][0]["content"]
    assert [part["type"] for part in content].count("image") == 5
    expect(strip).to_be_hidden()


def test_each_of_two_documents_has_its_own_pages(chat: Page, tmp_path: Path) -> None:
    attach(chat, make_pdf(tmp_path / "one.pdf"), make_pdf(tmp_path / "two.pdf"))
    expect(chat.locator("#strip li")).to_have_count(6)
    pages = chat.get_by_label("Pages: two.pdf")
    pages.fill("2")
    pages.press("Enter")
    expect(chat.locator("#strip li")).to_have_count(4)
    press(chat, "Move two.pdf earlier")
    expect_files(chat, "two.pdf", "one.pdf")
    expect(chat.get_by_label("Pages: two.pdf")).to_have_value("2")
    expect(chat.get_by_label("Pages: one.pdf")).to_have_value("")
    expect(chat.locator("#strip section").nth(0).locator("li")).to_have_count(1)


def test_an_animated_image_becomes_a_video_by_a_switch(chat: Page, tmp_path: Path) -> None:
    attach(chat, make_animation(tmp_path / "moving.gif"), make_image(tmp_path / "still.png"))
    expect(chat.get_by_role("checkbox", name="As a video")).to_have_count(1)
    # the strip is drawn anew when the server has read the choice, so that `check` sees no change
    chat.get_by_role("checkbox", name="As a video: moving.gif").click()
    expect(chat.locator("#strip")).to_contain_text("moving.gif 4 frames")
    press(chat, "Move moving.gif later")
    expect_files(chat, "still.png", "moving.gif")
    expect(chat.get_by_role("checkbox", name="As a video: moving.gif")).to_be_checked()
    chat.get_by_role("checkbox", name="As a video: moving.gif").click()
    expect(chat.locator("#strip")).to_contain_text("Only the first frame")


@pytest.mark.parametrize("way", [attach, drop])
def test_a_file_that_is_too_large_is_named_and_the_others_stay(
    way: Callable[..., None], serve: Callable[..., str], visitor: Visitor, tmp_path: Path
) -> None:
    chat = open_chat(serve(Patient(), limits=Limits(max_bytes=MB)), visitor)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2 * MB))
    uploads: list[str] = []
    chat.on("request", lambda request: "/upload" in request.url and uploads.append(request.url))
    way(chat, make_image(tmp_path / "a.png"), str(large), make_image(tmp_path / "b.png", (9, 9)))
    expect_files(chat, "a.png", "b.png")
    expect(chat.locator("#chat-notice")).to_contain_text("large.mp4 has 2 MB, more than the 1 MB")
    assert len([url for url in uploads if "upload?" in url]) == 1
    way(chat, str(large))
    expect_files(chat, "a.png", "b.png")


def test_the_total_counts_an_answer_that_ends_after_the_files_came(
    serve: Callable[..., str], visitor: Visitor, tmp_path: Path
) -> None:
    backend = Patient()
    chat = open_chat(serve(backend), visitor)
    ask(chat, "And?")
    expect(chat.locator("#prompt [aria-label=Submit]")).to_be_hidden()
    attach(chat, make_image(tmp_path / "screen.png"))
    total = chat.locator("#strip .total")
    expect(total).to_contain_text("tokens attached")
    expect(total).not_to_contain_text("so far")
    backend.may_answer.set()
    expect(total).to_contain_text("about 782 with the conversation so far")


def test_an_office_document_is_shown_and_sent(chat: Page, tmp_path: Path) -> None:
    attach(chat, make_rtf(tmp_path / "letter.rtf"))
    expect(chat.locator("#strip li")).to_have_count(2, timeout=CONVERTING_MS)
    ask(chat, "What is on page 2?")
    expect(chat.locator("#log .bot-row").first).to_be_visible()
    expect(chat.locator("#log")).to_contain_text("letter.rtf: pages 1, 2")


def test_two_visitors_see_their_own_files(app_url: str, visitor: Visitor, tmp_path: Path) -> None:
    mine, yours = open_chat(app_url, visitor), open_chat(app_url, visitor)
    attach(mine, make_pdf(tmp_path / "mine.pdf"))
    attach(yours, make_image(tmp_path / "yours.png"), make_image(tmp_path / "too.png", (9, 9)))
    expect_files(mine, "mine.pdf")
    expect_files(yours, "yours.png", "too.png")
    press(yours, "Remove yours.png")
    expect_files(yours, "too.png")
    expect_files(mine, "mine.pdf")


def test_choosing_pages_changes_the_strip(chat: Page, tmp_path: Path) -> None:
    attach(chat, make_pdf(tmp_path / "report.pdf"))
    strip = chat.locator("#strip")
    expect(strip).to_contain_text("Page 3")
    chat.get_by_label("Pages: report.pdf").fill("2")
    chat.get_by_label("Pages: report.pdf").blur()
    expect(strip).not_to_contain_text("Page 3")
    expect(strip).to_contain_text("Page 2")


def test_a_refused_file_leaves_text_and_other_files_in_place(chat: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("this is text")
    attach(chat, make_image(tmp_path / "screen.png"), str(broken))
    strip = chat.locator("#strip")
    expect(strip.locator(".refused")).to_contain_text("broken.png")
    chat.locator("#prompt textarea").fill("Where is the button?")
    chat.locator("#prompt textarea").press("Enter")
    expect(chat.locator("#chat-notice")).to_contain_text("broken.png")
    expect(chat.locator("#prompt textarea")).to_have_value("Where is the button?")
    expect(chat.locator("#prompt .thumbnail-item")).to_have_count(1)
    expect(strip.locator(".refused")).to_have_count(0)
    expect(strip).to_contain_text("screen.png")


def test_a_new_conversation_begins_without_files(chat: Page, tmp_path: Path) -> None:
    attach(chat, make_image(tmp_path / "screen.png"))
    expect(chat.locator("#strip")).to_contain_text("screen.png")
    chat.get_by_role("button", name="New conversation").click()
    expect(chat.locator("#prompt .thumbnail-item")).to_have_count(0)
    expect(chat.locator("#strip")).to_be_hidden()


def test_typing_does_not_ask_the_server(chat: Page) -> None:
    asked: list[str] = []
    chat.on("request", lambda request: asked.append(request.url))
    chat.locator("#prompt textarea").press_sequentially("a question")
    chat.wait_for_timeout(300)
    assert [url for url in asked if "queue/join" in url] == []


def test_chat_over_http_takes_documents_and_videos(app_url: str, tmp_path: Path) -> None:
    client = Client(app_url, verbose=False)
    files = [make_pdf(tmp_path / "report.pdf"), make_clip(tmp_path / "clip.mp4")]
    message = {"text": "Where?", "files": [handle_file(file) for file in files]}
    reply = client.predict(message, None, False, pages="2", api_name="/chat")
    assert [a["kind"] for a in reply["attachments"]] == ["document", "video"]
    assert reply["attachments"][0]["items"] == ["Page 2"]
    assert reply["usage"]["prompt_tokens"] > sum(a["tokens"] for a in reply["attachments"])
