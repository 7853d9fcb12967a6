"""The kinds of attachments: image, document, text, video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from PIL import Image

from model.processing.attachment import Attachment, Item
from model.processing.clip import Clip, SampledFrame
from model.processing.document import Pages, resized
from model.processing.model_view import MARKER_TOKENS, ModelView
from model.processing.processing_cache import ProcessingCache
from model.processing.text_file import fenced


class ImageAttachment(Attachment):
    """One image; its pixels are kept."""

    kind = "image"

    def __init__(
        self,
        name: str,
        image: Image.Image,
        item: Item,
        notes: Sequence[str],
        *,
        is_animation: bool = False,
    ) -> None:
        super().__init__(name, [item], notes=notes)
        self.image = image
        self.is_animation = is_animation

    def pictures(self) -> Iterator[Image.Image]:
        """Yield the image."""
        yield self.image

    def content(self, pictures: Sequence[Image.Image] | None = None) -> list[dict[str, Any]]:
        """Return the image as the only part."""
        return [{"type": "image", "image": self.image}]


class TextAttachment(Attachment):
    """A text file; the text is kept."""

    kind = "text"

    def __init__(self, name: str, text: str, view: ModelView, notes: Sequence[str]) -> None:
        self.text = fenced(text, name)
        super().__init__(name, [Item("", view.count_tokens(self.text))], notes=notes)

    def pictures(self) -> Iterator[Image.Image]:
        """Yield nothing."""
        yield from ()

    def content(self, pictures: Sequence[Image.Image] | None = None) -> list[dict[str, Any]]:
        """Return the fenced text as the only part."""
        return [{"type": "text", "text": self.text}]


class DocumentAttachment(Attachment):
    """Chosen pages of a document; of their pictures only the cache keeps some.

    Args:
        open_pages: opens the document.
        numbers: of the chosen pages.
        fingerprint: of the file's content, for the cache.
    """

    kind = "document"

    def __init__(
        self,
        name: str,
        items: Sequence[Item],
        *,
        open_pages: Callable[[], Pages],
        numbers: Sequence[int],
        fingerprint: str,
        cache: ProcessingCache,
        page_count: int,
        notes: Sequence[str],
    ) -> None:
        super().__init__(name, items, notes=notes, page_count=page_count)
        self.numbers = tuple(numbers)
        self._open_pages = open_pages
        self._fingerprint = fingerprint
        self._cache = cache

    def pictures(self) -> Iterator[Image.Image]:
        """Yield the pages one by one; the document is opened for those that are not kept."""
        pages: Pages | None = None
        with ExitStack() as stack:
            for number, item in zip(self.numbers, self.items, strict=True):
                assert item.sent_size is not None
                key = ("page", self._fingerprint, number, item.sent_size)
                picture = self._cache.find(key)
                if picture is None:
                    pages = pages or stack.enter_context(self._open_pages())
                    picture = self._cache.keep(key, pages.render(number, item.sent_size))
                yield picture

    def content(self, pictures: Sequence[Image.Image] | None = None) -> list[dict[str, Any]]:
        """Return each page after its number, so that the model can name it."""
        parts: list[dict[str, Any]] = []
        for number, picture in zip(self.numbers, pictures or self.pictures(), strict=True):
            parts.append({"type": "text", "text": page_heading(number, self.name)})
            parts.append({"type": "image", "image": picture})
        return parts


class VideoAttachment(Attachment):
    """Chosen frames of a video; their pictures, at the size that is sent, are in the cache."""

    kind = "video"

    def __init__(
        self,
        clip: Clip,
        frames: Sequence[SampledFrame],
        view: ModelView,
        *,
        max_item_tokens: int | None,
        fingerprint: str,
        cache: ProcessingCache,
        notes: Sequence[str],
    ) -> None:
        self.clip = clip
        self.frames = tuple(frames)
        self._fingerprint = fingerprint
        self._cache = cache
        size = clip.width, clip.height
        self._sent_size = view.frame_size(size, len(frames), max_item_tokens)
        pairs = view.video_tokens(self._sent_size, [frame.time_s for frame in frames[::2]])
        items = []
        for i, frame in enumerate(frames):
            tokens = pairs[i // 2] // 2 + (pairs[i // 2] % 2 if i % 2 == 0 else 0)
            items.append(Item(time_label(frame.time_s), tokens, size, self._sent_size))
        super().__init__(
            clip.name, items, notes=notes, overhead=MARKER_TOKENS, duration_s=clip.duration_s
        )

    def pictures(self) -> Iterator[Image.Image]:
        """Yield the frames one by one; all are kept together once the last is there."""
        key = ("frames", self._fingerprint, self.frames, self._sent_size)
        kept = self._cache.find(key)
        if kept is not None:
            yield from kept
            return
        made = []
        for frame in self.clip.read(self.frames):
            made.append(resized(frame, self._sent_size))
            yield made[-1]
        self._cache.keep(key, made)

    def content(self, pictures: Sequence[Image.Image] | None = None) -> list[dict[str, Any]]:
        """Return the frames as one part, with the times that they stand for."""
        about = {
            "total_num_frames": self.clip.frame_count,
            "fps": self.clip.fps,
            "duration": self.clip.duration_s,
            "frames_indices": tuple(frame.index for frame in self.frames),
            "timestamps": tuple(frame.time_s for frame in self.frames),
        }
        frames = list(pictures or self.pictures())
        return [{"type": "video", "video": frames, "metadata": about}]


def page_heading(number: int, name: str) -> str:
    """Return the text in front of a page."""
    return f"Page {number} of {name}:"


def time_label(seconds: float) -> str:
    """Return a time as ``0:12.5``, or ``1:02:03.5`` from one hour on."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02}.{tenths % 10}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"
