"""Open whatever a person attaches: recognised by its content, checked, costed, not yet rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.processing.attached_files import (
    DocumentAttachment,
    ImageAttachment,
    TextAttachment,
    VideoAttachment,
    page_heading,
)
from model.processing.attachment import Attachment, Item, remedy
from model.processing.choice import WHOLE, Choice
from model.processing.clip import open_clip
from model.processing.document import Pages, TiffFile, parse_page_ranges, resized
from model.processing.file_type import FileType, identify, mislabelled
from model.processing.frame_sampling import MAX_FPS
from model.processing.image import finish_image, moves, read_header
from model.processing.limits import MIB, Limits
from model.processing.media import MediaError, check_file, shown_name
from model.processing.model_view import ModelView
from model.processing.office import to_pdf
from model.processing.pdf import PdfFile
from model.processing.processing_cache import ProcessingCache, fingerprint_file
from model.processing.text_file import read_text
from model.processing.video_file import ANIMATED, is_animation

# What an attachment may be, for people who attach something else.
WHAT_TO_ATTACH = "attach an image, a PDF, an Office document, a text file or a video"


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for, and what is known of the file before it is opened."""

    path: Path
    name: str
    found: FileType
    view: ModelView
    limits: Limits
    choice: Choice
    fingerprint: str
    cache: ProcessingCache
    notes: tuple[str, ...]


def open_attachment(
    path: str | Path,
    choice: Choice = WHOLE,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    view: ModelView | None = None,
    cache: ProcessingCache | None = None,
) -> Attachment:
    """Look into a file and return what the model will see of it.

    Images are decoded; pages and frames only counted, until they are asked for.

    Args:
        path: of a local file, which must stay there as long as the attachment is used.
        choice: which part of it.
        name: what the person called it; by default the file name.
        limits: the operator's; by default ``Limits()``.
        view: how the answering model sees pixels and text; by default the published GLM-4.5V.
        cache: keeps what was made, so that the same file is not processed again in a later turn;
            by default one that this attachment has for itself.

    Raises:
        MediaError: the file cannot be used; the message names it, and says what to do.
    """
    limits = limits or Limits()
    shown = shown_name(name if name is not None else path)
    file = check_file(path, kind="file", name=shown)
    try:
        found = identify(file)
        _check_bytes(file, shown, limits)
        request = _Request(
            file,
            shown,
            found,
            view or ModelView(),
            limits,
            choice,
            fingerprint_file(file),
            ProcessingCache() if cache is None else cache,
            _notes(shown, found),
        )
        if found.kind == "text":
            attachment: Attachment = _open_text(request)
        elif found.kind in ("pdf", "office"):
            attachment = _open_document(request, _opener(request))
        elif found.kind == "video" or (choice.animation_as_video and is_animation(file, found)):
            attachment = _open_video(request)
        elif found.kind == "image":
            attachment = _open_image(request)
        else:
            advice = found.remedy or WHAT_TO_ATTACH
            raise MediaError(f"{shown} cannot be attached: it is {found.what}; {advice}")
    except PermissionError as error:
        raise MediaError(f"{shown} may not be read; check its permissions") from error
    if attachment.tokens > limits.max_tokens:
        raise MediaError(
            f"{shown} takes {attachment.tokens:,} tokens, more than the {limits.max_tokens:,} "
            f"allowed; {remedy(attachment.kind)}"
        )
    return attachment


def _check_bytes(file: Path, name: str, limits: Limits) -> None:
    size = file.stat().st_size
    if size > limits.max_bytes:
        raise MediaError(
            f"{name} has {size / MIB:,.0f} MiB, more than the {limits.max_bytes / MIB:,.0f} MiB "
            "allowed; cut it or save it at a lower quality"
        )


def _notes(name: str, found: FileType) -> tuple[str, ...]:
    """Say what a file with a misleading name is; text in such a file is refused as damaged.

    Raises:
        MediaError: text under the name of an image, document or video: mostly an error page that
            was saved in its place.
    """
    claim = mislabelled(name, found)
    if claim is None:
        return ()
    if found.kind == "text":
        raise MediaError(
            f"{name} is {found.what}, not {claim}; download it again, or rename it to .txt to "
            "send the text"
        )
    return (f"{name} is not {claim} but {found.what}; it is used as that.",)


def _open_text(request: _Request) -> Attachment:
    text = read_text(request.path, request.name, request.limits)
    return TextAttachment(request.name, text, request.view, request.notes)


def _open_image(request: _Request) -> Attachment:
    """Decode an image, unless it was before; a TIFF of several pages is a document."""
    name, limits, view = request.name, request.limits, request.view
    notes = request.notes
    with request.path.open("rb") as file, read_header(file, name, limits.max_pixels) as header:
        if header.format == "TIFF" and moves(header):
            return _open_document(request, lambda: TiffFile(request.path, name, limits))
        # several pictures in a phone's photo are takes or depths of one scene, not an animation
        is_animation = header.format not in ("HEIF", "MPO") and moves(header)
        if is_animation:
            notes = (*notes, f"Only the first frame of the animation {name} is used.")
        image = request.cache.get(
            ("image", request.fingerprint, limits.max_pixels),
            lambda: finish_image(header, name, limits.max_pixels),
        )
    original = image.size
    sent = _image_size(view, original, request.choice.max_item_tokens, name)
    if sent != view.image_size(original):
        # smaller than the model would see it: done here, as its processor would not
        key = ("small image", request.fingerprint, sent)
        image = request.cache.get(key, lambda: resized(image, sent))
    item = Item("", view.image_tokens(sent), original, sent)
    may_be_video = is_animation and request.found.what in ANIMATED
    return ImageAttachment(name, image, item, notes, is_animation=may_be_video)


def _opener(request: _Request) -> Callable[[], Pages]:
    """Return what opens a PDF, or an Office document that is converted to PDF once."""
    if request.found.kind == "pdf":
        return lambda: PdfFile(request.path, request.name, request.limits)
    content = request.cache.get(
        ("pdf", request.fingerprint),
        lambda: to_pdf(request.path, request.found, request.name, request.limits),
    )
    return lambda: PdfFile(content, request.name, request.limits)


def _open_document(request: _Request, open_pages: Callable[[], Pages]) -> Attachment:
    """Choose pages and the size of each, within the tokens that they share; renders nothing."""
    name, limits, view = request.name, request.limits, request.view
    notes, pages = request.notes, request.choice.pages
    with open_pages() as document:
        count = document.page_count
        if pages is None or not pages.strip():
            numbers = tuple(range(1, min(count, limits.max_pages) + 1))
            if count > len(numbers):
                first = f"first {len(numbers)} are" if len(numbers) > 1 else "first is"
                notes = (*notes, f"{name} has {count:,} pages; the {first} used unless you choose.")
        else:
            numbers = parse_page_ranges(pages, count, name)
        if len(numbers) > limits.max_pages:
            raise MediaError(
                f"{len(numbers):,} pages of {name} are chosen, more than the {limits.max_pages:,} "
                'allowed; choose fewer, for example "1-20"'
            )
        headings = [view.count_tokens(page_heading(number, name)) for number in numbers]
        share = limits.max_tokens // len(numbers) - max(headings) - view.image_tokens((0, 0))
        budget = min(request.choice.max_item_tokens or share, share)
        items = []
        for number, heading in zip(numbers, headings, strict=True):
            natural = document.natural_size(number)
            sent = _image_size(view, natural, budget, f"page {number} of {name}")
            tokens = heading + view.image_tokens(sent)
            items.append(Item(f"Page {number}", tokens, natural, sent))
    return DocumentAttachment(
        name,
        items,
        open_pages=open_pages,
        numbers=numbers,
        fingerprint=request.fingerprint,
        cache=request.cache,
        page_count=count,
        notes=notes,
    )


def _open_video(request: _Request) -> Attachment:
    fps, max_frames = request.choice.fps, request.choice.max_frames
    if fps is not None and fps > MAX_FPS:
        raise MediaError(
            f"{fps:g} frames per second of {request.name} are chosen, more than the "
            f"{MAX_FPS:,.0f} allowed; choose fewer"
        )
    clip = open_clip(request.path, name=request.name, limits=request.limits)
    try:
        frames = request.view.video_processor.sample(clip, fps, max_frames)
        return VideoAttachment(
            clip,
            frames,
            request.view,
            max_item_tokens=request.choice.max_item_tokens,
            fingerprint=request.fingerprint,
            cache=request.cache,
            notes=request.notes,
        )
    except ValueError as error:
        raise MediaError(f"{request.name} cannot be used: {error}") from error


def _image_size(
    view: ModelView, size: tuple[int, int], max_tokens: int | None, name: str
) -> tuple[int, int]:
    try:
        return view.image_size(size, max_tokens)
    except ValueError as error:
        raise MediaError(f"{name} cannot be used: {error}") from error
