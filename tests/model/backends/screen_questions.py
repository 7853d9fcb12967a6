"""A question about a drawn screen, and its whole answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from model.backends.base import ChatBackend, Message, Reply, SamplingOptions

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"


def question(
    text: str = "Click on the button", color: str = "steelblue", *, scale: int = 2
) -> list[Message]:
    """Ask about a screen with one button, ``scale`` times 112 x 84 pixels."""
    image = Image.new("RGB", (112 * scale, 84 * scale), "white")
    button = (30 * scale, 30 * scale, 80 * scale, 50 * scale)
    ImageDraw.Draw(image).rectangle(button, fill=color)
    content = [{"type": "image", "image": image}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def about(example: str, text: str) -> list[Message]:
    """Ask about one of the app's example screenshots."""
    image = Image.open(EXAMPLES / example).convert("RGB")
    content = [{"type": "image", "image": image}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def ask(
    backend: ChatBackend,
    messages: list[Message],
    *,
    thinking: bool = False,
    reply: Reply | None = None,
    **options: Any,
) -> Reply:
    """Return the reply; what comes is added to a ``reply`` that is given."""
    reply = Reply() if reply is None else reply
    for event in backend.stream(
        messages, enable_thinking=thinking, options=SamplingOptions(**options)
    ):
        reply.add(event)
    return reply
