"""How much a person may attach: set by the operator, checked on the server before decoding."""

from __future__ import annotations

from dataclasses import dataclass, fields

MIB = 1024 * 1024

# Pillow's own warning threshold: 256 MiB of RGB.
MAX_IMAGE_PIXELS = 89_478_485


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one attachment, and of the tokens of one message."""

    max_bytes: int = 512 * MIB  # size of the file; ten minutes of screen recording take 100-300 MiB
    max_pixels: int = MAX_IMAGE_PIXELS  # of an image, a TIFF page, or one frame of a video
    # 50 pages that share max_tokens get 983 each: 90 dpi, the least at which small print is legible
    max_pages: int = 50
    max_frames: int = 640  # as many as GLM-4.6V's own rule takes at most
    max_duration_s: float = 3600.0
    # three quarters of GLM-4.5V's 65,536: the rest is for the question and the answer
    max_tokens: int = 49_152
    max_text_bytes: int = MIB  # of a text file: more would not fit max_tokens in any language
    max_unpacked_bytes: int = 512 * MIB  # of an Office document, which is a ZIP archive
    max_office_s: float = 90.0  # for LibreOffice to convert one document
    # computing time to open a PDF and draw a page of it, in a process of its own: a map of a
    # million short strokes takes 1.2 s on one core
    max_page_s: float = 1.6
    max_memory_bytes: int = 1024 * MIB  # of that process

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be positive, got {value}")
