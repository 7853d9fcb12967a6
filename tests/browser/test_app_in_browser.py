"""The app as users start it, with the bundled model: examples, thinking, chat, uploads."""

from __future__ import annotations

import io
import re
import urllib.request
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect
from visitor import Visitor

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
SCREENSHOT = sorted(EXAMPLES.glob("*.png"))[0]


def numbers(text: str) -> list[int]:
    return [round(float(number)) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def download(page: Page, selector: str) -> Image.Image:
    """Return the pixels that an image or a link of the page leads to."""
    address = page.locator(selector).first.evaluate("element => element.src ?? element.href")
    with urllib.request.urlopen(address) as response:
        return Image.open(io.BytesIO(response.read())).convert("RGB")


@pytest.mark.parametrize("thinking", [False, True])
def test_an_example_is_located_where_the_answer_says(
    app_url: str, visitor: Visitor, thinking: bool
) -> None:
    page = visitor.open(app_url)
    page.locator("#grounding").get_by_label("Think first").set_checked(thinking)
    page.locator("#examples tbody tr").first.click()
    row = page.locator("#table tbody tr").first
    expect(row).to_be_visible()
    pixels, norm = (numbers(cell) for cell in row.locator("td").all_inner_texts()[3:5])
    assert numbers(page.locator("#answer").inner_text())[:4] == norm

    original = download(page, "#screenshot img")
    drawn = download(page, "#picture a[download]")
    assert drawn.size == original.size
    assert [round(n / 1000 * original.size[i % 2]) for i, n in enumerate(norm)] == pixels
    box = ImageChops.difference(original, drawn).getbbox()
    assert box is not None
    # the frame covers the box; its stroke, handle and label may stand out of it
    assert box[0] <= pixels[0] + 3 and box[1] <= pixels[1] + 3
    assert box[2] >= pixels[2] - 3 and box[3] >= pixels[3] - 3
    expect(page.locator("#thought")).to_be_visible(visible=thinking)


def test_what_an_example_far_down_the_page_finds_is_in_sight(
    app_url: str, visitor: Visitor
) -> None:
    page = visitor.open(app_url)
    page.set_viewport_size({"width": 1280, "height": 600})
    last = page.locator("#examples tbody tr").last
    last.scroll_into_view_if_needed()
    expect(page.locator("#picture")).not_to_be_in_viewport()
    last.click()
    expect(page.locator("#table tbody tr").first).to_be_attached()
    expect(page.locator("#picture")).to_be_in_viewport(ratio=0.8)


def test_an_uploaded_screenshot_is_located(app_url: str, visitor: Visitor) -> None:
    page = visitor.open(app_url)
    page.locator("#screenshot input[type=file]").set_input_files(SCREENSHOT)
    page.locator("#instruction textarea").fill("Click on the first button")
    expect(page.locator("#screenshot img")).to_be_visible()
    page.locator("#start").click()
    expect(page.locator("#table tbody tr")).not_to_have_count(0)
    expect(page.locator("#start")).to_be_visible()


@pytest.mark.slow
def test_a_broken_upload_is_explained(app_url: str, visitor: Visitor, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("this is text")
    page = visitor.open(app_url)
    page.locator("#screenshot input[type=file]").set_input_files(broken)
    page.locator("#instruction textarea").fill("Click on Save")
    expect(page.locator("#screenshot img")).to_have_count(1)
    page.locator("#start").click()
    expect(page.locator("#locate-notice")).to_contain_text("broken.png")


def test_a_chat_about_an_image_shows_thought_answer_and_box(app_url: str, visitor: Visitor) -> None:
    page = visitor.open(app_url)
    page.get_by_role("tab", name="Chat").click()
    page.locator("#chat").get_by_label("Think first").check()
    page.locator("#prompt input[type=file]").set_input_files(SCREENSHOT)
    expect(page.locator("#prompt .thumbnail-item")).to_have_count(1)
    page.locator("#prompt textarea").fill("Click on the first button")
    page.locator("#prompt textarea").press("Enter")
    log = page.locator("#log")
    expect(log.get_by_text("Thought")).to_be_visible()
    expect(log.locator(".bot-row img")).to_have_count(1)
    expect(log.locator(".bot-row [data-target='1'] rect").first).to_be_visible()
    assert re.search(r"\[\[?\d+, ?\d+, ?\d+, ?\d+", log.inner_text())
    assert "_of_box" not in log.inner_text()
    expect(page.locator("#prompt textarea")).to_have_value("")


@pytest.mark.slow
def test_an_example_of_the_chat_is_asked_at_a_click(app_url: str, visitor: Visitor) -> None:
    page = visitor.open(app_url)
    page.locator("[role=tab][data-tab-id=chat]").click()
    page.locator("#log .example").first.click()
    expect(page.locator("#log .bot-row [data-target='1'] rect").first).to_be_visible()


def test_the_page_fits_a_phone(app_url: str, visitor: Visitor) -> None:
    page = visitor.open(app_url, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    button, field = (page.locator(name).bounding_box() for name in ("#start", "#instruction"))
    assert button is not None and field is not None
    assert button["x"] + button["width"] <= field["x"] + field["width"] + 1


def test_what_is_set_for_a_message_is_in_sight_with_the_message(
    app_url: str, visitor: Visitor
) -> None:
    page = visitor.open(app_url)
    page.get_by_role("tab", name="Chat").click()
    for name in ("#prompt", "#chat .controls"):
        box = page.locator(name).bounding_box()
        assert box is not None and box["y"] + box["height"] <= 900  # the window's height
