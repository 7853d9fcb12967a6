"""Conversations -> what servers of the OpenAI protocol take, and what they will see of a file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from model.backends.base import Message
from model.characters import whole_characters
from model.processing import Glm4vVideoProcessor, ModelView, ProcessingCache, open_image
from model.processing.messages import Conversation, read_messages, require_media
from model.processing.model_view import MARKER_TOKENS, PUBLISHED_VIDEO
from model.processing.processing_cache import fingerprint_image

VIDEO_HEADING = "The frames of a video, each followed by its time:\n"

# Text of people must not become the tokens that tell roles and images apart, nor can a server be
# told to read it as text: a character of no width goes between the first two of such a token.
SPECIAL_TOKEN = re.compile(r"<\|(?=\w+\|>)")
WORD_JOINER = "\u2060"
BOX_MARKER = re.compile(r"<\u2060\|(?=(?:begin|end)_of_box\|>)")

# An upload is mostly quicker than squeezing it: 6, the default, makes screenshots little smaller.
PNG_LEVEL = 1


def stamp(second: float) -> str:
    """Return a time as it stands behind a frame; GLM-4.6V's own form, and clear to any model."""
    return f"{second:.1f} seconds"


@dataclass(frozen=True, slots=True)
class FrameByFrameView(ModelView):
    """The view of a server that is sent each frame of a video as an image of its own.

    The frames that were chosen, and no others, reach the model in this way, with their times and
    without loss: what the page shows is what was seen. A video as such (``video_url``) would take
    half the tokens, but no server says which frames it takes of it: vLLM's choice depends on its
    release and options (32 of them; those of GLM-4.5V's rule since its pull request 24161), which
    part of a video was chosen cannot be said, pictures sent as a video lose their times, and Z.ai
    documents addresses of files only (docs.z.ai, chat completion).
    """

    # a class with slots has no super() without arguments
    def frame_size(
        self, size: tuple[int, int], count: int, max_tokens: int | None = None
    ) -> tuple[int, int]:
        """Return the (width, height) of each of ``count`` frames; see ``ModelView``.

        A frame costs as much as a pair does within a video, so there is half the budget for each,
        and none is smaller than the server's own processor leaves an image.
        """
        each = None if max_tokens is None else max_tokens // 2
        target = ModelView.frame_size(self, size, 2 * count, each)
        return ModelView.image_size(self, target)

    def video_tokens(self, size: tuple[int, int], seconds: Iterable[float]) -> list[int]:
        """Count what each pair of frames takes, the heading with the first; see ``ModelView``."""
        image = ModelView.image_tokens(self, size)
        pairs = [2 * (image + self.count_tokens(stamp(second))) for second in seconds]
        heading = self.count_tokens(VIDEO_HEADING) - MARKER_TOKENS  # which the caller adds
        return [pairs[0] + heading, *pairs[1:]]


def view_of(model: str) -> ModelView:
    """Return how a served model sees files; one that is not known by name as GLM-4.5V does."""
    is_glm46v = re.search(r"glm-?4\.?6v", model.lower()) is not None
    if not is_glm46v:
        return FrameByFrameView()
    return FrameByFrameView(video_processor=Glm4vVideoProcessor(PUBLISHED_VIDEO, is_glm46v=True))


def known_context(model: str) -> int | None:
    """Return the tokens that a model of that name may see, by its config.json; None if unknown."""
    name = model.lower()
    if re.search(r"glm-?4\.?6v", name):
        return 131_072
    return 65_536 if re.search(r"glm-?4\.?[15]v", name) else None


def to_openai(messages: Sequence[Message], cache: ProcessingCache) -> list[dict[str, Any]]:
    """Return messages in the protocol's form; images as lossless data URLs.

    Thoughts are left out but for that of an answer at the end, which is to be gone on with.

    Args:
        cache: keeps encoded images, so that those of earlier turns are not encoded again.

    Raises:
        ValueError: a malformed message.
        MediaError: an image cannot be used.
    """
    conversation = read_messages(messages, split_thoughts=True, join_tool_results=False)
    require_media(conversation)
    media = _media(conversation, cache)
    converted = [_convert(message, media) for message in conversation.messages]
    last = conversation.messages[-1]
    if last["role"] == "assistant" and last.get("reasoning_content"):
        converted[-1]["reasoning_content"] = _as_text(last["reasoning_content"], keep_boxes=True)
    return converted


def with_suffix(messages: Sequence[dict[str, Any]], suffix: str) -> list[dict[str, Any]]:
    """Return messages in the protocol's form with a text behind the last question."""
    at = max((n for n, each in enumerate(messages) if each["role"] == "user"), default=0)
    content = messages[at]["content"]
    content = content + suffix if isinstance(content, str) else [*content, _text(suffix)]
    return [*messages[:at], {**messages[at], "content": content}, *messages[at + 1 :]]


def count_tokens(messages: Sequence[Message], view: ModelView) -> int:
    """Guess how many tokens a prompt takes, for servers that do not tell; at least 1."""
    conversation = read_messages(messages, split_thoughts=True, join_tool_results=False)
    texts = [part["text"] for m in conversation.messages for part in _parts(m) if "text" in part]
    pictures = [*conversation.images, *(frame for clip in conversation.videos for frame in clip)]
    images = (view.image_tokens(view.image_size(open_image(picture).size)) for picture in pictures)
    return max(1, sum(map(view.count_tokens, texts)) + sum(images))


def _convert(message: dict[str, Any], media: Iterator[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a message with its media in place, without the thought behind an earlier answer."""
    is_answer = message["role"] == "assistant"
    content: list[dict[str, Any]] = []
    for part in _parts(message):
        if part["type"] == "text":
            content.append(_text(_as_text(part["text"], keep_boxes=is_answer)))
        else:
            content += next(media)
    others = {k: v for k, v in message.items() if k not in ("content", "reasoning_content")}
    if all(part["type"] == "text" for part in content):
        return {**others, "content": "".join(part["text"] for part in content)}
    return {**others, "content": content}


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [_text(content)] if isinstance(content, str) else content


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _as_text(text: str, *, keep_boxes: bool) -> str:
    """Break what would be read as special tokens; box markers in past answers may stay."""
    broken = SPECIAL_TOKEN.sub(f"<{WORD_JOINER}|", whole_characters(text))
    return BOX_MARKER.sub("<|", broken) if keep_boxes else broken


def _media(conversation: Conversation, cache: ProcessingCache) -> Iterator[list[dict[str, Any]]]:
    """Yield what takes the place of each image and video, in the order of their appearance."""
    images = iter(conversation.images)
    videos = iter(zip(conversation.videos, conversation.video_metadata, strict=True))
    for message in conversation.messages:
        for part in _parts(message):
            if part["type"] == "image":
                yield [_image(next(images), cache)]
            elif part["type"] == "video":
                yield _frames(*next(videos), cache)


def _frames(
    frames: Sequence[Image.Image], about: Mapping[str, Any] | None, cache: ProcessingCache
) -> list[dict[str, Any]]:
    """Return the frames of a video as images, each before its time."""
    if about is None or isinstance(frames, (str, bytes)):
        raise ValueError(
            "a video part needs decoded frames and their times; take Attachment.content() of it"
        )
    parts = [_text(VIDEO_HEADING)]
    for frame, time_s in zip(frames, about["timestamps"], strict=True):
        parts += [_image(frame, cache), _text(stamp(time_s))]
    return parts


def _image(source: Any, cache: ProcessingCache) -> dict[str, Any]:
    """Return an image as a part of a message: all of its pixels, as a PNG."""
    image = open_image(source)

    def encode() -> str:
        png = io.BytesIO()
        image.save(png, "PNG", compress_level=PNG_LEVEL)
        return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()

    url = cache.get(("png", fingerprint_image(image)), encode)
    return {"type": "image_url", "image_url": {"url": url}}
