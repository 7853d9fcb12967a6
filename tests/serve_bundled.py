"""The bundled model behind the OpenAI protocol, as a program of its own: ``serve_bundled.py PORT``.

What a test needs of a server and no more: one answer of a real model, streamed, to a message with
text and images. ``/active`` tells how many answers are being computed.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from model.backends.base import AnswerDelta, Event, Finished, SamplingOptions, ThinkingDelta
from model.backends.local import LocalBackend

BUNDLED = Path(__file__).parents[1] / "assets" / "bundled"

app = FastAPI()
backend = LocalBackend(str(BUNDLED), name="bundled", device="cpu", num_threads=1)
active = [0]


@app.get("/v1/models")
def models() -> dict[str, Any]:
    """List the model, once its weights are there."""
    backend.wait_until_settled(60)
    return {"object": "list", "data": [{"id": "bundled", "object": "model", "owned_by": "vllm"}]}


@app.get("/active")
def count() -> int:
    """Tell how many answers are being computed."""
    return active[0]


@app.post("/v1/chat/completions")
async def complete(request: Request) -> StreamingResponse:
    """Stream an answer."""
    return StreamingResponse(stream(await request.json()), media_type="text/event-stream")


async def stream(body: dict[str, Any]) -> AsyncIterator[str]:
    """Yield the events of an answer; a client that leaves ends the computing.

    An answer at the end of the messages is gone on with, if that is asked for as at vLLM.
    """
    goes_on = (body.get("continue_final_message"), body.get("add_generation_prompt", True))
    assert goes_on == (True, False) or body["messages"][-1]["role"] == "user"
    messages = [
        {**m, "content": [*map(read_part, parts_of(m))]} for m in map(split, body["messages"])
    ]
    events = backend.stream(
        messages,
        enable_thinking=body["chat_template_kwargs"]["enable_thinking"],
        options=SamplingOptions(max_new_tokens=body.get("max_tokens")),
    )
    active[0] += 1
    try:
        with closing(events):
            while (event := await anyio.to_thread.run_sync(next, events, None)) is not None:
                for chunk in chunks_of(event):
                    yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"
    finally:
        active[0] -= 1


def chunks_of(event: Event) -> list[dict[str, Any]]:
    """Return an event as chunks of the protocol."""
    if isinstance(event, Finished):
        counts = {"prompt_tokens": event.prompt_tokens, "completion_tokens": event.new_tokens}
        last = {"index": 0, "delta": {}, "finish_reason": event.reason}
        return [{"choices": [last]}, {"choices": [], "usage": counts}]
    if isinstance(event, ThinkingDelta):
        return [{"choices": [{"index": 0, "delta": {"reasoning_content": event.text}}]}]
    if isinstance(event, AnswerDelta):
        return [{"choices": [{"index": 0, "delta": {"content": event.text}}]}]
    return []


def split(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with its thought apart, as GLM-4.5V's chat template takes it."""
    content = message["content"]
    if message["role"] != "assistant" or "</think>" not in content:
        return message
    thought, _, answer = content.partition("</think>")
    thought = thought.removeprefix("<think>")
    return {**message, "reasoning_content": thought, "content": answer.lstrip("\n")}


def parts_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the content of a message as a list."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def read_part(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part with its image opened."""
    if part["type"] == "text":
        return part
    data = part["image_url"]["url"].partition("base64,")[2]
    return {"type": "image", "image": Image.open(io.BytesIO(base64.b64decode(data)))}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
