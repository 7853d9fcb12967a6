"""What a person attaches or types -> what the network reads, and back. Lists the public names.

A name is imported when it is first used, so that the page can open before torch is in memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.processing.attachment import Attachment, Item, check_message, mixing_note
    from model.processing.chat_template import ChatTemplate
    from model.processing.choice import WHOLE, Choice
    from model.processing.clip import Clip, ClipFrames, SampledFrame, open_clip
    from model.processing.frame_sampling import VideoMetadata
    from model.processing.image import open_image
    from model.processing.image_processor import Glm4vImageProcessor
    from model.processing.limits import MAX_IMAGE_PIXELS, Limits
    from model.processing.media import MediaError
    from model.processing.model_view import ModelView
    from model.processing.opening import open_attachment
    from model.processing.processing_cache import ProcessingCache
    from model.processing.processor import Glm4vProcessor
    from model.processing.resize import smart_resize
    from model.processing.stream_decoder import StreamDecoder
    from model.processing.tokenizer import Glm4vTokenizer
    from model.processing.video_processor import Glm4vVideoProcessor

_MODULES = {
    "Attachment": "model.processing.attachment",
    "Item": "model.processing.attachment",
    "check_message": "model.processing.attachment",
    "mixing_note": "model.processing.attachment",
    "ChatTemplate": "model.processing.chat_template",
    "WHOLE": "model.processing.choice",
    "Choice": "model.processing.choice",
    "Clip": "model.processing.clip",
    "ClipFrames": "model.processing.clip",
    "SampledFrame": "model.processing.clip",
    "open_clip": "model.processing.clip",
    "VideoMetadata": "model.processing.frame_sampling",
    "open_image": "model.processing.image",
    "Glm4vImageProcessor": "model.processing.image_processor",
    "MAX_IMAGE_PIXELS": "model.processing.limits",
    "Limits": "model.processing.limits",
    "MediaError": "model.processing.media",
    "ModelView": "model.processing.model_view",
    "open_attachment": "model.processing.opening",
    "ProcessingCache": "model.processing.processing_cache",
    "Glm4vProcessor": "model.processing.processor",
    "smart_resize": "model.processing.resize",
    "StreamDecoder": "model.processing.stream_decoder",
    "Glm4vTokenizer": "model.processing.tokenizer",
    "Glm4vVideoProcessor": "model.processing.video_processor",
}

__all__ = [
    "MAX_IMAGE_PIXELS",
    "WHOLE",
    "Attachment",
    "ChatTemplate",
    "Choice",
    "Clip",
    "ClipFrames",
    "Glm4vImageProcessor",
    "Glm4vProcessor",
    "Glm4vTokenizer",
    "Glm4vVideoProcessor",
    "Item",
    "Limits",
    "MediaError",
    "ModelView",
    "ProcessingCache",
    "SampledFrame",
    "StreamDecoder",
    "VideoMetadata",
    "check_message",
    "mixing_note",
    "open_attachment",
    "open_clip",
    "open_image",
    "smart_resize",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'model.processing' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
