"""What everybody meets: settings, status, light and dark, keys, a phone, screen readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from scripted_backend import END, ScriptedBackend
from visitor import Visitor, ask, wait_until

from model.backends.base import AnswerDelta, Event, Message, SamplingOptions, Status
from ui import read_examples

pytestmark = pytest.mark.browser

EXAMPLES = read_examples(Path(__file__).parents[2] / "assets" / "examples")
BOX = AnswerDelta("It is here: <|begin_of_box|>[[100,200,300,400]]<|end_of_box|>")
STEP_S = 0.05


@dataclass
class Recording(ScriptedBackend):
    """Remembers how it was asked; counts for ever where it is asked to count."""

    asked: list[tuple[list[Message], bool, SamplingOptions]] = field(default_factory=list)

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        self.asked.append((messages, enable_thinking, options))
        try:
            while messages[-1]["content"][-1].get("text") == "count":
                yield AnswerDelta("word ")
                time.sleep(STEP_S)
            yield from (BOX, END)
        finally:
            self.closed += 1


@pytest.fixture(scope="module")
def backend() -> Recording:
    return Recording()


@pytest.fixture(scope="module")
def url(backend: Recording, serve_for_all: Callable[..., str]) -> str:
    return serve_for_all(backend, 2, examples=EXAMPLES, agent_by_instruction=True)


def show(page: Page, tab: str) -> None:
    page.locator(f"[role=tab][data-tab-id={tab}]").click()


@pytest.mark.slow
def test_settings_are_refused_in_words_sent_with_questions_kept_and_reset(
    url: str, backend: Recording, visitor: Visitor
) -> None:
    page = visitor.open(url)
    show(page, "chat")
    fold = page.locator("#preferences")
    fold.locator("summary").click()
    # what the checkpoint has is there to be seen, but not entered
    expect(fold.get_by_label("Top-p")).to_have_attribute("placeholder", "0.6")
    fold.get_by_label("Temperature").fill("9")
    expect(fold).to_contain_text("Enter a number from 0 to 2.")
    expect(fold.get_by_label("Temperature")).to_have_attribute("aria-invalid", "true")
    fold.get_by_label("Seed").fill("7")
    fold.get_by_label("System prompt").fill("Be brief.")
    page.locator("#chat").get_by_label("Think first").check()
    for refreshed in (False, True):
        if refreshed:
            # what it has to keep is kept
            expect(page.locator("#prompt [aria-label=Submit]")).to_be_visible()
            expect(page.locator("#history")).to_contain_text("(1)")
            visitor.reload(page)
            show(page, "chat")
            expect(page.locator("#chat").get_by_label("Think first")).to_be_checked()
            expect(fold.locator("summary")).to_contain_text("(changed: System prompt, Seed)")
            expect(page.locator("#log")).to_contain_text("It is here")
            page.locator("#new-conversation").click()
            expect(page.locator("#log .bot")).to_have_count(0)
        backend.asked.clear()
        ask(page, "where is it?")
        wait_until(lambda: backend.asked)
        expect(page.locator("#log")).to_contain_text("It is here")
        messages, thinking, options = backend.asked[-1]
        assert messages[0]["role"] == "system"
        assert "Be brief." in str(messages[0]["content"])
        # the refused temperature counts as not entered
        assert (thinking, options) == (True, SamplingOptions(seed=7))
    fold.locator("summary").click()
    fold.get_by_role("button", name="Reset").click()
    expect(page.locator("#chat").get_by_label("Think first")).not_to_be_checked()
    ask(page, "and now?")
    wait_until(lambda: backend.asked[-1][2] == SamplingOptions())
    assert page.evaluate("localStorage['sightline.preferences']") is None


def test_the_status_line_goes_on_watching_and_says_aloud_only_what_is_new(
    url: str, backend: Recording, visitor: Visitor
) -> None:
    page = visitor.open(url)
    line = page.locator("#status")
    spoken = line.locator("[role=status]")
    expect(spoken).to_have_text("The model is ready.")
    page.evaluate("""() => {
      window.said = [];
      const live = document.querySelector("#status [role=status]");
      const told = {childList: true, characterData: true, subtree: true};
      new MutationObserver(() => window.said.push(live.textContent)).observe(live, told);
    }""")
    ready = backend.state
    for detail in ("Loading: 3 %", "Loading: 37 %", "server:8000 is gone. Trying again"):
        backend.state = Status("loading", detail)
        # whoever comes back to the page sees at once how things are
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(line.locator(".detail")).to_have_text(detail)
    backend.state = ready
    expect(spoken).to_have_text("The model is ready.")
    assert page.evaluate("window.said") == ["The model cannot answer yet.", "The model is ready."]


@pytest.mark.slow
def test_a_chosen_theme_is_there_from_the_first_picture_on(url: str, visitor: Visitor) -> None:
    page = visitor.open(url)
    page.emulate_media(color_scheme="light")
    body = page.locator("body")
    page.locator("#theme").click()
    page.context.add_init_script("""
      window.seen = new Set();
      const look = () => {
        if (document.body) seen.add(getComputedStyle(document.body).backgroundColor);
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    """)
    visitor.reload(page)
    page.wait_for_selector("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.evaluate("[...window.seen]") == [dark]
    expect(body).to_have_class("dark")
    # back to what the system has, which is followed from then on
    page.locator("#theme").click()
    assert page.evaluate("localStorage['sightline.theme']") is None
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        expect(body).to_have_class("dark" if scheme == "dark" else "")


@pytest.mark.slow
def test_keys_send_stop_and_begin_anew_but_not_where_they_mean_something_else(
    url: str, backend: Recording, visitor: Visitor
) -> None:
    page = visitor.open(url)
    page.keyboard.press("Alt+m")
    prompt = page.locator("#prompt textarea")
    expect(prompt).to_be_focused()
    prompt.fill("count")
    asked, closed = len(backend.asked), backend.closed
    # Enter chooses a character here
    prompt.evaluate("""box => box.dispatchEvent(new KeyboardEvent(
      "keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))""")
    expect(prompt).to_have_value("count")
    prompt.press("Control+Enter")
    expect(page.locator("#log")).to_contain_text("word word")
    assert len(backend.asked) == asked + 1
    page.locator("#preferences summary").click()
    page.locator("#preferences").get_by_label("Seed").press("Escape")
    page.locator("#keyboard").click()
    page.keyboard.press("Escape")
    expect(page.locator("#keyboard-help")).to_be_hidden()
    assert backend.closed == closed
    prompt.press("Escape")
    expect(page.locator("#log")).to_contain_text("Stopped.")
    wait_until(lambda: backend.closed == closed + 1)
    page.keyboard.press("Alt+n")
    expect(page.locator("#log .user-row")).to_have_count(0)


@pytest.mark.slow
def test_an_example_of_the_chat_runs_with_one_click_and_first_steps_are_told_once(
    url: str, visitor: Visitor
) -> None:
    page = visitor.open(url)
    show(page, "chat")
    hint = page.locator("#chat .hint")
    expect(hint).to_contain_text("New here?")
    page.locator("#log .example").first.click()
    expect(page.locator("#log")).to_contain_text("It is here")
    hint.get_by_role("button").click()
    expect(hint).to_be_hidden()
    visitor.reload(page)
    show(page, "chat")
    expect(page.locator("#prompt")).to_be_visible()
    expect(hint).to_be_hidden()


def give_answers(page: Page) -> dict[str, Callable[[], None]]:
    """Return for each tab how an answer with boxes gets there."""

    def ground() -> None:
        page.locator("#examples tbody tr").first.click()
        expect(page.locator("#grounding .findings")).to_be_visible()

    def chat() -> None:
        page.locator("#log .example").first.click()
        expect(page.locator("#log sightline-overlay")).to_be_visible()
        page.locator("#preferences summary").click()

    def act() -> None:
        page.locator("#agent-goal textarea").fill("Click on it")
        chosen = page.locator("#agent-screenshot input[type=file]")
        chosen.set_input_files(EXAMPLES[0].file)
        expect(page.locator("#agent-screenshot img")).to_be_visible()
        page.locator("#agent-start").click()
        expect(page.locator("#agent-undo")).to_be_visible()

    return {"grounding": ground, "chat": chat, "agent": act}


@pytest.mark.slow
def test_on_a_phone_every_tab_fits_and_the_message_box_is_in_sight(
    url: str, visitor: Visitor
) -> None:
    page = visitor.open(url, width=390)
    show(page, "agent")
    # nothing to take back yet
    expect(page.locator("#agent-undo")).to_be_hidden()
    for tab, answer in give_answers(page).items():
        show(page, tab)
        if tab == "chat":
            expect(page.locator("#prompt textarea")).to_be_in_viewport(ratio=1)
            expect(page.locator("#new-conversation")).to_be_in_viewport(ratio=1)
        answer()
        outside = page.locator(f"#{tab}").evaluate("""tab => {
          const controls = tab.querySelectorAll("button, input, select, textarea, summary");
          const shown = [...controls].filter((each) => each.checkVisibility());
          const off = shown.filter((each) => {
            const {left, right, width} = each.getBoundingClientRect();
            return width > 1 && (left < 0 || right > innerWidth);
          });
          const sideways = document.documentElement.scrollWidth - innerWidth;
          return [sideways, ...off.map((each) => each.outerHTML)];
        }""")
        assert outside == [0]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screen_readers_and_weak_eyes_find_no_obstacle(
    scheme: Any, url: str, visitor: Visitor
) -> None:
    page = visitor.open(url)
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("body")).to_have_class("dark" if scheme == "dark" else "")
    axe = Axe()
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}

    def check(what: str) -> None:
        # colours change by degrees
        page.wait_for_function(
            "document.getAnimations().every((each) => !(each instanceof CSSTransition))"
        )
        for found in axe.run(page, options=options).response["violations"]:
            if found["impact"] in ("serious", "critical"):
                places = [node["target"] for node in found["nodes"]]
                obstacles.append((what, found["id"], places))

    obstacles: list[tuple[str, str, Any]] = []
    show(page, "chat")
    page.locator("#prompt input[type=file]").set_input_files(EXAMPLES[0].file)
    expect(page.locator("#strip section img")).to_be_visible()
    check("chat, with a file")
    page.locator("#strip [data-move=remove]").click()
    expect(page.locator("#prompt .thumbnail-item")).to_have_count(0)
    for tab, answer in give_answers(page).items():
        show(page, tab)
        check(f"{tab}, empty")
        answer()
        check(f"{tab}, answered")
    assert obstacles == []
