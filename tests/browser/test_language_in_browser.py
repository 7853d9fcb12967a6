"""The page in Chinese and in English: nothing is left in another language than the visitor's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from scripted_backend import END, ScriptedBackend

import app
from model.backends.base import Abilities, AnswerDelta, Event, ThinkingDelta
from ui import read_examples

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENSHOT = app.ASSETS / "examples" / "checkout.png"
ANSWER = "<|begin_of_box|>[[100,100,300,300],[400,400,600,600]]<|end_of_box|>"
# in Chinese, too: names, formats, what a person or the model wrote
AS_IT_IS = {"Sightline", "English", "PNG", "JSON", "COCO", "pyautogui", "Playwright", "adb"}
AS_IT_IS |= {"Top-p", "Top-k", "Scripted", "Enter", "Shift+Enter", "Esc", "Alt+M", "Alt+N"}
WRITTEN = {"Where is it?", "checkout.png", "I think.", *ANSWER.split()}

# every text and name that is in sight and has Latin letters but no Chinese ones
LOOK = """() => {
  const found = new Set();
  const look = (text) => {
    const trimmed = (text ?? "").trim();
    if (/[A-Za-z]{2}/.test(trimmed) && !/[\\u3400-\\u9fff]/.test(trimmed)) found.add(trimmed);
  };
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot);
      if (["SCRIPT", "STYLE"].includes(node.tagName) || !node.checkVisibility()) continue;
      for (const name of ["aria-label", "placeholder", "title", "alt"]) {
        look(node.getAttribute(name));
      }
      for (const child of node.childNodes) if (child.nodeType === Node.TEXT_NODE) look(child.data);
    }
  };
  walk(document);
  return [...found];
}"""


@pytest.fixture(scope="module")
def url(serve_for_all: Callable[..., str]) -> str:
    class Backend(ScriptedBackend):
        abilities = Abilities(thinking_budget=True, continuing=True)

    script: list[Event | Exception] = [ThinkingDelta("I think."), AnswerDelta(ANSWER), END]
    return serve_for_all(
        Backend(script),
        3,
        examples=read_examples(app.ASSETS / "examples"),
        browser_origins=("http://127.0.0.1:1",),
        visitor_endpoints=("http://127.0.0.1:2/v1",),
    )


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[Callable[[str], Page]]:
    contexts = []

    def open_in(locale: str) -> Page:
        context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(url)
        page.wait_for_selector("#start")
        return page

    yield open_in
    for context in contexts:
        context.close()


def open_tab(page: Page, name: str) -> None:
    page.locator(f"[role=tab][data-tab-id={name}]").first.click()
    page.wait_for_selector(f"#{name}")


def ask(page: Page, text: str) -> None:
    page.locator("#prompt input[type=file]").first.set_input_files(str(SCREENSHOT))
    page.locator("#strip section .choices").wait_for()
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt .submit-button").click()
    page.locator("#log .turn-tools .speed").wait_for()


def left_in_english(page: Page, *, tries: int = 20) -> list[str]:
    """Return what is not in Chinese; names that Gradio gives are followed up a moment later."""
    examples = {example.instruction for example in read_examples(app.ASSETS / "examples")}
    files = {Path(example.file).name for example in read_examples(app.ASSETS / "examples")}
    left: list[str] = []
    for _ in range(tries):
        known = AS_IT_IS | WRITTEN | examples | files
        left = [text for text in page.evaluate(LOOK) if text not in known]
        left = [text for text in left if not re.match(r"https?:|\d+ x \d+|#\d|\[\[|\{\n", text)]
        if not left:
            break
        time.sleep(0.1)
    return left


def test_in_a_chinese_browser_nothing_is_left_in_english(open_page: Callable[[str], Page]) -> None:
    page = open_page("zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.locator("#keyboard").click()
    assert left_in_english(page) == []
    page.keyboard.press("Escape")
    page.locator("#own-endpoint button").first.click()
    assert left_in_english(page) == []
    page.locator("#start").click()
    expect(page.locator("#locate-notice")).to_contain_text("请先添加截图")
    open_tab(page, "chat")
    assert left_in_english(page) == []
    page.locator("#history-panel .fold").click()
    page.locator("#preferences summary").click()
    page.locator("#preference-temperature").fill("9")
    page.locator("#prompt input[type=file]").first.set_input_files(str(SCREENSHOT))
    page.locator("#strip section .choices").wait_for()
    assert left_in_english(page) == []
    ask(page, "Where is it?")
    for fold in page.locator("#log summary").all():
        fold.click()
    page.locator("#history-panel .more").click()
    assert left_in_english(page) == []
    open_tab(page, "agent")
    page.locator("#live-start").click()
    expect(page.locator("#agent-notice")).to_contain_text("请说明要完成什么")
    page.locator("[role=tab][data-tab-id=by-hand]").first.click()
    page.wait_for_selector("#agent-start")
    assert left_in_english(page) == []


def test_two_visitors_are_answered_in_their_own_languages(
    open_page: Callable[[str], Page],
) -> None:
    chinese, english = open_page("zh-CN"), open_page("en-US")
    for page in (chinese, english):
        page.locator("#start").click()
    expect(chinese.locator("#locate-notice")).to_contain_text("请先添加截图。")
    expect(english.locator("#locate-notice")).to_contain_text("Attach a screenshot first.")
    expect(english.locator("html")).to_have_attribute("lang", "en")
    for page in (chinese, english):
        open_tab(page, "chat")
        ask(page, "Where is it?")
    expect(chinese.locator("#log .speed")).to_contain_text("首字")
    expect(english.locator("#log .speed")).to_contain_text("First word after")


def test_an_example_of_the_chat_runs_in_chinese_too(open_page: Callable[[str], Page]) -> None:
    page = open_page("zh-CN")
    open_tab(page, "chat")
    expect(page.locator("#prompt .submit-button")).to_have_attribute("aria-label", "发送")
    page.locator("#log .example").first.click()
    expect(page.locator("#log .turn-tools .speed")).to_be_visible()


@pytest.mark.parametrize(("locale", "language"), [("zh", "zh-CN"), ("fr", "en")])
def test_other_languages_get_the_nearer_of_the_two(
    open_page: Callable[[str], Page], locale: str, language: str
) -> None:
    page = open_page(locale)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("#start")).to_have_text({"zh-CN": "定位", "en": "Locate"}[language])


def test_a_switch_keeps_the_conversation_and_what_is_typed_and_lasts(
    open_page: Callable[[str], Page],
) -> None:
    page = open_page("en-US")
    open_tab(page, "chat")
    ask(page, "Where is it?")
    other = SCREENSHOT.with_name("team.png")
    page.locator("#prompt input[type=file]").first.set_input_files(str(other))
    page.locator("#strip section .choices").wait_for()
    page.locator("#prompt textarea").fill("half a sent")
    page.locator("#language").get_by_role("button", name="中文").click()
    expect(page.get_by_role("tab").first).to_have_text("定位")
    expect(page.locator("#strip .total")).to_contain_text("个 token")
    expect(page.locator("#prompt textarea")).to_have_value("half a sent")
    expect(page.locator("#log")).to_contain_text("Where is it?")
    expect(page.locator("#log sightline-overlay").get_by_label("放大")).to_be_visible()
    assert page.locator("[role=tab]").all_inner_texts()[:3] == ["定位", "对话", "智能体"]
    page.reload()
    page.wait_for_selector("#history-panel")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.locator("#language").get_by_role("button", name="English").click()
    expect(page.get_by_role("tab").first).to_have_text("Grounding")
