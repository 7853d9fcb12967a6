"""What was found, over the picture: in its place at every size, linked to words, taken away."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opens_files import OpensFiles
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from visitor import Visitor

from model.backends.base import (
    AnswerDelta,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Status,
)
from ui import answering

pytestmark = pytest.mark.browser

Serve = Callable[..., str]
END = Finished("stop", prompt_tokens=1, new_tokens=1, first_token_s=0.1, total_s=0.1)
MAGENTA = (255, 0, 255)
SIZE = (640, 400)
BUTTON = (240, 150, 400, 250)  # pixels; in thousandths 375, 375, 625, 625
ONE = "It is <|begin_of_box|>[[375,375,625,625]]<|end_of_box|>."
TWO = 'Here: {"bbox_2d": [375, 375, 625, 625], "label": "Save"} and [[100,100,200,200]].'
NASTY = "<img src=x onerror=window.pwned=1>"
ROUNDING_PX = 1.0
EDGES = """e => {
    const {left, top, right, bottom} = e.getBoundingClientRect();
    return [left, top, right, bottom];
}"""
FADE = """(e, opacity) => {
    for (const drawn of e.shadowRoot.querySelectorAll("svg, .labels")) {
        drawn.style.opacity = opacity;
    }
}"""


@dataclass
class Says(OpensFiles):
    """Says its pieces, one for each question; waits at ``HOLD`` until it is let go."""

    pieces: list[str]
    name: str = "Says"
    hold: threading.Event = field(default_factory=threading.Event)

    def status(self) -> Status:
        return Status("ready", "Ready")

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        asked = sum(message["role"] == "user" for message in messages)
        for piece in self.pieces[min(asked, len(self.pieces)) - 1].split("HOLD"):
            yield AnswerDelta(piece)
            if piece is not self.pieces[-1]:
                self.hold.wait(60)
        yield END


@pytest.fixture(autouse=True)
def every_piece_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MIN_INTERVAL_S", 0.0)


@pytest.fixture
def screen(tmp_path: Path) -> str:
    return make_screen(tmp_path / "screen.png")


def make_screen(path: Path) -> str:
    image = Image.new("RGB", SIZE, "white")
    image.paste(MAGENTA, BUTTON)
    image.save(path)
    return str(path)


def says(*answers: str) -> Says:
    backend = Says(list(answers))
    backend.hold.set()
    return backend


def locate(page: Page, file: str) -> Locator:
    """Ask the grounding tab; return the overlay."""
    page.locator("#screenshot input[type=file]").set_input_files(file)
    expect(page.locator("#screenshot img")).to_be_visible()
    page.locator("#instruction textarea").fill("Find it")
    page.locator("#start").click()
    expect(page.locator("#table tbody tr").first).to_be_visible()
    return page.locator("#picture sightline-overlay")


def ask(page: Page, *files: str) -> None:
    page.get_by_role("tab", name="Chat").click()
    if files:
        page.locator("#prompt input[type=file]").set_input_files(list(files))
        expect(page.locator("#prompt .thumbnail-item")).to_have_count(len(files))
    page.locator("#prompt textarea").fill("Where?")
    page.locator("#prompt textarea").press("Enter")


def box_of(element: Locator) -> tuple[float, float, float, float]:
    return tuple(element.evaluate(f"e => [e].map({EDGES})[0]"))


def find_button(page: Page, overlay: Locator) -> tuple[int, int, int, int]:
    """Return where on the screen the magenta button is, with nothing drawn over it."""
    overlay.evaluate(FADE, "0")
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    overlay.evaluate(FADE, "")
    left, top, right, bottom = (round(number) for number in box_of(overlay.locator(".view")))
    # the edges of the button are blurred where the browser scales
    mask = shot.crop((left, top, right, bottom)).split()[1].point(lambda g: 255 * (g < 128))
    found = mask.getbbox()
    assert found is not None
    return (found[0] + left, found[1] + top, found[2] + left, found[3] + top)


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_a_box_lies_over_what_it_names_at_every_zoom(
    serve: Serve, visitor: Visitor, screen: str, width: int
) -> None:
    page = visitor.open(serve(says(ONE)), width=width)
    overlay = locate(page, screen)
    overlay.locator(".view").scroll_into_view_if_needed()
    fit = overlay.locator(".view").bounding_box()
    assert fit is not None
    for zoom in (1, 1.5, 1.5**2):
        drawn = box_of(overlay.locator("[data-target='1'] rect.line"))
        seen = find_button(page, overlay)
        assert drawn == pytest.approx(seen, abs=ROUNDING_PX)
        scale = (seen[2] - seen[0]) / (BUTTON[2] - BUTTON[0])
        assert scale == pytest.approx(fit["width"] / SIZE[0] * zoom, rel=0.02)
        overlay.get_by_role("button", name="Zoom in").click()


def test_words_box_and_row_light_up_together(serve: Serve, visitor: Visitor, screen: str) -> None:
    page = visitor.open(serve(says(TWO)))
    overlay = locate(page, screen)
    words = page.locator("#answer a[href='#target-1']")
    other = page.locator("#answer a[href='#target-2']")
    rows = page.locator("#table tbody tr")
    lit = overlay.locator(".target.lit")
    words.hover()
    expect(lit).to_have_attribute("data-target", "1")
    expect(rows.nth(0)).to_have_class("lit")
    overlay.locator("[data-target='2'] rect.line").hover()
    expect(other).to_have_class("lit")
    expect(words).not_to_have_class("lit")
    rows.nth(0).hover()
    expect(lit).to_have_attribute("data-target", "1")
    expect(words).to_have_class("lit")
    page.locator("h1").hover()
    expect(lit).to_have_count(0)
    expect(page.locator(".lit")).to_have_count(0)


@pytest.mark.slow
def test_words_in_code_light_up_too(serve: Serve, visitor: Visitor, screen: str) -> None:
    boxes = [{"bbox_2d": [375, 375, 625, 625]}, {"bbox_2d": [100, 100, 200, 200]}]
    page = visitor.open(serve(says(f"```json\n{json.dumps(boxes, indent=1)}\n```")))
    overlay = locate(page, screen)
    overlay.locator("[data-target='2'] rect.line").hover()
    lit = "[...(CSS.highlights.get('sightline-target') ?? [])].map(range => range.toString())"
    (words,) = page.evaluate(lit)
    assert "100" in words and "375" not in words
    page.locator("#answer code").get_by_text("375").first.hover()
    expect(overlay.locator(".target.lit")).to_have_attribute("data-target", "1")
    (words,) = page.evaluate(lit)
    assert "375" in words and "100" not in words


@pytest.mark.slow
def test_a_click_on_the_words_leaves_the_page_where_it_is(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    page = visitor.open(serve(says(TWO)))
    locate(page, screen)
    before = page.url
    page.locator("#answer a[href='#target-1']").click()
    assert page.url == before
    expect(page.locator("#picture .target.lit")).to_have_attribute("data-target", "1")
    assert len(page.context.pages) == 1


@pytest.mark.slow
def test_targets_are_reached_and_said_by_keyboard(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    page = visitor.open(serve(says(TWO)))
    overlay = locate(page, screen)
    overlay.locator(".view").focus()
    page.keyboard.press("Tab")
    focused = overlay.locator(".target:focus")
    expect(focused).to_have_attribute("aria-label", "#1, Box, Save, at 240 150 400 250")
    expect(page.locator("#answer a[href='#target-1']")).to_have_class("lit")
    page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("data-target", "2")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("aria-pressed", "true")
    expect(overlay.get_by_role("button", name="Copy #1")).to_be_visible()


@pytest.mark.slow
def test_the_zoom_button_keeps_the_target_in_sight(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    page = visitor.open(serve(says("[[930,930,960,960]]")))
    overlay = locate(page, screen)
    view = box_of(overlay.locator(".view"))
    for _ in range(4):
        overlay.get_by_role("button", name="Zoom in").click()
    left, top, right, bottom = box_of(overlay.locator("rect.line"))
    assert view[0] <= left < right <= view[2]
    assert view[1] <= top < bottom <= view[3]


@pytest.mark.slow
def test_zoom_keeps_what_is_under_the_pointer_and_labels_keep_their_size(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    page = visitor.open(serve(says(ONE)))
    overlay = locate(page, screen)
    rect = overlay.locator("rect.line")
    label = overlay.locator(".labels span")
    height = box_of(label)[3] - box_of(label)[1]
    left, top, right, _ = box_of(rect)
    page.mouse.move(left, top)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    expect(overlay.locator(".view")).to_have_class("view zoomed")
    zoomed = box_of(rect)
    assert zoomed[:2] == pytest.approx((left, top), abs=ROUNDING_PX + 1)  # scrolling is in pixels
    assert zoomed[2] - zoomed[0] == pytest.approx((right - left) * 2.718, rel=0.02)
    assert box_of(label)[3] - box_of(label)[1] == pytest.approx(height)
    assert rect.evaluate("e => getComputedStyle(e).vectorEffect") == "non-scaling-stroke"
    x, y = zoomed[0] + 30, zoomed[1] + 30
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 40, y - 20, steps=4)
    page.mouse.up()
    moved = box_of(rect)
    assert moved[:2] == pytest.approx((zoomed[0] - 40, zoomed[1] - 20), abs=ROUNDING_PX + 1)
    overlay.locator(".view").focus()
    page.keyboard.press("0")
    assert box_of(rect)[0] == pytest.approx(left, abs=ROUNDING_PX)


COPIES = {
    "Pixels": ("240, 150, 400, 250", "64, 40, 128, 80"),
    "0 to 1": ("0.3750, 0.3750, 0.6250, 0.6250", "0.1000, 0.1000, 0.2000, 0.2000"),
    "0 to 1000": ("375, 375, 625, 625", "100, 100, 200, 200"),
    "pyautogui": ("pyautogui.click(320, 200)", "pyautogui.click(96, 60)"),
    "Playwright": ("page.mouse.click(320, 200)", "page.mouse.click(96, 60)"),
    "adb": ("adb shell input tap 320 200", "adb shell input tap 96 60"),
}


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False])
def test_targets_are_copied_as_what_was_chosen(
    serve: Serve, visitor: Visitor, screen: str, allowed: bool
) -> None:
    page = visitor.open(serve(says(TWO)))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not allowed:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject('no') }")
    overlay = locate(page, screen)
    for title, (first, second) in COPIES.items():
        overlay.get_by_label("Copy as").select_option(title)
        overlay.get_by_role("button", name="Copy all").click()
        expect(overlay.get_by_role("status")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == f"{first}\n{second}"
        page.get_by_role("button", name="Copy #2").click()
        expect(page.locator("#table button.copied")).to_have_count(1)
        assert page.evaluate("navigator.clipboard.readText()") == second
        expect(page.locator("#table button.copied")).to_have_count(0)


@pytest.mark.slow
def test_a_copied_answer_has_its_words_without_the_links(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    page = visitor.open(serve(says(f"**Yes.** {ONE}")))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, screen)
    expect(page.locator("#log").get_by_role("button", name="Copy all")).to_be_visible()
    page.get_by_label("Copy answer 1").click()
    page.wait_for_function(
        "async (words) => (await navigator.clipboard.readText()) === words",
        arg="**Yes.** It is [[375,375,625,625]].",
    )


def save(page: Page, element: Locator) -> bytes:
    with page.expect_download() as download:
        element.click()
    return Path(download.value.path()).read_bytes()


@pytest.mark.slow
def test_downloads_hold_what_is_shown(serve: Serve, visitor: Visitor, screen: str) -> None:
    page = visitor.open(serve(says(TWO)))
    overlay = locate(page, screen)
    with page.expect_download() as download:
        overlay.locator("a[download]").click()
    # the server has a name of its own for it, which browsers prefer to that of a link
    assert download.value.suggested_filename == f"{Path(screen).stem} with targets.png"
    drawn = Image.open(download.value.path()).convert("RGB")
    assert drawn.size == SIZE
    assert drawn.getpixel((320, 200)) == MAGENTA
    assert drawn.getpixel((240, 200)) != MAGENTA  # the frame
    found = json.loads(save(page, overlay.get_by_role("button", name="JSON")))
    assert [target["xyxy"] for target in found["targets"]] == [
        [240, 150, 400, 250],
        [64, 40, 128, 80],
    ]
    coco = json.loads(save(page, overlay.get_by_role("button", name="COCO")))
    assert coco["annotations"][0]["bbox"] == [240, 150, 160, 100]
    assert coco["images"] == [{"id": 1, "file_name": "screen.png", "width": 640, "height": 400}]


@pytest.mark.slow
def test_a_label_is_text_whatever_it_says(serve: Serve, visitor: Visitor, screen: str) -> None:
    text = json.dumps([{"bbox_2d": [375, 375, 625, 625], "label": NASTY, "score": 0.31}])
    page = visitor.open(serve(says(f"{text} ${{1+1}} {{{{value}}}}")))
    overlay = locate(page, screen)
    expect(overlay.locator(".labels .plate")).to_have_text(NASTY)
    expect(overlay.locator(".labels .score")).to_have_text("31\u00a0%")
    expect(overlay.locator(".target")).to_have_class("target dashed")
    expect(page.locator("#table tbody td").nth(2)).to_have_text(NASTY)
    assert overlay.locator("img").count() == 1  # the picture
    assert page.evaluate("window.pwned") is None


@pytest.mark.slow
def test_two_hundred_labels_do_not_collide(serve: Serve, visitor: Visitor, screen: str) -> None:
    boxes: list[dict[str, Any]] = [
        {"bbox_2d": [x, y, x + 40, y + 60], "label": f"item {x} {y}"}
        for x in range(0, 1000, 50)
        for y in range(0, 1000, 100)
    ]
    page = visitor.open(serve(says(json.dumps(boxes))))
    overlay = locate(page, screen)
    expect(overlay.locator(".target")).to_have_count(200)
    shown = overlay.locator(".labels span:not(.no-room)")
    labels = shown.evaluate_all(f"all => all.map({EDGES})")
    assert len(labels) > 10
    for i, (left, top, right, bottom) in enumerate(labels):
        for other in labels[:i]:
            apart_x = left >= other[2] - 0.5 or other[0] >= right - 0.5
            apart_y = top >= other[3] - 0.5 or other[1] >= bottom - 0.5
            assert apart_x or apart_y
    # what has no room is shown when it is pointed at
    page.locator("#table tbody tr").nth(150).hover()
    expect(overlay.locator(".labels span.lit .plate")).to_be_visible()


@pytest.mark.slow
def test_boxes_appear_while_the_answer_grows_and_the_picture_stays(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    backend = Says(["One [[375,375,625,625]] HOLD and [[100,100,200,200]].", ONE])
    page = visitor.open(serve(backend))
    ask(page, screen)
    overlay = page.locator("#log sightline-overlay").first
    expect(overlay.locator(".target")).to_have_count(1)
    assert overlay.get_by_role("button", name="Copy all").count() == 0
    overlay.evaluate("e => { window.before = [e, e.shadowRoot.querySelector('img')] }")
    backend.hold.set()
    expect(overlay.locator(".target")).to_have_count(2)
    expect(overlay.get_by_role("button", name="Copy all")).to_be_visible()
    ask(page)  # a later message
    expect(page.locator("#log sightline-overlay")).to_have_count(2)
    now = "e => window.before[0] === e && window.before[1] === e.shadowRoot.querySelector('img')"
    assert overlay.evaluate(now)


@pytest.mark.slow
def test_words_in_the_log_belong_to_the_picture_of_their_answer(
    serve: Serve, visitor: Visitor, screen: str
) -> None:
    page = visitor.open(serve(says(ONE, TWO)))
    ask(page, screen)
    overlays = page.locator("#log sightline-overlay")
    expect(overlays).to_have_count(1)
    ask(page)
    expect(overlays).to_have_count(2)
    links = page.locator("#log a[href='#target-1']")
    for index in (1, 0):
        links.nth(index).focus()
        expect(overlays.nth(index).locator(".target.lit")).to_have_count(1)
        expect(overlays.nth(1 - index).locator(".target.lit")).to_have_count(0)


@pytest.mark.slow
def test_each_picture_has_its_own_targets_and_words_turn_to_theirs(
    serve: Serve, visitor: Visitor, tmp_path: Path
) -> None:
    files = [make_screen(tmp_path / name) for name in ("a.png", "b.png")]
    text = "[[375,375,625,625]] (image 1) and [[100,100,200,200]] (image 2)"
    page = visitor.open(serve(says(text)))
    ask(page, *files)
    overlay = page.locator("#log sightline-overlay")
    target = overlay.locator(".target")
    expect(target).to_have_attribute("data-target", "1")
    expect(overlay.get_by_label("Picture", exact=True)).to_have_value("0")
    overlay.get_by_role("button", name="Next picture").click()
    expect(target).to_have_attribute("data-target", "2")
    page.locator("#log a[href='#target-1']").hover()
    expect(target).to_have_attribute("data-target", "1")
    expect(overlay.locator("img")).to_have_attribute("alt", "a.png: 1 target")


@pytest.mark.slow
def test_a_picture_that_was_chosen_and_its_zoom_outlive_the_end_of_the_answer(
    serve: Serve, visitor: Visitor, tmp_path: Path
) -> None:
    files = [make_screen(tmp_path / name) for name in ("a.png", "b.png")]
    backend = Says(["[[375,375,625,625]] (image 1), [[100,100,200,200]] (image 2) HOLD, yes. HOLD"])
    page = visitor.open(serve(backend))
    ask(page, *files)
    overlay = page.locator("#log sightline-overlay")
    overlay.get_by_role("button", name="Next picture").click()
    overlay.get_by_role("button", name="Zoom in").click()
    stage = overlay.locator(".stage")
    zoom = "e => e.style.getPropertyValue('--zoom')"
    chosen = ("1", stage.evaluate(zoom))
    assert chosen[1] != "1"
    backend.hold.set()
    expect(overlay.get_by_role("button", name="Copy all")).to_be_visible()
    assert (stage.get_attribute("data-page"), stage.evaluate(zoom)) == chosen


@pytest.mark.slow
def test_boxes_without_a_picture_can_be_given_to_another(
    serve: Serve, visitor: Visitor, tmp_path: Path
) -> None:
    files = [make_screen(tmp_path / name) for name in ("a.png", "b.png")]
    page = visitor.open(serve(says(ONE)))
    ask(page, *files)
    picture = page.locator("#log sightline-overlay img")
    expect(picture).to_have_attribute("alt", "a.png: 1 target")
    choice = page.locator("#unnamed input")
    expect(choice).to_have_value("a.png")
    expect(page.locator("#prompt")).to_be_in_viewport(ratio=1)  # there is room for both
    choice.click()
    page.get_by_role("option", name="b.png").click()
    expect(picture).to_have_attribute("alt", "b.png: 1 target")


@pytest.mark.slow
@pytest.mark.parametrize("tab", ["Grounding", "Chat"])
def test_the_overlay_fits_a_phone(serve: Serve, visitor: Visitor, screen: str, tab: str) -> None:
    page = visitor.open(serve(says(TWO)), width=390)
    if tab == "Chat":
        ask(page, screen)
    else:
        locate(page, screen)
    expect(page.locator("sightline-overlay .target").first).to_be_visible()
    expect(page.get_by_role("button", name="Copy all")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
