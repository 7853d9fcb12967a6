"""What an answer shows and leads to: clips, pages, HTML, code and formulas; screenshots."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from loopback import Loopback
from media_files import make_clip, make_image, make_pdf
from playwright.sync_api import Locator, Page, expect
from scripted_backend import END, ScriptedBackend
from visitor import Visitor

from grounding import parse
from grounding.evaluation.metrics import iou, is_inside
from model.backends.base import AnswerDelta, Event, Message, SamplingOptions
from ui import answering

pytestmark = pytest.mark.browser

CLIP = Path(__file__).parents[1] / "data" / "clips" / "plain.webm"  # three seconds
PIECES = 60  # of an answer
FILES = (
    "It begins at 0:02 in plain.webm, at 1 second in old.mp4, never at 9:00. "
    "See `page 1`, page 2: [[100,100,500,500]] (page 2), and page 3."
)
BOXES = "[[100,200,400,700]] and [[600,200,900,700]] and <point>900 900</point>"
TORTURE = r"""a < b and c > d, <think>a thought</think>, <b>raw</b>, &lt; and $HOME for $5.

1. In a list:
   ```html
   <b>bold</b> &amp;
   ```
2. And deeper:
    - ~~~python
      if x:
      TABprint("<tab>")
      ~~~

> ```c
> <quoted>
> ```

| op | meaning |
|----|---------|
| `a || b` | or, $|x|$ |
| `<b>` | one | too many |

$$
x_1^2
$$

Inline \(p<q\), \[ r_1 \] and $s_1$; not `\(t\)`.

[note]: stays

```make
all:
TABecho "$$HOME"TAB# <tag>
TAB  tail
```

- one
  - two
    - three

```text
<unclosed> $$ \[
""".replace("TAB", "\t")
SHOWN = [
    "a < b and c > d, <think>a thought</think>, <b>raw</b>, &lt; and $HOME for $5.",
    "<b>bold</b> &amp;",
    'if x:\n\tprint("<tab>")',
    "<quoted>",
    "a || b",
    "too many",
    "not \\(t\\).",
    "[note]: stays",
    'all:\n\techo "$$HOME"\t# <tag>\n\t  tail',
    "<unclosed> $$ \\[",
]
FORMULAS = ["|x|", "x_1^2", "p<q", "r_1", "s_1"]
# What a page may try; {url} is a server that must hear nothing.
HOSTILE = """<!doctype html><html><head>
<link rel="stylesheet" href="{url}/css"><link rel="prefetch" href="{url}/prefetch">
<style>body {{ background: url({url}/background) }}
@import "{url}/import"; p {{ color: red }}</style>
</head><body><p id="shown">Shown</p><img src="{url}/img" onerror="window.ran = 1">
<iframe src="{url}/frame"></iframe><object data="{url}/object"></object>
<a id="top" target="_top" href="{url}/top">top</a><a id="out" href="{url}/out">out</a>
<button id="self" onclick="leave()">self</button>
<form action="{url}/form"><button id="send">send</button></form>
<script>
const did = [];
const attempt = (name, how) => {{
  try {{ how(); did.push(name); }} catch {{ did.push("not " + name); }}
}};
attempt("page", () => top.document.title);
attempt("parent", () => parent.parent.document.title);
attempt("cookie", () => document.cookie);
attempt("storage", () => localStorage.length);
attempt("database", () => indexedDB.open("x"));
attempt("top", () => {{ top.location = "{url}/navigated"; }});
attempt("window", () => {{ if (!window.open("{url}/popup")) throw 0; }});
fetch("{url}/fetch").then(() => did.push("fetch"), () => did.push("not fetch")).then(() => {{
  document.getElementById("shown").textContent = did.join(", ");
}});
new WebSocket("{url}/socket".replace("http", "ws")).onerror = () => 0;
navigator.sendBeacon("{url}/beacon", "x");
const leave = () => {{
  const refresh = '<meta http-equiv="refresh" content="0; url={url}/refresh">';
  document.head.insertAdjacentHTML("beforeend", refresh);
  location = "{url}/self";
}};
</script></body></html>"""


@dataclass
class Answers(ScriptedBackend):
    """Answers each question with what ``answers`` has for it, in small pieces."""

    answers: dict[str, str] = field(default_factory=dict)

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        answer = self.answers[messages[-1]["content"][-1]["text"]]
        size = len(answer) // PIECES + 1
        for start in range(0, len(answer), size):
            yield AnswerDelta(answer[start : start + size])
        yield END


@pytest.fixture(scope="module")
def heard() -> Iterator[Loopback]:
    """Yield a server that nothing may reach."""
    server = Loopback()
    yield server
    server.close()


@pytest.fixture(scope="module")
def url(serve_for_all: Callable[..., str], heard: Loopback) -> Iterator[str]:
    hostile = HOSTILE.format(url=heard.origin)
    answers = {
        "Boxes?": BOXES,
        "Files?": FILES,
        "Torture": TORTURE,
        "Hostile": f"Here:\n```html\n{hostile}\n```",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answering, "MIN_INTERVAL_S", 0.0)
        yield serve_for_all(Answers(answers=answers))


def ask(page: Page, text: str, *files: str) -> Locator:
    """Ask in the chat; return the answer once it is complete."""
    page.get_by_role("tab", name="Chat").click()
    if files:
        page.locator("#prompt input[type=file]").set_input_files(list(files))
        expect(page.locator("#prompt .thumbnail-item")).to_have_count(len(files))
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt textarea").press("Enter")
    expect(page.locator("#log [data-act]").first).to_be_enabled(timeout=60_000)
    return page.locator("#log .bot-row .message").first


@pytest.mark.slow
def test_times_seek_the_clip_and_pages_open(url: str, visitor: Visitor, tmp_path: Path) -> None:
    files = [str(CLIP), make_clip(tmp_path / "old.mp4"), make_pdf(tmp_path / "report.pdf")]
    page = visitor.open(url)
    answer = ask(page, "Files?", *files)
    links = answer.locator("a:is([href^='#time-'], [href^='#page-'])")
    expect(links).to_have_text(["0:02", "1 second", "page 2", "page 2", "page 3"])
    media = page.locator("#log sightline-media")
    player = media.nth(0).locator("video")
    links.nth(0).focus()
    page.keyboard.press("Enter")
    expect(player).to_be_focused()
    assert player.evaluate("v => v.currentTime") == 2
    # a container that browsers do not play: its frames
    expect(media.nth(1).locator("video")).to_be_hidden()
    expect(media.nth(1).locator("button")).not_to_have_count(0)
    links.nth(1).click()
    viewer = page.get_by_role("dialog")
    expect(viewer.locator("h2")).to_have_text("old.mp4, 0:01.0")
    viewer.get_by_role("button", name="Close").click()
    expect(viewer).to_have_count(0)
    links.nth(2).click()
    expect(viewer.locator("h2")).to_have_text("report.pdf, page 2")
    expect(viewer.locator(".target")).to_have_count(1)
    page.keyboard.press("PageDown")
    expect(viewer.locator("h2")).to_have_text("report.pdf, page 3")
    expect(viewer.locator(".target")).to_have_count(0)
    expect(viewer.get_by_role("button", name="Next", exact=True)).to_be_disabled()
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    media.nth(2).get_by_role("button", name="Open report.pdf, page 1").click()
    expect(viewer.locator("img")).to_be_visible()
    assert viewer.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") > 100
    assert page.url.startswith(url) and "#" not in page.url


@pytest.mark.slow
def test_html_of_an_answer_can_do_nothing_but_show(
    url: str, visitor: Visitor, heard: Loopback
) -> None:
    page = visitor.open(url)
    page.context.add_cookies([{"name": "secret", "value": "1", "url": url}])
    popups: list[Page] = []
    page.on("popup", lambda popup: popups.append(popup))
    answer = ask(page, "Hostile")
    assert 'id="shown"' in answer.locator("code.language-html").inner_text()
    heard.asked.clear()
    heard.posted.clear()
    page.get_by_role("button", name="Preview").click()
    inner = page.locator("sightline-preview iframe").content_frame.locator("iframe").content_frame
    shown = inner.locator("#shown")
    expect(shown).to_have_text("Shown")
    expect(shown).to_have_css("color", "rgb(255, 0, 0)")
    for target in ("#top", "#send"):
        inner.locator(target).click()
    page.get_by_label("Run scripts").check()
    expect(shown).to_have_text(
        "not page, not parent, not cookie, not storage, not database, not top, not window, "
        "not fetch"
    )
    inner.locator("#self").click()
    page.wait_for_timeout(500)  # for what it does later
    assert heard.asked == heard.posted == []
    assert popups == []
    assert page.url.startswith(url)
    visitor.complaints.clear()  # the browser's, about each attempt


@pytest.mark.slow
def test_nothing_of_an_answer_is_lost_while_it_comes(url: str, visitor: Visitor) -> None:
    page = visitor.open(url)
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const text = document.querySelector("#log .bot-row .message")?.textContent ?? "";
                if (text !== seen.at(-1)) seen.push(text);
            }).observe(document.body, {childList: true, subtree: true, characterData: true});
        }"""
    )
    answer = ask(page, "Torture")
    expect(answer).to_contain_text(SHOWN[-1])
    text = answer.evaluate("e => e.textContent")
    for piece in SHOWN:
        assert piece in text
    formulas = answer.locator("annotation").evaluate_all("all => all.map((e) => e.textContent)")
    assert [formula.strip("\n ") for formula in formulas] == FORMULAS
    assert answer.locator("ol > li").count() == 2
    assert answer.locator("ul ul ul").count() == 1
    assert "⁣" not in text  # the mark
    # what was there once stays, to its last word
    seen: list[str] = page.evaluate("window.seen")
    assert len(seen) > 8
    for words in ("raw", "thought", "bold", "quoted", "meaning", "note"):
        first = next(i for i, text in enumerate(seen) if words in text)
        assert all(words in text for text in seen[first:])
    assert not any(re.search(r"\\<|\\&|⁣\t", text) for text in seen)


@contextmanager
def sharing(page: Page, width: int, height: int) -> Iterator[None]:
    """Let the page have a screen of this size, and check that it is let go."""
    page.evaluate(
        """([width, height]) => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [width, height];
            const context = canvas.getContext("2d");
            setInterval(() => {
                context.fillStyle = "magenta";
                context.fillRect(0, 0, width, height);
            }, 20);
            navigator.mediaDevices.getDisplayMedia = async () => {
                window.shared = canvas.captureStream(30);
                return shared;
            };
        }""",
        [width, height],
    )
    yield
    assert page.evaluate("shared.getTracks().every((track) => track.readyState === 'ended')")


def test_a_screenshot_is_attached_whole_and_a_change_of_mind_is_silent(
    url: str, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.open(url)
    button = page.get_by_role("button", name="Take a screenshot")
    page.evaluate(
        """() => { navigator.mediaDevices.getDisplayMedia = () =>
            Promise.reject(new DOMException("no", "NotAllowedError")); }"""
    )
    button.first.click()
    with sharing(page, 1234, 567):
        button.first.click()
        picture = page.locator("#screenshot img")
        expect(picture).to_be_visible()
    assert picture.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [1234, 567]
    page.get_by_role("tab", name="Chat").click()
    file = make_image(tmp_path / "first.png")
    page.locator("#prompt input[type=file]").set_input_files(file)
    page.locator("#prompt textarea").fill("half a sen")
    expect(page.locator("#strip section")).to_have_count(1)
    with sharing(page, 1234, 567):
        page.locator("#chat .capture button").click()
        expect(page.locator("#prompt .thumbnail-item")).to_have_count(2)
        expect(page.locator("#strip section")).to_have_count(2)
    expect(page.locator("#strip")).to_contain_text("1234")
    expect(page.locator("#prompt textarea")).to_have_value("half a sen")


def test_without_a_way_to_take_one_there_is_no_button(url: str, visitor: Visitor) -> None:
    page = visitor.open(url)
    page.context.add_init_script("delete MediaDevices.prototype.getDisplayMedia")
    visitor.reload(page)
    page.wait_for_selector("#start")
    assert page.get_by_role("button", name="Take a screenshot").count() == 0


@pytest.mark.slow
def test_what_was_found_is_held_against_the_true_box_by_the_rules_of_the_benchmarks(
    url: str, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.open(url)
    file = make_image(tmp_path / "screen.png", (400, 200))
    page.locator("#screenshot input[type=file]").set_input_files(file)
    expect(page.locator("#screenshot img")).to_be_visible()
    page.locator("#instruction textarea").fill("Boxes?")
    page.locator("#start").click()
    expect(page.locator("#table tbody tr")).to_have_count(3)
    overlay = page.locator("#picture sightline-overlay")
    overlay.get_by_role("button", name="Draw the true box").click()
    stage = overlay.locator(".stage")
    scale = stage.evaluate("e => e.clientWidth") / 400
    stage.hover(position={"x": 60 * scale, "y": 50 * scale})
    page.mouse.down()
    stage.hover(position={"x": 200 * scale, "y": 150 * scale})
    page.mouse.up()
    fields = overlay.locator(".truth input")
    drawn = [float(field.input_value()) for field in fields.all()]
    assert drawn == pytest.approx([60, 50, 200, 150], abs=1)
    assert overlay.locator(".target[aria-pressed=true]").count() == 0
    for number, entry in zip((50, 30, 170, 200), fields.all(), strict=True):
        entry.fill(str(number))
    truth = (50, 30, 170, 200)
    result = parse(BOXES, image_sizes=[(400, 200)])
    says = overlay.get_by_role("status", name="Against the true box").locator("li")
    expected = [
        f"#{n}: a {'hit' if is_inside(box.center, truth) else 'miss'}, the middle is "
        f"{'inside' if is_inside(box.center, truth) else 'outside'}; "
        f"IoU {iou(box.xyxy, truth):.3f}"
        for n, box in enumerate(result.boxes, 1)
    ]
    assert "a hit" in expected[0] and "a miss" in expected[1]
    expect(says).to_have_text([*expected, "#3: a miss, the point is outside"])
