"""The agent at work: on the tab with a scripted model, and with the bundled model for real."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from loopback import Loopback
from opens_files import OpensFiles
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from visitor import Visitor, wait_until

import app
from model.backends.base import (
    AnswerDelta,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Status,
)
from model.backends.local import LocalBackend
from model.processing import Limits
from ui.agent.handlers import Agent, Task, export

pytestmark = [pytest.mark.browser, pytest.mark.slow]

END = Finished("stop", prompt_tokens=1, new_tokens=1, first_token_s=0.1, total_s=0.1)
STEP_S = 0.05
START_MS = 30_000  # Chromium inside Chromium's page
Serve = Callable[..., str]
# A click on a button tells the server, and shows the next buttons.
SHOP = """<!doctype html><meta charset="utf-8"><title>Shop</title><style>
body { margin: 0; background: #f4f4f6; font: 15px "DejaVu Sans", sans-serif; color: #1b1b1f }
header { background: #00695c; color: #fff; font-size: 17px; line-height: 46px; padding: 0 14px }
main { padding: 14px; display: flex; flex-direction: column; gap: 14px; align-items: flex-start }
button { font: inherit; padding: 9px 18px; border: 0; border-radius: 6px; background: #00695c;
         color: #fff }
</style><header></header><main id="m"></main><script>
const screens = {Orders: ["New order", "History", "Settings"],
  "New order": ["Pizza", "Coffee", "Salad"], Coffee: ["Confirm", "Cancel"], Confirm: []};
function show(name) {
  document.querySelector("header").textContent = name;
  m.replaceChildren(...screens[name].map((label) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.onclick = () => {
      fetch("/clicked", {method: "POST", body: label});
      if (screens[label]) show(label);
    };
    return button;
  }));
}
show("Orders");
</script>"""


@dataclass
class Points(OpensFiles):
    """Always clicks at one place, or talks for ever."""

    answer: str = ""
    name: str = "Points"
    closed: int = 0

    def status(self) -> Status:
        return Status("ready", "Ready")

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        try:
            while not self.answer:
                yield AnswerDelta("word ")
                time.sleep(STEP_S)
            yield AnswerDelta(self.answer)
            yield END
        finally:
            self.closed += 1


@pytest.fixture
def shop() -> Iterator[Loopback]:
    shop = Loopback(lambda path: (200, {}, SHOP))
    yield shop
    shop.close()


def start_live(page: Page, goal: str) -> None:
    page.get_by_role("tab", name="Agent").click()
    page.locator("#agent-goal textarea").fill(goal)
    page.locator("#live-start").click()


def test_a_live_run_is_shown_step_by_step_and_its_report_opens(
    serve: Serve, visitor: Visitor, browser: Browser, shop: Loopback, tmp_path: Path
) -> None:
    backend = Points("[[30,196,302,254]]")  # the first button
    page = visitor.open(serve(backend, agent_by_instruction=True, browser_origins=[shop.origin]))
    start_live(page, "Click on New order\nClick on Pizza")
    expect(page.locator("#agent-notice")).to_contain_text("The run is done.", timeout=START_MS)
    assert shop.posted == ["New order", "Pizza"]
    expect(page.locator("#agent-steps .thumbnail-lg")).to_have_count(3)  # and how it ended
    expect(page.locator("#agent-details")).to_contain_text("2. Click on Pizza")
    expect(page.locator("#agent-picture [data-target='1']").first).to_be_visible()
    expect(page.locator("#live-start")).to_be_visible()

    page.locator("#agent-export").click()
    with page.expect_download() as download:
        page.locator("#agent-files a", has_text="KB").first.click()
    report = browser.new_page()
    download.value.save_as(tmp_path / "report.html")
    report.goto((tmp_path / "report.html").as_uri())
    expect(report.locator("section h2")).to_have_text(
        ["Step 1: Click on New order", "Step 2: Click on Pizza", "After the last step"]
    )
    widths = report.locator("img").evaluate_all("images => images.map(i => i.naturalWidth)")
    assert widths == [448, 448, 448]
    # what is drawn over a screenshot fits only if it keeps its shape
    shapes = report.locator("img").evaluate_all(
        "images => images.map(i => i.clientWidth / i.clientHeight - 448 / 336)"
    )
    assert max(abs(shape) for shape in shapes) < 0.01
    report.close()


def wait_for_steps(page: Page, number: int) -> None:
    """Wait until so many steps are shown; a refusal, which says why, fails at once."""
    steps, notice = page.locator("#agent-steps .thumbnail-lg"), page.locator("#agent-notice")
    wait_until(lambda: steps.count() == number or "".join(notice.all_inner_texts()).strip())
    assert "".join(notice.all_inner_texts()).strip() == ""


def upload(page: Page, path: Path) -> None:
    page.locator("#agent-screenshot input[type=file]").set_input_files(path)
    expect(page.locator("#agent-screenshot img")).to_be_visible()


def test_steps_are_taken_on_uploaded_screenshots_and_taken_back(
    serve: Serve, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.open(
        serve(Points("I click it. left_click(start_box='[500,500]')\nMemory:\n[7]"))
    )
    page.get_by_role("tab", name="Agent").click()
    page.locator("#agent-goal textarea").fill("Order a <b>coffee</b>")
    for number, colour in enumerate(("white", "grey"), 1):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (200, 100), colour).save(path)
        if number > 1:
            page.locator("#agent-screenshot").get_by_label("Remove Image").click()
        upload(page, path)
        page.locator("#agent-start").click()
        wait_for_steps(page, number)
        expect(page.locator("#agent-start")).to_be_visible()
    for words in ("I click it.", "[7]", "left_click(start_box='[500,500]') at 100, 50"):
        expect(page.locator("#agent-details")).to_contain_text(words)
    page.locator("#agent-export").click()
    expect(page.locator("#agent-files a").first).to_be_visible()
    page.locator("#agent-undo").click()
    expect(page.locator("#agent-steps .thumbnail-lg")).to_have_count(1)
    expect(page.locator("#agent-files")).to_be_hidden()  # they are about what was before
    page.locator("#agent-export").click()
    expect(page.locator("#agent-files a").first).to_be_visible()
    page.locator("#agent-start").click()
    expect(page.locator("#agent-files")).to_be_hidden()
    expect(page.locator("#agent-steps .thumbnail-lg")).to_have_count(2)
    page.locator("#agent-new").click()
    expect(page.locator("#agent-steps")).to_be_hidden()
    expect(page.locator("#agent-goal textarea")).to_have_value("Order a <b>coffee</b>")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_stop_ends_a_live_run_and_its_browser(
    serve: Serve, visitor: Visitor, shop: Loopback
) -> None:
    backend = Points()
    page = visitor.open(serve(backend, agent_by_instruction=True, browser_origins=[shop.origin]))
    start_live(page, "Click on New order")
    expect(page.locator("#agent-details")).to_contain_text("word word", timeout=START_MS)
    workers = [
        child
        for child in psutil.Process().children()
        if "agent.worker" in " ".join(child.cmdline())
    ]
    assert len(workers) == 1
    page.locator("#live-stop").click()
    expect(page.locator("#agent-notice")).to_contain_text("Stopped.")
    wait_until(lambda: backend.closed == 1)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    expect(page.locator("#live-start")).to_be_visible()


def test_the_bundled_model_orders_a_coffee_with_three_clicks(
    shop: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    backend = LocalBackend(
        app.check_model(app.BUNDLED), name="Bundled", num_threads=app.BUNDLED_THREADS
    )
    while backend.status().state == "loading":
        time.sleep(0.05)
    task = Task("pc", True, "Click on New order\nClick on Coffee\nClick on Confirm", False)
    live = Agent(backend, SamplingOptions(), Limits(), [shop.origin]).live(
        task, shop.origin, (448, 336), 5
    )
    *_, end = (view for view in live if view is not None)
    assert end.notice == "The run is done."
    assert shop.posted == ["New order", "Coffee", "Confirm"]

    report = browser.new_page()
    report.goto(Path(export(end.shown)[0]).as_uri())
    expect(report.locator("section h2")).to_have_count(4)
    report.close()
