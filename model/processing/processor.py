"""Conversation -> tensors: the chat template, the tokenizer and the media processors together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.processing.chat_template import ChatTemplate
from model.processing.checkpoint_files import (
    find_folder,
    read_json,
    read_processor_settings,
    uses_glm46v_rules,
)
from model.processing.image_processor import Glm4vImageProcessor
from model.processing.marking import TextMarker
from model.processing.messages import Conversation, read_messages, require_media
from model.processing.processing_cache import ProcessingCache
from model.processing.tokenizer import Glm4vTokenizer
from model.processing.video_processor import Glm4vVideoProcessor

IMAGE = "<|image|>"
VIDEO = "<|video|>"

# Model-written markup that stays markup when an answer is sent back as history.
BOX_TOKENS = ("<|begin_of_box|>", "<|end_of_box|>")
# GLM-4.1V's template takes answers verbatim, thought included.
VERBATIM_TOKENS = (*BOX_TOKENS, "<think>", "</think>", "<answer>", "</answer>")

Message = Mapping[str, Any]


class Glm4vProcessor:
    """Prepares prompts of GLM-4.1V, GLM-4.5V and GLM-4.6V.

    Args:
        is_glm46v: write timestamps as GLM-4.6V reads them.
    """

    def __init__(
        self,
        image_processor: Glm4vImageProcessor,
        video_processor: Glm4vVideoProcessor,
        tokenizer: Glm4vTokenizer,
        chat_template: ChatTemplate,
        *,
        is_glm46v: bool = False,
    ) -> None:
        self.image_processor = image_processor
        self.video_processor = video_processor
        self.tokenizer = tokenizer
        self.chat_template = chat_template
        self.is_glm46v = is_glm46v
        missing = [t for t in (IMAGE, VIDEO) if t not in tokenizer.added_tokens]
        if missing:
            raise ValueError(f"tokenizer.json lacks the tokens {missing}; is this a GLM-4V model?")

    @classmethod
    def from_pretrained(
        cls, path_or_hub_id: str | Path, *, cache: ProcessingCache | None = None
    ) -> Glm4vProcessor:
        """Read the small files of a checkpoint folder, or download them for a hub id.

        Args:
            cache: keeps resized images and frames, so that those of earlier turns are not decoded
                or resized again.
        """
        folder = find_folder(path_or_hub_id)
        return cls(
            Glm4vImageProcessor.from_pretrained(folder, cache=cache),
            Glm4vVideoProcessor.from_pretrained(folder, cache=cache),
            Glm4vTokenizer.from_pretrained(folder),
            ChatTemplate.from_pretrained(folder),
            is_glm46v=uses_glm46v_rules(
                read_processor_settings(folder, "image"),
                read_json(folder, "processor_config.json"),
                read_json(folder, "tokenizer_config.json"),
            ),
        )

    def __call__(
        self,
        text: str | Sequence[str],
        images: Sequence[Any] | None = None,
        videos: Sequence[Any] | None = None,
        video_metadata: Sequence[Any] | None = None,
    ) -> dict[str, Tensor]:
        """Turn finished prompts into tensors; their special tokens are taken at their word.

        Text that people typed belongs into ``apply_chat_template``, which keeps it apart.

        Args:
            text: B prompts with one ``<|image|>`` or ``<|video|>`` where each medium belongs.
            images: all images, in the order of their placeholders over all prompts.
            videos: likewise; paths, arrays or sequences of frames.
            video_metadata: what is known about each video of decoded frames.

        Returns:
            input_ids, attention_mask, mm_token_type_ids: (B, T) int64, padded on the left; the
                types are 1 at image tokens, 2 at those of a video, else 0.
            pixel_values, image_grid_thw: as from the image processor, if there are images.
            pixel_values_videos, video_grid_thw: as from the video processor, if there are videos.

        Raises:
            ValueError: placeholders and media do not match in number.
            MediaError: an attachment cannot be used.
        """
        texts = [text] if isinstance(text, str) else list(text)
        return self._prepare(texts, images or [], videos or [], video_metadata, marker=None)

    def apply_chat_template(
        self,
        messages: Sequence[Message] | Sequence[Sequence[Message]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
        tokenize: bool = True,
    ) -> Any:
        """Turn a conversation, or several, into the prompt or into tensors ready for the model.

        Nothing that stands in a message or a tool can become an added token of the tokenizer,
        except box markers in past answers; the template's own are tokens.

        Args:
            messages: ``[{"role": ..., "content": text or parts}]``; an image part is
                ``{"type": "image", "image": whatever open_image takes}``, a video part
                ``{"type": "video", "video": ..., "metadata": ...}``.
            tools: JSON schemas of the functions that the model may call.
            add_generation_prompt: end with the opening of the assistant's turn.
            enable_thinking: False asks for an answer without a thought, where the model can.
            tokenize: False returns the prompt text (a list of them for several conversations).

        Returns:
            The prompt text, or the dict that calling the processor returns.

        Raises:
            ValueError: a malformed conversation.
            MediaError: an attachment cannot be used.
        """
        is_batch = bool(messages) and not isinstance(messages[0], Mapping)
        given: Any = messages if is_batch else [messages]
        conversations = [
            read_messages(
                each,
                split_thoughts=self.chat_template.knows_reasoning,
                join_tool_results=not self.is_glm46v,
            )
            for each in given
        ]
        marker = TextMarker(
            self.tokenizer.added_tokens,
            [self.chat_template.source, [c.messages for c in conversations], tools],
        )
        prompts = [
            self.chat_template.render(
                self._marked(conversation, marker),
                tools=marker.mark(tools),
                add_generation_prompt=add_generation_prompt,
                enable_thinking=enable_thinking,
                marker=marker.marker,
            )
            for conversation in conversations
        ]
        if not tokenize:
            plain = [marker.remove(prompt) for prompt in prompts]
            return plain if is_batch else plain[0]
        for conversation in conversations:
            require_media(conversation)
        return self._prepare(
            prompts,
            [image for c in conversations for image in c.images],
            [video for c in conversations for video in c.videos],
            [about for c in conversations for about in c.video_metadata],
            marker=marker.marker,
        )

    def decode(self, ids: int | Iterable[int] | Tensor, skip_special_tokens: bool = False) -> str:
        """Turn the ids of one sequence into text; see ``Glm4vTokenizer.decode``."""
        return self.tokenizer.decode(ids, skip_special_tokens)

    def encode_answer(self, text: str) -> list[int]:
        """Return the ids of text that the model wrote: its own markup is tokens, all else text."""
        marker = TextMarker(self.tokenizer.added_tokens, [text])
        marked = marker.mark(text, keep=self._answer_tokens)
        return self.tokenizer.encode_marked(marked, marker.marker)

    def stamp(self, second: float) -> str:
        """Return a time as this model's training prompts write it behind a pair of frames."""
        return f"{second:.1f} seconds" if self.is_glm46v else str(int(second))

    @property
    def _answer_tokens(self) -> tuple[str, ...]:
        """What stays a token in a past answer."""
        return BOX_TOKENS if self.chat_template.knows_reasoning else VERBATIM_TOKENS

    def _marked(self, conversation: Conversation, marker: TextMarker) -> list[dict[str, Any]]:
        """Mark look-alikes everywhere; past answers keep the markup that the model wrote."""
        marked = []
        for message in conversation.messages:
            clean = marker.mark(message)
            if message["role"] == "assistant":
                clean["content"] = marker.mark(message["content"], keep=self._answer_tokens)
            marked.append(clean)
        return marked

    def _prepare(
        self,
        prompts: list[str],
        images: Sequence[Any],
        videos: Sequence[Any],
        video_metadata: Sequence[Any] | None,
        *,
        marker: str | None,
    ) -> dict[str, Tensor]:
        """Process the media, put their tokens into the prompts, encode and pad."""
        typed = f"(?<!{re.escape(marker)})" if marker else ""
        placeholder = re.compile(f"{typed}({re.escape(IMAGE)}|{re.escape(VIDEO)})")
        found = [match[1] for prompt in prompts for match in placeholder.finditer(prompt)]
        for token, given, what in ((IMAGE, images, "image"), (VIDEO, videos, "video")):
            if found.count(token) != len(given):
                raise ValueError(
                    f"the prompt has {found.count(token)} {token} placeholder(s) but {len(given)} "
                    f"{what}(s) were given; put one where each {what} belongs"
                )
        tensors: dict[str, Tensor] = {}
        replacements: dict[str, Iterator[str]] = {}
        if images:
            tensors |= self.image_processor(images)
            replacements[IMAGE] = self._image_tokens(tensors["image_grid_thw"])
        if videos:
            processed = self.video_processor(videos, video_metadata)
            timestamps = processed.pop("timestamps")
            tensors |= processed
            replacements[VIDEO] = self._video_tokens(tensors["video_grid_thw"], timestamps)

        rows = []
        for prompt in prompts:
            prompt = placeholder.sub(lambda match: next(replacements[match[1]]), prompt)
            if marker:
                rows.append(self.tokenizer.encode_marked(prompt, marker))
            else:
                rows.append(self.tokenizer.encode(prompt, allow_special=True))
        return {**self._padded(rows), **tensors}

    def _image_tokens(self, grids: Tensor) -> Iterator[str]:
        """Yield what takes the place of each image's placeholder; grids: (images, 3) int64."""
        merged = self.image_processor.settings.merge_size**2
        for grid in grids:
            yield IMAGE * (int(grid.prod()) // merged)

    def _video_tokens(self, grids: Tensor, timestamps: list[list[float]]) -> Iterator[str]:
        """Yield what takes the place of each video's placeholder; grids: (videos, 3) int64.

        The network knows one placeholder: the frames of a video are filled with image tokens too.
        """
        merged = self.video_processor.settings.merge_size**2
        for (_, rows, columns), seconds in zip(grids.tolist(), timestamps, strict=True):
            frame = f"<|begin_of_image|>{IMAGE * (rows * columns // merged)}<|end_of_image|>"
            yield "".join(frame + self.stamp(second) for second in seconds)

    def _padded(self, rows: list[list[int]]) -> dict[str, Tensor]:
        """Pad on the left, so that generation continues each row at its end."""
        length = max(map(len, rows), default=0)
        input_ids = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        attention_mask = torch.zeros(len(rows), length, dtype=torch.long)
        for i, ids in enumerate(rows):
            input_ids[i, length - len(ids) :] = torch.tensor(ids, dtype=torch.long)
            attention_mask[i, length - len(ids) :] = 1
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "mm_token_type_ids": self._types(input_ids),
        }

    def _types(self, input_ids: Tensor) -> Tensor:
        """Tell image tokens (1) from those between the markers of a video (2); (B, T) int64."""
        token = self.tokenizer.added_tokens
        starts = (input_ids == token.get("<|begin_of_video|>", -1)).cumsum(-1)
        ends = (input_ids == token.get("<|end_of_video|>", -1)).cumsum(-1)
        return (input_ids == token[IMAGE]).long() * (1 + (starts > ends).long())
