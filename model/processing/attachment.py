"""A file that a person attaches: what the model will see of it, what that costs, and the parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from model.processing.limits import Limits
from model.processing.media import MediaError

MIXING_NOTE = "The model was not trained on images and videos in one message; it may mix them up."


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the model sees: an image, a page, a frame, or a text.

    Attributes:
        label: "Page 3", "0:12.5", or nothing.
        tokens: what it takes of the prompt, the label and the markers around it included.
        original_size: (width, height) in pixels before resizing; None for text.
        sent_size: (width, height) at which the model sees it; None for text.
    """

    label: str
    tokens: int
    original_size: tuple[int, int] | None = None
    sent_size: tuple[int, int] | None = None


class Attachment(ABC):
    """A file as the model will see it. Never changes; ``open_attachment`` opens one.

    Its file must stay where it is: pages and frames are made from it when they are asked for.

    Attributes:
        kind: what it is to the model.
        name: as people and the model see it.
        items: in the order in which the model sees them.
        notes: sentences for the person, about what is not as it may seem.
        overhead: tokens besides those of the items.
        page_count: pages of the whole document; 0 for what has none.
        duration_s: seconds of the whole video; 0 for what has none.
        is_animation: whether it is the first frame of an animation that could be a video.
    """

    kind: Literal["image", "document", "text", "video"]
    is_animation: bool = False

    def __init__(
        self,
        name: str,
        items: Sequence[Item],
        *,
        notes: Sequence[str] = (),
        overhead: int = 0,
        page_count: int = 0,
        duration_s: float = 0.0,
    ) -> None:
        self.name = name
        self.items = tuple(items)
        self.notes = tuple(notes)
        self.overhead = overhead
        self.page_count = page_count
        self.duration_s = duration_s

    @property
    def tokens(self) -> int:
        """Tokens of the prompt that the attachment takes."""
        return self.overhead + sum(item.tokens for item in self.items)

    @abstractmethod
    def pictures(self) -> Iterator[Image.Image]:
        """Yield what will be sent for each item, in order and as soon as it is made; RGB.

        Nothing for text. Closing the iterator stops the work.

        Raises:
            MediaError: a page or a frame is damaged, or the file is gone.
        """

    @abstractmethod
    def content(self, pictures: Sequence[Image.Image] | None = None) -> list[dict[str, Any]]:
        """Return the parts of a message, for ``Glm4vProcessor.apply_chat_template``.

        Args:
            pictures: all that ``pictures`` yields, where they were made already.

        Raises:
            MediaError: as ``pictures``.
        """


def check_message(attachments: Sequence[Attachment], limits: Limits) -> None:
    """Check the attachments of one message together, before anything is sent.

    Raises:
        MediaError: more tokens than allowed; the message names the largest file.
    """
    total = sum(attachment.tokens for attachment in attachments)
    if total > limits.max_tokens:
        largest = max(attachments, key=lambda attachment: attachment.tokens)
        raise MediaError(
            f"{largest.name} takes {largest.tokens:,} of the {total:,} tokens of this message, "
            f"more than the {limits.max_tokens:,} allowed; {remedy(largest.kind)}"
        )


def mixing_note(attachments: Sequence[Attachment]) -> str | None:
    """Return a sentence about images (or pages) next to videos in one message, or None.

    The vendor's maintainers say that no training message had both.
    """
    kinds = {attachment.kind for attachment in attachments}
    return MIXING_NOTE if "video" in kinds and kinds & {"image", "document"} else None


def remedy(kind: str) -> str:
    """Say how such an attachment takes fewer tokens."""
    return {
        "image": "lower its resolution or remove it",
        "document": "choose fewer pages or a lower resolution",
        "text": "attach the part that the question is about",
        "video": "choose fewer frames per second or a lower resolution",
    }[kind]
