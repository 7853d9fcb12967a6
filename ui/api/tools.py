"""What MCP clients can call: ``locate``, ``parse`` and ``chat``, and how each is described."""

from __future__ import annotations

import json
import logging
import math
import time
from base64 import b64encode
from collections.abc import Generator
from contextlib import closing
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import anyio
import gradio as gr
from anyio.to_thread import run_sync
from mcp import types
from mcp.server.lowlevel import Server

from grounding import CONVENTIONS
from model.backends.base import ChatBackend
from ui.answering import Refused
from ui.api.parsing import read_reply
from ui.api.received import receive_file
from ui.api.schemas import array, describe, findings, options, size
from ui.chat.attaching import MAX_FILES
from ui.chat.http_api import ChatCall
from ui.locate.handlers import Locate
from ui.settings import PageSettings
from ui.visitors.admission import admit
from ui.visitors.visitor import asking_as, identify
from ui.wiring import questions_at_once

logger = logging.getLogger(__name__)

NAME = "Sightline"
PARSING_AT_ONCE = 2
PROGRESS_INTERVAL_S = 1.0
FILE = "as a data URL (data:image/png;base64,...) or an http(s) address on the public web"


class _Progress:
    """Tells a client that asked for it that its call goes on, so that it does not give up."""

    def __init__(self, server: Server[Any, Any]) -> None:
        self._context = server.request_context
        self._reports = 0
        self._last = -math.inf

    async def report(self) -> None:
        """Say that there was another step, if that was not said just now."""
        meta, now = self._context.meta, time.monotonic()
        if meta is None or meta.progressToken is None or now - self._last < PROGRESS_INTERVAL_S:
            return
        self._last = now
        self._reports += 1
        await self._context.session.send_progress_notification(
            meta.progressToken,
            self._reports,
            message="Answering",
            related_request_id=str(self._context.request_id),
        )


class _Call(NamedTuple):
    given: dict[str, Any]  # arguments, with the defaults of those left out
    folder: str  # for its files, until it ends
    progress: _Progress


class Tools:
    """The tools of one page; nothing of a call is kept."""

    def __init__(self, backend: ChatBackend, settings: PageSettings, user: str = "") -> None:
        """
        Args:
            user: the name that all callers have logged in with.
        """
        backend = admit(backend, settings)
        self._user = user
        self._locate = Locate(backend, settings.options, settings.limits)
        self._chat = ChatCall(backend, settings.options, settings.limits)
        self._settings = settings
        # as many as on the page, where they wait in the same line
        places = questions_at_once(settings)
        self._places = anyio.CapacityLimiter(places)
        # threads of their own: those that wait for the model must not take the page's
        self._threads = anyio.CapacityLimiter(places + PARSING_AT_ONCE)

    def make_server(self) -> Server[Any, Any]:
        """Return a server that offers the tools."""
        server: Server[Any, Any] = Server(NAME)
        tools = {tool.name: tool for tool in describe_tools(self._settings)}
        calls = {"locate": self._call_locate, "parse": self._call_parse, "chat": self._call_chat}

        @server.list_tools()
        async def list_tools() -> list[types.Tool]:
            return [*tools.values()]

        @server.call_tool()
        async def call_tool(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
            try:
                if name not in calls:
                    raise Refused(f"There is no tool {name[:80]!r}; there are {', '.join(calls)}.")
                request = server.request_context.request
                client = request.client if request is not None else None
                visitor = identify(self._user, client.host if client else None)
                with TemporaryDirectory(prefix="sightline-") as folder, asking_as(visitor):
                    call = _Call(_defaults(tools[name]) | arguments, folder, _Progress(server))
                    return await calls[name](call)
            except Refused as problem:
                return _failure(str(problem))
            except gr.Error as problem:
                return _failure(problem.message)
            except Exception:
                logger.exception("the call of %s failed", name)
                return _failure("Something went wrong. The server's log has the details.")

        return server

    async def _call_locate(self, call: _Call) -> types.CallToolResult:
        given = call.given
        async with self._places:
            image = await receive_file(given["image"], call.folder, self._settings.limits.max_bytes)
            steps = self._locate.call(
                image, given["instruction"], given["thinking"], given["look_twice"]
            )
            result, picture = await self._finish(steps, call.progress)
        content = b64encode(await anyio.Path(picture).read_bytes()).decode()
        return _success(
            result, types.ImageContent(type="image", data=content, mimeType="image/png")
        )

    async def _call_parse(self, call: _Call) -> types.CallToolResult:
        given = call.given
        read = partial(
            read_reply,
            given["text"],
            given["image_sizes"],
            given["convention"],
            given.get("model_size"),
        )
        return _success(await run_sync(read, limiter=self._threads))

    async def _call_chat(self, call: _Call) -> types.CallToolResult:
        given = call.given
        files, most = given["files"], self._settings.limits.max_bytes
        if len(files) > MAX_FILES:
            raise Refused(f"{len(files)} files are given; a message takes up to {MAX_FILES}.")
        async with self._places:
            paths = [await receive_file(file, call.folder, most) for file in files]
            message = {"text": given["text"], "files": paths}
            steps = self._chat.call(
                message, given["history"], given["thinking"], given.get("pages")
            )
            return _success(await self._finish(steps, call.progress))

    async def _finish(self, steps: Generator[Any, None, None], progress: _Progress) -> Any:
        """Return the last step; when the caller has gone, the work ends before the next one."""
        last = None
        with closing(steps):
            while (step := await run_sync(next, steps, None, limiter=self._threads)) is not None:
                last = step
                await progress.report()
        return last


def _defaults(tool: types.Tool) -> dict[str, Any]:
    properties = tool.inputSchema["properties"].items()
    return {name: rule["default"] for name, rule in properties if "default" in rule}


def describe_tools(settings: PageSettings) -> list[types.Tool]:
    """Return names, descriptions and schemas of the tools."""
    thinking = describe("boolean", "Let the model think before it answers.", settings.thinking)
    locate = options(
        image=describe("string", f"The screenshot, {FILE}."),
        instruction=describe(
            "string", 'What to find or do, sent to the model as it is, such as "Click on Save".'
        ),
        thinking=thinking,
        look_twice=describe(
            "boolean",
            "Ask again about the part around the first answer, at full resolution: slower, and "
            "better on small things.",
            settings.look_twice,
        ),
    )
    parse = options(
        text=describe("string", "The reply, thought included; up to 1 MB."),
        image_sizes=array(size(), "Width and height in pixels of each image that was asked about."),
        convention=describe(
            "string",
            "What the numbers count, or the name of the model that replied, such as "
            f'"Qwen/Qwen2.5-VL-7B-Instruct". Conventions: {", ".join(sorted(CONVENTIONS))}.',
            "glm",
        ),
        model_size={
            "type": "array",
            "description": 'For "resized": [width, height] in pixels of the image as the model saw '
            "it, or a list with one for each image.",
        },
    )
    turn = options(
        role={"type": "string", "enum": ["user", "assistant"]}, content={"type": "string"}
    )
    chat = options(
        text=describe("string", "The question; may be empty where files are given."),
        files={
            **array(
                {"type": "string"}, f"Up to {MAX_FILES} images, documents or videos, each {FILE}."
            ),
            "default": [],
        },
        history={**array(turn, "Earlier questions and answers, oldest first."), "default": []},
        thinking=thinking,
        pages=describe("string", 'Pages of each document, such as "1-5, 9"; by default the first.'),
    )
    chat["required"] = ["text"]
    return [
        _describe_tool(
            "locate",
            "Find on a screenshot what an instruction names, such as a button to click. Returns "
            "boxes, points and actions in pixels of the screenshot, with x to the right and y "
            "down from its top left corner, and the screenshot with these drawn on it.",
            locate,
            findings("usage"),
        ),
        _describe_tool(
            "parse",
            "Read boxes, points and actions out of the text that a vision model replied, and "
            "convert them to pixels of the images. Asks no model.",
            {**parse, "required": ["text", "image_sizes"]},
            findings("convention"),
        ),
        _describe_tool(
            "chat",
            "Ask the vision model a question about images, documents or videos, or about nothing "
            "but text. Returns the answer and what it points at, in pixels of the images.",
            chat,
            findings("usage", "attachments"),
        ),
    ]


def _describe_tool(
    name: str, description: str, takes: dict[str, Any], gives: dict[str, Any]
) -> types.Tool:
    return types.Tool(
        name=name,
        description=description,
        inputSchema=takes,
        outputSchema=gives,
        annotations=types.ToolAnnotations(readOnlyHint=True, openWorldHint=name != "parse"),
    )


def _success(result: dict[str, Any], *more: types.ImageContent) -> types.CallToolResult:
    """Return a result as it is and, for clients that read only that, as text."""
    text = types.TextContent(type="text", text=json.dumps(result, ensure_ascii=False))
    return types.CallToolResult(content=[text, *more], structuredContent=result)


def _failure(message: str) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=message)], isError=True
    )
