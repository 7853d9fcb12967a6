"""Files of all kinds in the message box: the strip, the bundled model's answer, refusals."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from media_files import make_clip, make_image, make_pdf
from playwright.sync_api import Page, expect
from visitor import Visitor

pytestmark = pytest.mark.browser

DROP = """(box, file) => {
    const bytes = Uint8Array.from(atob(file.content), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], file.name, {type: file.type}));
    box.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
}"""


@pytest.fixture
def chat(app_url: str, visitor: Visitor) -> Page:
    page = visitor.open(app_url)
    page.get_by_role("tab", name="Chat").click()
    return page


def attach(page: Page, *files: str) -> None:
    page.locator("#prompt input[type=file]").set_input_files(list(files))


def drop(page: Page, file: str, kind: str) -> None:
    """Let go of a file above the message box, as after dragging it in."""
    content = base64.b64encode(Path(file).read_bytes()).decode()
    described = {"content": content, "name": Path(file).name, "type": kind}
    page.locator("#prompt .full-container").evaluate(DROP, described)


def test_image_pdf_and_clip_are_shown_one_is_removed_and_the_rest_is_answered(
    chat: Page, tmp_path: Path
) -> None:
    drop(chat, make_image(tmp_path / "screen.png"), "image/png")
    expect(chat.locator("#strip")).to_contain_text("200×100 →")
    drop(chat, make_pdf(tmp_path / "report.pdf"), "application/pdf")
    expect(chat.locator("#strip")).to_contain_text("Page 3")
    drop(chat, make_clip(tmp_path / "clip.mp4"), "video/mp4")
    strip = chat.locator("#strip")
    expect(strip).to_contain_text("0:01.5")
    expect(strip).to_contain_text("not trained on images and videos")
    expect(strip.locator(".total")).to_contain_text("the model takes in 8,192 at once")
    expect(chat.locator("#pages")).to_be_visible()
    expect(chat.locator("#max-frames")).to_be_visible()
    for picture in strip.locator("img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0

    chat.locator("#prompt .thumbnail-item").nth(2).hover()
    chat.locator("#prompt [aria-label='Remove file']").nth(2).click()
    expect(strip).not_to_contain_text("clip.mp4")
    expect(chat.locator("#max-frames")).to_be_hidden()

    chat.locator("#prompt textarea").fill("Where is the button?")
    chat.locator("#prompt textarea").press("Enter")
    expect(chat.locator("#log .bot-row").first).to_be_visible()
    expect(chat.locator("#log")).to_contain_text("report.pdf: pages 1, 2, 3")
    expect(chat.locator("#prompt [aria-label=Submit]")).to_be_visible()
    expect(strip).to_be_hidden()


def test_choosing_pages_changes_the_strip(chat: Page, tmp_path: Path) -> None:
    attach(chat, make_pdf(tmp_path / "report.pdf"))
    strip = chat.locator("#strip")
    expect(strip).to_contain_text("Page 3")
    chat.locator("#pages :is(input, textarea)").fill("2")
    chat.locator("#pages :is(input, textarea)").press("Enter")
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
