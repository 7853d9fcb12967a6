"""Files attached to a message that is not sent yet: opened once, by the rules of the backend."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from model.backends.base import BackendError, ChatBackend
from model.processing import Attachment, Choice, Limits, MediaError
from model.processing.file_type import FileType, Kind, identify
from ui.answering import as_sentence
from ui.conversation import Attached, Item, Picture, to_place
from ui.files import save_png
from ui.language import in_both, say, say_message

logger = logging.getLogger(__name__)

# What the official demo takes.
MAX_FILES = 10
MEGABYTE = 1024 * 1024
MEGAPIXEL = 1_000_000
# As ``identify`` calls them.
MAY_HAVE_PAGES = "a TIFF image"
# Pages that come faster are shown several at a time: each time is a message to the browser.
MIN_INTERVAL_S = 0.25


def read_choice(entered: object) -> Choice:
    """Return what was entered on the page or over HTTP, a mapping from the fields' names.

    Nothing of it is trusted: what is empty, 0, or no number is no choice. At most one frame is at
    most two, because frames come in pairs.
    """
    if not isinstance(entered, Mapping):
        return Choice()
    pages = entered.get("pages")
    max_frames = _positive(entered.get("max_frames"))
    max_item_tokens = _positive(entered.get("max_item_tokens"))
    return Choice(
        (pages.strip() or None) if isinstance(pages, str) else None,
        _positive(entered.get("fps")),
        max(math.ceil(max_frames), 2) if max_frames else None,
        math.ceil(max_item_tokens) if max_item_tokens else None,
        entered.get("animation_as_video") is True,
    )


def _what_applies(choice: Choice, found: FileType) -> Choice:
    """Return the part of the choice that matters to such a file."""
    if found.kind in ("pdf", "office") or found.what == MAY_HAVE_PAGES:
        return Choice(pages=choice.pages, max_item_tokens=choice.max_item_tokens)
    if found.kind == "video":
        return replace(choice, pages=None, animation_as_video=False)
    if found.kind == "image" and choice.animation_as_video:
        return replace(choice, pages=None)
    if found.kind == "image":
        return Choice(max_item_tokens=choice.max_item_tokens)
    return Choice()


def _positive(entered: Any) -> float | None:
    try:
        number = float(entered)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < math.inf else None


@dataclass(frozen=True, slots=True)
class Draft:
    """A file in the message box: waiting, being opened, opened, or refused for a reason.

    Attributes:
        attached: what of it can be shown so far; only a complete one can be sent.
    """

    path: str
    kind: Kind
    choice: Choice
    opened: Attachment | None = None
    attached: Attached | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """What the person called it."""
        return self.attached.name if self.attached is not None else Path(self.path).name

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.problem or (self.attached is not None and self.attached.content))

    @property
    def is_video(self) -> bool:
        """Whether there are frames to choose from."""
        return self.kind == "video" or self.choice.animation_as_video

    @property
    def has_pages(self) -> bool:
        """Whether there are pages to choose from."""
        is_document = self.attached is not None and self.attached.kind == "document"
        return is_document or self.kind in ("pdf", "office")

    @property
    def is_animation(self) -> bool:
        """Whether it is an image that may be a video as well."""
        return self.choice.animation_as_video or (
            self.opened is not None and self.opened.is_animation
        )


Drafts: TypeAlias = tuple[Draft, ...]


def open_files(
    backend: ChatBackend,
    files: Sequence[str],
    choices: Mapping[str, Choice],
    known: Drafts = (),
    *,
    limits: Limits,
) -> Iterator[Drafts]:
    """Yield a draft of each of ``files``, again and again while they are opened one by one.

    Only in the last tuple all of them are complete.

    Args:
        choices: by file; a file that is not there has none.
        known: what was opened before; it is not opened again where the choice is the same.

    Raises:
        BackendError: the backend cannot say yet how it would see them.
    """
    drafts = [_draft(path, choices.get(path, Choice()), known) for path in files]
    yield tuple(drafts)
    for index, draft in enumerate(drafts):
        if draft.is_complete:
            continue
        for grown in _open(backend, draft, limits):
            drafts[index] = grown
            yield tuple(drafts)


def _draft(path: str, choice: Choice, known: Drafts) -> Draft:
    """Return what is known of a file, or a draft that waits to be opened."""
    try:
        found = identify(Path(path))
    except Exception:
        found = FileType("other", "nothing")  # whoever opens it will say what is wrong
    wanted = _what_applies(choice, found)
    for draft in known:
        if draft.is_complete and (draft.path, draft.choice) == (path, wanted):
            return draft
    return Draft(path, found.kind, wanted)


def _open(backend: ChatBackend, draft: Draft, limits: Limits) -> Iterator[Draft]:
    """Yield the draft as more of it can be shown, and at last complete."""
    try:
        opened = backend.open_attachment(draft.path, draft.choice, limits=limits)
        for attached in make_pictures(opened):
            attached = replace(attached, path=draft.path, choice=draft.choice)
            yield replace(draft, opened=opened, attached=attached)
    except MediaError as error:
        yield replace(draft, problem=as_sentence(error))
    except BackendError:
        raise
    except Exception:
        logger.exception("%s could not be opened", draft.name)
        problem = say("Something went wrong. The server's log has the details.")
        yield replace(draft, problem=say("{name}: {problem}", name=draft.name, problem=problem))


def open_attached(backend: ChatBackend, path: str, choice: Choice, *, limits: Limits) -> Attached:
    """Open a file of a message that was sent earlier.

    Raises:
        MediaError: the file cannot be used.
        BackendError: the backend cannot say yet how it would see it.
    """
    *_, attached = make_pictures(backend.open_attachment(path, choice, limits=limits))
    return replace(attached, path=path, choice=choice)


def make_pictures(opened: Attachment) -> Iterator[Attached]:
    """Yield what the page keeps of an opened file while its pages or frames are being made.

    Only the last has content, and can be sent.

    Raises:
        MediaError: a page or a frame turns out to be damaged.
    """
    images: list[Image.Image] = []
    pngs: list[str] = []
    shown = -math.inf
    for image in opened.pictures():
        images.append(image)
        pngs.append(save_png(image))
        if len(images) < len(opened.items) and time.monotonic() - shown >= MIN_INTERVAL_S:
            shown = time.monotonic()
            yield _describe(opened, images, pngs)
    yield replace(_describe(opened, images, pngs), content=tuple(opened.content(images)))


def _describe(opened: Attachment, images: Sequence[Image.Image], pngs: Sequence[str]) -> Attached:
    """Return an opened file without its content, with the pictures that there are so far."""
    pictures = tuple(
        Picture(
            _name(opened.name, item.label),
            image,
            png,
            to_place(opened.kind, item.label),
            item.sent_size,
        )
        for item, image, png in zip(opened.items, images, pngs, strict=False)
    )
    items = tuple(
        Item(item.label, item.tokens, png, item.original_size, item.sent_size)
        for item, png in zip(opened.items, [*pngs, *[""] * len(opened.items)], strict=False)
    )
    return Attached(
        opened.name,
        opened.kind,
        content=(),
        pictures=pictures,
        items=items,
        tokens=opened.tokens,
        notes=tuple(map(say_message, opened.notes)),
        duration_s=opened.duration_s,
    )


def _name(name: str, label: str) -> str:
    """Return what a picture of a file is called."""
    if not label:
        return name
    page, _, number = label.partition(" ")
    if page != "Page":
        return f"{name}, {label}"
    return say("{name}, page {number}", name=name, number=number)


def describe_limits(limits: Limits) -> str:
    """Return what may be attached, in one line of HTML in both languages."""
    return in_both(
        "Up to {files} images, PDF, Office and text files, and videos of up to {size:,.0f} MB, "
        "with {tokens:,} tokens together. Images up to {pixels:,.0f} megapixels, documents up to "
        "{pages:,} pages, text up to {text:,.0f} MB, videos up to {frames:,} frames and "
        "{minutes:,.0f} minutes.",
        files=MAX_FILES,
        size=limits.max_bytes / MEGABYTE,
        tokens=limits.max_tokens,
        pixels=limits.max_pixels / MEGAPIXEL,
        pages=limits.max_pages,
        text=limits.max_text_bytes / MEGABYTE,
        frames=limits.max_frames,
        minutes=limits.max_duration_s / 60,
    )
