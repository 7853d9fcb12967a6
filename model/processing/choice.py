"""What of a file is wanted: which pages or frames, and at what resolution."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of a file is wanted; None leaves it to the checkpoint and the limits.

    Attributes:
        pages: of a document, such as "1-5, 9"; by default the first ones that fit.
        fps: frames per second of a video, at most 1,000, in the place of the model's own rule.
        max_frames: of a video, at least 2, in the place of the rule's own cap.
        max_item_tokens: the resolution, as the most tokens of an image, a page or a pair of frames;
            by default as the model sees it, and for documents what fits ``Limits.max_tokens``.
        animation_as_video: take an animated GIF, PNG or WebP as a video instead of its first frame.
    """

    pages: str | None = None
    fps: float | None = None
    max_frames: int | None = None
    max_item_tokens: int | None = None
    animation_as_video: bool = False


# everything, as the model's own rules have it
WHOLE = Choice()
