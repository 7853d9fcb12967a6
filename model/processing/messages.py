"""Conversations in the ecosystem's shape -> what a chat template expects, and the media apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.processing.media import MediaError

ROLES = ("system", "user", "assistant", "tool")

# Where a part may keep its picture or clip, in the order of preference.
MEDIA_KEYS = {
    "image": ("image", "path", "url"),
    "video": ("video", "path", "url"),
}


@dataclass(slots=True)
class Conversation:
    """Messages without media objects, and the media in the order of their appearance."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    videos: list[Any] = field(default_factory=list)
    video_metadata: list[Any] = field(default_factory=list)


def read_messages(
    messages: Sequence[Mapping[str, Any]],
    *,
    split_thoughts: bool,
    join_tool_results: bool,
) -> Conversation:
    """Check messages and bring them into the one form that every GLM template renders.

    Content that is all text becomes one string, absent content the empty string, tool arguments
    a mapping. The caller's objects are not touched.

    Args:
        messages: each with "role" and "content", a string or a list of parts
            ``{"type": "text", "text": ...}``, ``{"type": "image", "image": ...}``,
            ``{"type": "video", "video": ..., "metadata": ...}``; media may be left out when only
            the prompt text is wanted.
        split_thoughts: move ``<think>...</think>`` of past answers to ``reasoning_content``, for
            templates that know that key.
        join_tool_results: treat tool results that are lists of texts like other content. GLM-4.5V
            needs it (its template prints each item as a Python dict), GLM-4.6V renders lists.

    Raises:
        ValueError: a message is malformed; the text says which one and how.
    """
    if not messages:
        raise ValueError("the conversation is empty; give at least one message")
    conversation = Conversation()
    for index, message in enumerate(messages):
        where = f"message {index}"
        if not isinstance(message, Mapping):
            raise ValueError(f"{where} is a {type(message).__name__}; expected a dict with a role")
        role = message.get("role")
        if role not in ROLES:
            raise ValueError(f"{where} has role {role!r}; expected one of {', '.join(ROLES)}")
        clean = {key: value for key, value in message.items() if key != "content"}
        content = _read_content(message.get("content"), where, conversation)
        if isinstance(content, list) and (role != "tool" or join_tool_results):
            content = _joined(content)
        clean["content"] = content
        if clean.get("tool_calls"):
            clean["tool_calls"] = [_read_tool_call(c, where) for c in clean["tool_calls"]]
        if split_thoughts and role == "assistant" and isinstance(clean["content"], str):
            _split_thought(clean)
        conversation.messages.append(clean)
    return conversation


def map_text(value: Any, change: Callable[[str], str]) -> Any:
    """Rebuild nested lists and mappings with every string in them changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {map_text(k, change): map_text(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_text(v, change) for v in value]
    return value


def _read_content(
    content: Any, where: str, conversation: Conversation
) -> str | list[dict[str, str]]:
    """Collect media from the parts of one message; return text or parts without media."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise ValueError(
            f"{where} has content of type {type(content).__name__}; expected text or a list"
        )
    return [_read_part(part, where, conversation) for part in content]


def _joined(parts: list[dict[str, str]]) -> str | list[dict[str, str]]:
    """Turn parts that are all text into one string."""
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _read_part(part: Any, where: str, conversation: Conversation) -> dict[str, str]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise ValueError(f"{where} has a text part without text: {part!r:.100}")
        return {"type": "text", "text": part["text"]}
    if kind not in MEDIA_KEYS:
        raise ValueError(
            f"{where} has a part {part!r:.100}; expected a dict with type text, image or video"
        )
    media = next((part[key] for key in MEDIA_KEYS[kind] if part.get(key) is not None), None)
    if kind == "image":
        conversation.images.append(media)
    else:
        conversation.videos.append(media)
        conversation.video_metadata.append(part.get("metadata"))
    return {"type": kind}


def require_media(conversation: Conversation) -> None:
    """Raise MediaError unless every image and video part brought its medium along."""
    for kind, media in (("image", conversation.images), ("video", conversation.videos)):
        for i, item in enumerate(media):
            if item is None:
                keys = ", ".join(MEDIA_KEYS[kind])
                raise MediaError(f"{kind} part {i} holds no {kind}; give it under one of: {keys}")


def _read_tool_call(call: Any, where: str) -> dict[str, Any]:
    """Return a tool call whose arguments are a mapping (the OpenAI protocol sends JSON text)."""
    if not isinstance(call, Mapping):
        raise ValueError(f"{where} has a tool call of type {type(call).__name__}; expected a dict")
    function = call.get("function", call)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{where} has tool arguments that are not JSON: {arguments!r:.100}"
            ) from error
    if not isinstance(arguments, Mapping) or not isinstance(function.get("name"), str):
        raise ValueError(
            f"{where} has a tool call {function!r:.100}; expected a name and a dict of arguments"
        )
    clean = {**function, "arguments": arguments}
    return {**call, "function": clean} if "function" in call else clean


def _split_thought(message: dict[str, Any]) -> None:
    """Move the thought out of an answer, as GLM-4.5V's template does when it meets the tags."""
    content = message["content"]
    if message.get("reasoning_content") is not None or "</think>" not in content:
        return
    thought = content.split("</think>")[0].rstrip("\n").split("<think>")[-1].lstrip("\n")
    message["reasoning_content"] = thought
    message["content"] = content.split("</think>")[-1].lstrip("\n")
