"""What MCP clients get: the page's tools through the protocol's own client, over a real server."""

from __future__ import annotations

import base64
import http.client
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from typing import Any, TypeVar

import anyio
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AuthenticationError
from in_a_loop import run_in_a_loop
from loopback import Loopback
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from PIL import Image, ImageChops
from scripted_backend import BOX, END, ScriptedBackend

from model.backends.base import (
    AnswerDelta,
    BackendError,
    Event,
    Message,
    SamplingOptions,
    ThinkingDelta,
    Waiting,
)
from model.processing import Limits
from ui.api.mcp_server import MAX_CALL_BYTES, PATH

T = TypeVar("T")
Serve = Callable[..., str]
LOGIN = ("ann", "s:cret ü")


def png(width: int = 200, height: int = 100) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "PNG")
    return file.getvalue()


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


SCREEN = data_url(png())


def talk(
    url: str,
    say: Callable[[ClientSession], Awaitable[T]],
    auth: tuple[str, str] | None = None,
) -> T:
    """Return what ``say`` does with a session of the protocol's own client."""

    async def run() -> T:
        async with (
            httpx.AsyncClient(auth=auth, timeout=30) as http,
            streamable_http_client(url + PATH, http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await say(session)

    return run_in_a_loop(run)


def call(url: str, name: str, **arguments: Any) -> types.CallToolResult:
    return talk(url, lambda session: session.call_tool(name, arguments))


def failure(url: str, name: str, **arguments: Any) -> str:
    """Return the words of a call that fails."""
    result = call(url, name, **arguments)
    assert result.isError
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


SCRIPT = [ThinkingDelta("hm"), AnswerDelta(f"There: {BOX}"), END]


@pytest.fixture(scope="module")
def shared() -> ScriptedBackend:
    return ScriptedBackend(SCRIPT)


@pytest.fixture(scope="module")
def url(serve_for_all: Serve, shared: ScriptedBackend) -> str:
    """Address of a page with the tools, the same for all tests."""
    return serve_for_all(shared, mcp=True, limits=Limits(max_bytes=100_000))


@pytest.fixture
def backend(shared: ScriptedBackend) -> ScriptedBackend:
    """What answers at ``url``, not asked anything yet."""
    shared.questions.clear()
    return shared


def test_the_tools_are_locate_parse_and_chat_and_nothing_of_the_page(url: str) -> None:
    tools = talk(url, lambda session: session.list_tools()).tools
    assert [tool.name for tool in tools] == ["locate", "parse", "chat"]


def test_every_tool_says_what_it_does_takes_and_gives(url: str) -> None:
    for tool in talk(url, lambda session: session.list_tools()).tools:
        assert tool.description and len(tool.description) > 80
        assert tool.outputSchema and "boxes" in tool.outputSchema["required"]
        for argument in tool.inputSchema["properties"].values():
            assert argument["type"] and len(argument["description"]) > 15


def test_what_is_required_and_what_has_a_default(serve: Serve) -> None:
    url = serve(ScriptedBackend(), mcp=True, look_twice=True)
    tools = {tool.name: tool for tool in talk(url, lambda s: s.list_tools()).tools}
    assert tools["locate"].inputSchema["required"] == ["image", "instruction"]
    assert tools["parse"].inputSchema["required"] == ["text", "image_sizes"]
    assert tools["chat"].inputSchema["required"] == ["text"]
    arguments = tools["locate"].inputSchema["properties"]
    assert (arguments["thinking"]["default"], arguments["look_twice"]["default"]) == (False, True)


def test_locate_gives_boxes_and_the_picture(url: str) -> None:
    result = call(url, "locate", image=SCREEN, instruction="Click on Save")
    assert not result.isError
    found = result.structuredContent
    assert found is not None
    assert found["boxes"] == [
        {"xyxy": [20, 20, 60, 40], "norm": [100, 200, 300, 400], "label": None, "image": 0}
    ]
    assert (found["thinking"], found["usage"]["new_tokens"]) == ("hm", 3)
    text, picture = result.content
    assert isinstance(text, types.TextContent) and json.loads(text.text) == found
    assert isinstance(picture, types.ImageContent) and picture.mimeType == "image/png"
    drawn = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    assert (drawn.format, drawn.size) == ("PNG", (200, 100))
    plain = Image.new("RGB", drawn.size, "white")
    assert ImageChops.difference(plain, drawn.convert("RGB")).getbbox()


def test_the_instruction_reaches_the_model_as_it_is(url: str, backend: ScriptedBackend) -> None:
    call(url, "locate", image=SCREEN, instruction="Click on <Save>")
    (((_, text),),) = [[m["content"] for m in question] for question in backend.questions]
    assert text == {"type": "text", "text": "Click on <Save>"}


def test_a_client_that_asks_is_told_that_its_call_goes_on(url: str) -> None:
    told: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    arguments = {"image": SCREEN, "instruction": "Click on Save"}
    talk(url, lambda s: s.call_tool("locate", arguments, progress_callback=note))
    assert told and told == sorted(set(told))


def test_parse_reads_a_reply_and_asks_no_model(url: str, backend: ScriptedBackend) -> None:
    result = call(url, "parse", text=BOX, image_sizes=[[200, 100]])
    assert result.structuredContent is not None
    assert [box["xyxy"] for box in result.structuredContent["boxes"]] == [[20, 20, 60, 40]]
    assert result.structuredContent["convention"] == "glm"
    assert backend.questions == []


def test_parse_takes_a_model_s_name_and_the_size_it_saw(url: str) -> None:
    result = call(
        url,
        "parse",
        text='[{"bbox_2d": [10, 20, 30, 40]}]',
        image_sizes=[[200, 100]],
        convention="Qwen/Qwen2.5-VL-7B-Instruct",
        model_size=[100, 50],
    )
    assert result.structuredContent is not None
    assert result.structuredContent["boxes"][0]["xyxy"] == [20, 40, 60, 80]


def test_actions_fit_what_the_schema_promises(url: str) -> None:
    # the client checks every result against the tool's own schema
    text = "Action: click(start_box='[500,500,500,500]')"
    result = call(url, "parse", text=text, image_sizes=[[200, 100]], convention="auto")
    assert result.structuredContent is not None
    assert result.structuredContent["actions"][0]["target"] == [100, 50]


def test_chat_takes_files_and_what_was_said_before(url: str, backend: ScriptedBackend) -> None:
    result = call(
        url,
        "chat",
        text="And here?",
        files=[SCREEN, data_url(b"A note.", "text/plain")],
        history=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
    )
    assert result.structuredContent is not None
    assert result.structuredContent["answer"] == "There: [[100,200,300,400]]"
    kinds = [file["kind"] for file in result.structuredContent["attachments"]]
    assert kinds == ["image", "text"]
    assert [message["role"] for message in backend.questions[0]] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("locate", {"image": SCREEN, "instruction": " "}, "Say what to find"),
        ("locate", {"image": SCREEN}, "'instruction' is a required property"),
        ("locate", {"image": SCREEN, "instruction": "x", "thoughts": True}, "'thoughts'"),
        ("locate", {"image": "/etc/hostname", "instruction": "x"}, "give a data URL"),
        ("locate", {"image": "data:image/png;base64,x", "instruction": "x"}, "damaged"),
        ("locate", {"image": data_url(b"text"), "instruction": "x"}, "file.png"),
        ("locate", {"image": data_url(bytes(100_001)), "instruction": "x"}, "MB allowed"),
        ("parse", {"text": "x", "image_sizes": [[0, 5]]}, "image_sizes must hold"),
        ("parse", {"text": "x", "image_sizes": [[5, 5]], "convention": "pixle"}, "norm1000"),
        ("parse", {"text": "x" * 1_000_001, "image_sizes": [[5, 5]]}, "1,000,001 bytes"),
        ("chat", {"text": ""}, "Type a question"),
        ("chat", {"text": "x", "files": [SCREEN] * 11}, "takes up to 10"),
        ("chat", {"text": "x", "history": [{"role": "assistant", "content": "x"}]}, "history"),
        ("note_version", {}, "no tool 'note_version'"),
    ],
)
def test_what_cannot_be_done_is_a_tool_s_error_with_the_reason(
    url: str, backend: ScriptedBackend, name: str, arguments: dict[str, Any], words: str
) -> None:
    assert words in failure(url, name, **arguments)
    assert backend.questions == []


def test_a_model_that_cannot_answer_says_why(serve: Serve) -> None:
    url = serve(ScriptedBackend([BackendError("still loading; try again soon")]), mcp=True)
    said = failure(url, "locate", image=SCREEN, instruction="Click on Save")
    assert said == "Still loading; try again soon."


def test_files_of_servers_on_this_machine_are_not_fetched(url: str) -> None:
    with closing(Loopback()) as neighbour:
        said = failure(url, "locate", image=neighbour.origin + "/screen.png", instruction="x")
        assert "not on the public internet" in said
        assert neighbour.asked == []


def post(url: str, body: bytes = b"{}", **headers: str) -> int:
    kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, body, {**kinds, **headers})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()


def test_without_the_option_there_are_no_tools(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_MCP_SERVER", "true")  # Gradio's own, which knows no login
    assert post(serve(ScriptedBackend()) + PATH, LIST) in (404, 405)


def test_tools_answer_at_both_spellings_of_their_address(url: str) -> None:
    assert (post(url + PATH, LIST), post(url + PATH + "/", LIST)) == (200, 200)


def test_a_page_of_another_site_may_not_call(url: str) -> None:
    assert post(url + PATH, LIST, Origin=url) == 200
    assert post(url + PATH, LIST, Origin="https://elsewhere.example") == 403
    assert post(url + PATH, LIST, Origin="null") == 403


def test_a_call_that_is_too_large_is_refused(url: str) -> None:
    server = http.client.HTTPConnection(url.removeprefix("http://"))
    server.putrequest("POST", PATH)
    server.putheader("Content-Length", str(MAX_CALL_BYTES + 1))
    server.endheaders()  # and nothing of it is sent: the refusal comes before
    with closing(server):
        assert server.getresponse().status == 413


def login(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_with_a_login_nothing_answers_without_it(serve: Serve) -> None:
    backend = ScriptedBackend(SCRIPT)
    url = serve(backend, mcp=True, auth=LOGIN)
    for path in (PATH, PATH + "/"):
        assert post(url + path, LIST) == 401
        assert post(url + path, LIST, Authorization=login("ann", "wrong")) == 401
        assert post(url + path, LIST, Authorization="Basic !") == 401
        assert post(url + path, LIST, Authorization="Bearer " + login(*LOGIN)[6:]) == 401
        assert post(url + path, LIST, Authorization=login(*LOGIN)) == 200
    for path in (PATH + "/sse", PATH + "/schema", PATH + "/messages/"):
        assert post(url + path, LIST) in (404, 405)
    for name in ("parse", "locate", "chat"):
        assert post(f"{url}/gradio_api/run/{name}", b'{"data": []}') == 401
        assert post(f"{url}/gradio_api/call/{name}", b'{"data": []}') == 401
    assert post(f"{url}/gradio_api/queue/join", b'{"data": [], "fn_index": 0}') == 401
    assert backend.questions == []


def test_with_the_login_tools_work(serve: Serve) -> None:
    url = serve(ScriptedBackend(SCRIPT), mcp=True, auth=LOGIN)
    arguments = {"image": SCREEN, "instruction": "Click on Save"}
    result = talk(url, lambda session: session.call_tool("locate", arguments), LOGIN)
    assert not result.isError
    assert len(result.content) == 2


def test_with_the_login_the_http_interface_works(serve: Serve) -> None:
    url = serve(ScriptedBackend(), auth=LOGIN)
    with pytest.raises(AuthenticationError):
        Client(url, verbose=False)
    client = Client(url, verbose=False, auth=LOGIN)
    result = client.predict(BOX, [[200, 100]], api_name="/parse")
    assert [box["xyxy"] for box in result["boxes"]] == [[20, 20, 60, 40]]


class Endless(ScriptedBackend):
    """Waits in vain until the stream is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.has_ended = threading.Event()

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        tick = threading.Event()
        try:
            while True:
                self.has_begun.set()
                tick.wait(0.01)
                yield AnswerDelta("x")
                yield Waiting()
        finally:
            self.has_ended.set()


def test_the_model_stops_when_the_caller_has_gone(serve: Serve) -> None:
    backend = Endless()
    url = serve(backend, mcp=True)

    async def leave(session: ClientSession) -> None:
        async with anyio.create_task_group() as calls:
            calls.start_soon(session.call_tool, "chat", {"text": "Hi"})
            assert await anyio.to_thread.run_sync(backend.has_begun.wait, 20)
            calls.cancel_scope.cancel()

    talk(url, leave)
    assert backend.has_ended.wait(20)


def test_one_slow_answer_holds_up_no_reading(serve: Serve) -> None:
    backend = Endless()
    url = serve(backend, mcp=True)

    async def both(session: ClientSession) -> types.CallToolResult:
        async with anyio.create_task_group() as calls:
            calls.start_soon(session.call_tool, "chat", {"text": "Hi"})
            assert await anyio.to_thread.run_sync(backend.has_begun.wait, 20)
            result = await session.call_tool("parse", {"text": BOX, "image_sizes": [[200, 100]]})
            calls.cancel_scope.cancel()
        return result

    assert not talk(url, both).isError
