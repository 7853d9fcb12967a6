"""A conversation -> what the engine computes, and what reads the answer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from model.backends.answer_reader import AnswerReader
from model.backends.base import Event, Message, Reply
from model.backends.continuing import WrittenAnswers, find_cut, shown_of, spell
from model.backends.thinking import OPENING_TAG

if TYPE_CHECKING:
    from model.processing import Glm4vProcessor

MODEL_INPUTS = (
    "input_ids",
    "mm_token_type_ids",
    "pixel_values",
    "image_grid_thw",
    "pixel_values_videos",
    "video_grid_thw",
)


@dataclass(frozen=True, slots=True)
class LocalPrompt:
    """One question, ready to be computed.

    Attributes:
        inputs: of the model, what is written of the answer included.
        question: token ids, without what is written.
        written: token ids of an answer that is gone on with.
        reader: of what comes.
        unseen: what the written tokens say beyond what stands in the conversation.
    """

    inputs: dict[str, Any]
    question: list[int]
    written: list[int]
    reader: AnswerReader
    unseen: list[Event]


def build_prompt(
    processor: Glm4vProcessor,
    messages: list[Message],
    *,
    enable_thinking: bool,
    answers: WrittenAnswers,
) -> LocalPrompt:
    """Prepare a conversation; one that ends with an answer is gone on with.

    Args:
        processor: of the model.
        messages: as `ChatBackend.stream` takes them.
        enable_thinking: ask for a thought; an answer that has one is asked for with it.
        answers: in which the tokens of the last one are looked up.
    """
    shown = Reply()
    if messages and messages[-1]["role"] == "assistant":
        *messages, last = messages
        shown = shown_of(last)
    inputs = processor.apply_chat_template(
        messages, enable_thinking=enable_thinking or bool(shown.thinking), tokenize=True
    )
    question = inputs["input_ids"][0].tolist()
    # at worst spelled in bytes: as many ids as the tag has characters, and a newline
    end = processor.decode(question[-len(OPENING_TAG) - 2 :]).rstrip()

    def new_reader() -> AnswerReader:
        return AnswerReader(processor.tokenizer, inside=end.endswith(OPENING_TAG))

    reader, written = new_reader(), []
    if shown.thinking or shown.answer:
        for tokens in answers.find(question):
            if (cut := find_cut(tokens, shown, new_reader())) is not None:
                written = tokens[:cut]
                break
        else:
            written = spell(processor, shown, end)
        added = inputs["input_ids"].new_tensor([written])
        inputs["input_ids"] = _joined(inputs["input_ids"], added)
        types = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = _joined(types, types.new_zeros(added.shape))
    return LocalPrompt(
        {name: inputs[name] for name in MODEL_INPUTS if name in inputs},
        question,
        written,
        reader,
        reader.go_on_from(written, shown),
    )


def _joined(before: Any, after: Any) -> Any:
    import torch

    return torch.cat((before, after), dim=1)


def tell(processor: Glm4vProcessor, ids: list[int]) -> str:
    """Return a prompt as text, its special tokens too; the many tokens of a picture are counted."""
    from model.processing.processor import IMAGE

    image = processor.tokenizer.added_tokens[IMAGE]
    pieces = []
    for is_image, run in groupby(ids, lambda token: token == image):
        tokens = list(run)
        pieces.append(f"{IMAGE} x {len(tokens):,}" if is_image else processor.decode(tokens))
    return "".join(pieces)
