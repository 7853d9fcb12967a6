"""The live page does what it is told, reaches nothing but the allowed origins, and ends at once."""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from loopback import Loopback

from agent.browser import BrowserError, LivePage
from agent.commands import Command
from agent.deciding import Screen

pytestmark = [pytest.mark.browser, pytest.mark.slow]

T = TypeVar("T")
SIZE = (320, 240)
MIDDLE = Command("click", (160.0, 120.0))
# one element over the whole page: a click anywhere is a click on it
WHOLE = "position:fixed;inset:0"


def finish(waiting: Generator[None, None, T]) -> T:
    while True:
        try:
            next(waiting)
        except StopIteration as end:
            return end.value


class Visit:
    """A live page on a server whose pages a test can choose."""

    def __init__(self) -> None:
        self.body, self.pages = "", {}
        self.home = Loopback(lambda path: self.pages.get(path, (200, {}, self.body)))
        self.friend = Loopback()
        origins = [self.home.origin, self.friend.origin]
        self.page = LivePage(self.home.origin, origins=origins, viewport=SIZE)
        finish(self.page.open())

    def open(self, body: str, **pages: tuple[int, dict[str, str], str]) -> Screen:
        """Show ``body``; ``pages`` are answers of other paths."""
        self.body, self.pages = body, {f"/{name}": answer for name, answer in pages.items()}
        return self.do(Command("home"))

    def do(self, *commands: Command) -> Screen:
        return finish(self.page.perform(commands))

    def close(self) -> None:
        self.page.close()
        self.home.close()
        self.friend.close()


@pytest.fixture(scope="module")
def visit() -> Iterator[Visit]:
    """One browser for all tests here: starting it takes longer than most of them."""
    visit = Visit()
    yield visit
    visit.close()


@pytest.fixture
def evil() -> Iterator[Loopback]:
    """A server that nothing may reach."""
    evil = Loopback()
    yield evil
    evil.close()


PAGE = """<body style="margin:0"><input autofocus placeholder="Name" id="i"
 style="position:absolute;left:10px;top:10px;width:100px;height:20px">
<button style="position:absolute;left:10px;top:50px;width:80px;height:30px">Save</button>
<p id="far" style="position:absolute;top:2000px">far</p>
<script>
const say = (text) => fetch("/said", {method: "POST", body: text});
for (const kind of ["click", "dblclick", "contextmenu", "mouseup", "mousedown"])
  document.addEventListener(kind, (e) =>
    say(`${kind} ${e.button} ${e.clientX},${e.clientY}`));
document.addEventListener("keydown", (e) => say(`key ${e.ctrlKey ? "ctrl+" : ""}${e.key}`));
i.addEventListener("input", () => say(`value ${i.value}`));
i.addEventListener("mouseenter", () => say("enter"));
document.addEventListener("scroll", () => say(`scroll ${scrollY > 0}`));
</script>"""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Command("click", (20, 60)), "click 0 20,60"),
        (Command("click", (20, 60), count=2), "dblclick 0 20,60"),
        (Command("click", (20, 60), button="right"), "contextmenu 2 20,60"),
        (Command("click", (20, 60), button="middle"), "mouseup 1 20,60"),
        (Command("move", (20, 20)), "enter"),
        (Command("drag", (20, 60), (120, 160)), "mouseup 0 120,160"),
        (Command("scroll", (160, 200), delta=(0, 200)), "scroll true"),
        (Command("type", text="Ada"), "value Ada"),
        (Command("press", text="Control+b"), "key ctrl+b"),
    ],
)
def test_a_command_reaches_the_page(visit: Visit, command: Command, said: str) -> None:
    visit.open(PAGE)
    visit.home.posted.clear()
    visit.do(command)
    assert said in visit.home.posted


def test_the_screen_has_the_pages_pixels_and_what_can_be_used_on_it(visit: Visit) -> None:
    screen = visit.open(PAGE)
    assert screen.image.size == SIZE
    assert screen.address == f"{visit.home.origin}/"
    assert [(mark.tag, mark.text) for mark in screen.marks] == [
        ("input", "Name"),
        ("button", "Save"),
    ]
    assert screen.marks[1].box == (10, 50, 90, 80)
    assert screen.notes == ()


def test_back_and_home_lead_to_the_pages_before(visit: Visit) -> None:
    visit.open(f'<a href="/next" style="{WHOLE}"></a>')
    assert visit.do(MIDDLE).address.endswith("/next")
    assert visit.do(Command("back")).address == f"{visit.home.origin}/"
    visit.do(MIDDLE)
    assert visit.do(Command("home")).address == f"{visit.home.origin}/"


WAYS_OUT = {
    "link": '<a href="{evil}/link" style="{whole}"></a>',
    "script": "<script>onclick = () => location.href = '{evil}/script'</script>",
    "redirect": '<a href="/redirect" style="{whole}"></a>',
    "form": '<form action="{evil}/form"><button style="{whole}">Go</button></form>',
    "fetch": "<script>onclick = () => fetch('{evil}/fetch', {{mode: 'no-cors'}})</script>",
    "redirected fetch": "<script>onclick = () => fetch('/redirect', {{mode: 'no-cors'}})</script>",
    "beacon": "<script>onclick = () => navigator.sendBeacon('{evil}/beacon', 'x')</script>",
    "image": "<script>onclick = () => new Image().src = '{evil}/image'</script>",
    "frame": '<iframe src="{evil}/frame"></iframe>',
    "popup": "<script>onclick = () => open('{evil}/popup')</script>",
    "popup link": '<a href="{evil}/blank" target="_blank" style="{whole}"></a>',
    "socket": "<script>onclick = () => new WebSocket('{evil_socket}/socket')</script>",
    "worker": "<script>onclick = () => new Worker(URL.createObjectURL(new Blob("
    "[`fetch('{evil}/worker', {{mode: 'no-cors'}})`])))</script>",
    "refresh": '<meta http-equiv="refresh" content="0;url={evil}/refresh">',
    "prefetch": '<link rel="prefetch" href="{evil}/prefetch">',
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_leads_to_another_server(visit: Visit, evil: Loopback, way: str) -> None:
    body = WAYS_OUT[way].format(
        evil=evil.origin, evil_socket=evil.origin.replace("http", "ws"), whole=WHOLE
    )
    before = visit.open(body, redirect=(302, {"Location": f"{evil.origin}/redirect"}, ""))
    after = visit.do(MIDDLE)
    assert (evil.asked, evil.posted) == ([], [])
    # a page that leads away by itself may be impossible to return to
    assert after.address.startswith((visit.home.origin, "about:blank"))
    assert way == "refresh" or after.address != "about:blank"
    # a frame and a refresh do not wait for the click
    told = " ".join([*before.notes, *after.notes])
    assert evil.origin.partition("://")[2] in told


def test_the_same_ways_are_open_to_an_allowed_server(visit: Visit) -> None:
    friend = visit.friend
    screen = visit.open(
        f'<a href="/redirect" style="{WHOLE}"></a><img src="{friend.origin}/image">'
        f"<script>new WebSocket('{friend.origin.replace('http', 'ws')}/socket')</script>",
        redirect=(302, {"Location": f"{friend.origin}/redirected"}, ""),
    )
    assert screen.notes == ()
    after = visit.do(MIDDLE)
    assert after.address == f"{friend.origin}/redirected"
    assert {"/image", "/socket", "/redirected"} <= set(friend.asked)


def test_a_download_is_refused_and_told(visit: Visit) -> None:
    headers = {"Content-Disposition": "attachment; filename=x.bin"}
    visit.open(f'<a href="/file" style="{WHOLE}"></a>', file=(200, headers, "x"))
    after = visit.do(MIDDLE)
    assert "A download was refused." in after.notes
    assert after.address == f"{visit.home.origin}/"


@pytest.mark.parametrize(
    "script", ["location = 'file:///etc/passwd'", "location = 'chrome://gpu'", "alert('hm')"]
)
def test_the_page_stays_where_it_is(visit: Visit, script: str) -> None:
    visit.open(f'<script>onclick = () => {{ {script} }}</script><div style="{WHOLE}"></div>')
    assert visit.do(MIDDLE).address == f"{visit.home.origin}/"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1", "file:///etc/passwd", "", "javascript:1"]
)
def test_a_run_does_not_begin_elsewhere(address: str) -> None:
    with pytest.raises(BrowserError, match="allowed: addresses that begin with http://127"):
        LivePage(address, origins=["http://127.0.0.1:8000"], viewport=SIZE)


def test_a_server_that_is_not_there_is_told() -> None:
    origin = "http://127.0.0.1:1"
    with closing(LivePage(origin, origins=[origin], viewport=SIZE)) as page:
        screen = finish(page.open())
    assert any(origin in note for note in screen.notes)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playwright").mkdir()
    (tmp_path / "playwright" / "__init__.py").touch()  # found first, and empty
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    page = LivePage("http://127.0.0.1:1", origins=["http://127.0.0.1:1"], viewport=SIZE)
    with closing(page), pytest.raises(BrowserError, match="pip install playwright"):
        finish(page.open())


def test_a_missing_browser_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    page = LivePage("http://127.0.0.1:1", origins=["http://127.0.0.1:1"], viewport=SIZE)
    with closing(page), pytest.raises(BrowserError, match="apt-get install chromium"):
        finish(page.open())


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


BUSY = "<script>onclick = () => { while (true); }</script>"


def test_a_busy_page_ends_the_step_and_closing_ends_its_browser() -> None:
    home = Loopback(lambda path: (200, {}, f'{BUSY}<div style="{WHOLE}"></div>'))
    page = LivePage(home.origin, origins=[home.origin], viewport=SIZE, step_timeout_s=3)
    with closing(page), closing(home):
        finish(page.open())
        children = psutil.Process(page.pid).children(recursive=True)
        assert any("chrom" in child.name() for child in children)
        with pytest.raises(BrowserError, match="longer than 3 s"):
            finish(page.perform([MIDDLE]))
        page.close()
        assert [child for child in children if lives(child)] == []


@pytest.mark.parametrize(
    "script",
    [
        "const peer = new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:PORT'}]});"
        "peer.createDataChannel('x');"
        "peer.createOffer().then((offer) => peer.setLocalDescription(offer));",
        "new WebTransport('https://127.0.0.1:PORT/')",
    ],
)
def test_no_datagram_leaves_either(visit: Visit, script: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        port = str(elsewhere.getsockname()[1])
        visit.open(f"<script>{script.replace('PORT', port)}</script>")
        visit.do(Command("wait", hold_s=1))
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.recv(99)
