"""What the model makes of pixels and text: sizes and tokens, known before anything is processed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from model.processing.frame_sampling import GLM4V_FPS, GLM4V_MAX_DURATION_S
from model.processing.patches import PatchSettings
from model.processing.processor import Glm4vProcessor
from model.processing.video_processor import DEFAULT_MAX_PIXELS as VIDEO_MAX_PIXELS
from model.processing.video_processor import Glm4vVideoProcessor

# The markers that the chat template puts around an image, a pair of frames, or a video.
MARKER_TOKENS = 2

# Rounding to whole patches settles after one or two; extreme shapes take a few more.
MAX_ROUNDINGS = 20

# size of preprocessor_config.json and of video_preprocessor_config.json, in every published
# checkpoint of GLM-4.5V and GLM-4.6V
PUBLISHED_IMAGE = PatchSettings(112 * 112, 9_633_792)
PUBLISHED_VIDEO = PatchSettings(112 * 112, VIDEO_MAX_PIXELS)


def estimate_tokens(text: str) -> int:
    """Guess how many tokens a text takes when no tokenizer is at hand, rather too many.

    Byte-level vocabularies of this size take 3 to 4 bytes a token in European and Chinese prose.
    """
    return math.ceil(len(text.encode("utf-8", "replace")) / 3)


@dataclass(frozen=True, slots=True)
class ModelView:
    """What decides how the answering model sees attachments; by default the published GLM-4.5V.

    Attributes:
        image_settings: budget and patch sizes of images and pages.
        video_processor: the same for videos, and the rule by which frames are chosen.
        count_tokens: of a text.
        stamp: text of a time, as the prompt has it behind a pair of frames.
    """

    image_settings: PatchSettings = PUBLISHED_IMAGE
    video_processor: Glm4vVideoProcessor = field(
        default_factory=lambda: Glm4vVideoProcessor(
            PUBLISHED_VIDEO, fps=GLM4V_FPS, max_duration=GLM4V_MAX_DURATION_S
        )
    )
    count_tokens: Callable[[str], int] = estimate_tokens
    stamp: Callable[[float], str] = lambda second: str(int(second))

    @classmethod
    def of(cls, processor: Glm4vProcessor) -> ModelView:
        """Return the view of a checkpoint's processor."""
        return cls(
            processor.image_processor.settings,
            processor.video_processor,
            lambda text: len(processor.tokenizer.encode(text)),
            processor.stamp,
        )

    def image_size(self, size: tuple[int, int], max_tokens: int | None = None) -> tuple[int, int]:
        """Return the (width, height) at which an image of such a size is seen, in pixels.

        Args:
            size: (width, height) of the image.
            max_tokens: see it smaller than the checkpoint would, in this many tokens.

        Raises:
            ValueError: one side is more than 200 times the other.
        """
        return _target(
            self.image_settings, self.image_settings.temporal_patch_size, size, max_tokens
        )

    def frame_size(
        self, size: tuple[int, int], count: int, max_tokens: int | None = None
    ) -> tuple[int, int]:
        """Return the (width, height) at which each of ``count`` frames is seen, in pixels.

        Args:
            size: (width, height) of the video.
            count: frames that share the budget.
            max_tokens: of a pair of frames.

        Raises:
            ValueError: one side is more than 200 times the other.
        """
        return _target(self.video_processor.settings, count, size, max_tokens)

    def image_tokens(self, size: tuple[int, int]) -> int:
        """Count what an image seen at this (width, height) takes of the prompt."""
        return _patches(self.image_settings, size) + MARKER_TOKENS

    def video_tokens(self, size: tuple[int, int], seconds: Iterable[float]) -> list[int]:
        """Count what each pair of frames seen at this (width, height) takes of the prompt.

        Args:
            seconds: time of each pair's first frame.
        """
        pixels = _patches(self.video_processor.settings, size) + MARKER_TOKENS
        return [pixels + self.count_tokens(self.stamp(second)) for second in seconds]


def _patches(settings: PatchSettings, size: tuple[int, int]) -> int:
    return size[0] * size[1] // (settings.patch_size * settings.merge_size) ** 2


def _target(
    settings: PatchSettings, count: int, size: tuple[int, int], max_tokens: int | None
) -> tuple[int, int]:
    """Return the (width, height) for ``count`` frames within a budget that may be lowered.

    Whoever resizes to it may hand the result to the checkpoint's own processor, which leaves it as
    it is. Slim pictures can take more than ``max_tokens`` for that: no side is below 28 pixels.
    """
    lowered = settings
    if max_tokens is not None:
        pixels = max(1, max_tokens) * (settings.patch_size * settings.merge_size) ** 2 * count
        # below the least that the checkpoint sees, its own processor would enlarge it again
        pixels = min(max(pixels, settings.min_pixels), settings.max_pixels)
        lowered = replace(settings, max_pixels=pixels)
    height, width = lowered.target_size(count, size[1], size[0])
    for _ in range(MAX_ROUNDINGS):
        again = settings.target_size(count, height, width)
        if again == (height, width):
            break
        height, width = again
    return width, height
