"""Files attached to a message that is not sent yet: opened once, by the rules of the backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from model.backends.base import ChatBackend
from model.processing import Attachment, Limits, MediaError
from model.processing.file_type import FileType, Kind, identify
from ui.answering import as_sentence
from ui.conversation import Attached, Item, Picture
from ui.files import save_png

# What the official demo takes.
MAX_FILES = 10
MEGABYTE = 1024 * 1024
# As ``identify`` calls them.
MAY_HAVE_PAGES = "a TIFF image"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of a file is wanted; None leaves it to the checkpoint and the limits."""

    pages: str | None = None
    fps: float | None = None
    max_frames: int | None = None
    max_item_tokens: int | None = None

    @classmethod
    def read(
        cls,
        pages: str | None = None,
        fps: float | None = None,
        max_frames: float | None = None,
        max_item_tokens: float | None = None,
    ) -> Choice:
        """Return what was entered on the page; an empty field and 0 are no choice."""
        return cls(
            (pages or "").strip() or None,
            fps or None,
            int(max_frames) if max_frames else None,
            int(max_item_tokens) if max_item_tokens else None,
        )

    def of(self, found: FileType) -> Choice:
        """Return the part of the choice that matters to such a file."""
        if found.kind in ("pdf", "office") or found.what == MAY_HAVE_PAGES:
            return replace(self, fps=None, max_frames=None)
        if found.kind == "video":
            return replace(self, pages=None)
        if found.kind == "image":
            return Choice(max_item_tokens=self.max_item_tokens)
        return Choice()


@dataclass(frozen=True, slots=True)
class Draft:
    """A file in the message box: opened, or refused for a reason."""

    path: str
    kind: Kind
    choice: Choice
    opened: Attachment | None = None
    attached: Attached | None = None
    problem: str = ""

    @property
    def has_pages(self) -> bool:
        """Whether there are pages to choose from."""
        is_document = self.attached is not None and self.attached.kind == "document"
        return is_document or self.kind in ("pdf", "office")


Drafts: TypeAlias = tuple[Draft, ...]


def open_files(
    backend: ChatBackend,
    files: Sequence[str],
    choice: Choice,
    known: Drafts = (),
    *,
    limits: Limits,
) -> Iterator[Drafts]:
    """Yield the drafts of ``files`` as they are opened, one more each time; at first none.

    Args:
        known: what was opened before; it is not opened again where the choice is the same.

    Raises:
        BackendError: the backend cannot say yet how it would see them.
    """
    drafts: Drafts = ()
    yield drafts
    for path in files:
        drafts += (_open(backend, path, choice, known + drafts, limits),)
        yield drafts


def _open(backend: ChatBackend, path: str, choice: Choice, known: Drafts, limits: Limits) -> Draft:
    try:
        found = identify(Path(path))
    except OSError:
        found = FileType("other", "nothing")  # whoever opens it will say what is wrong
    wanted = choice.of(found)
    for draft in known:
        if (draft.path, draft.choice) == (path, wanted):
            return draft
    try:
        opened = backend.open_attachment(path, limits=limits, **asdict(wanted))
        return Draft(path, found.kind, wanted, opened, to_attached(opened))
    except MediaError as error:
        return Draft(path, found.kind, wanted, problem=as_sentence(error))


def to_attached(opened: Attachment) -> Attached:
    """Return what the page keeps of an opened file: its parts, and their pictures for the browser.

    Raises:
        MediaError: a page or a frame turns out to be damaged.
    """
    content = opened.content()
    images: list[Image.Image] = [part["image"] for part in content if part["type"] == "image"]
    pictures = tuple(
        Picture(f"{opened.name}, {item.label.lower()}" if item.label else opened.name, image, png)
        for item, image, png in zip(opened.items, images, map(save_png, images), strict=False)
    )
    frames = (frame for part in content if part["type"] == "video" for frame in part["video"])
    pngs = [picture.png for picture in pictures] or [save_png(frame) for frame in frames]
    items = tuple(
        Item(item.label, item.tokens, png, item.original_size, item.sent_size)
        for item, png in zip(opened.items, pngs or [""], strict=True)
    )
    return Attached(
        opened.name, opened.kind, tuple(content), pictures, items, opened.tokens, opened.notes
    )


def describe_limits(limits: Limits) -> str:
    """Return what may be attached, in one line."""
    return (
        f"Images, PDF, Office and text files, videos: up to {MAX_FILES} files of "
        f"{limits.max_bytes // MEGABYTE:,} MB. Of each document up to {limits.max_pages:,} pages, "
        f"of each video up to {limits.max_frames:,} frames and "
        f"{limits.max_duration_s / 60:,.0f} minutes."
    )
