"""What a person attaches or types -> what the network reads, and back."""

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
