"""Prompt to tokens: a batch at once, or a stream that stops computing when it is closed."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from model.cache import KVCache
from model.config import Glm4vMoeConfig
from model.generation_config import Plan, make_plan
from model.sampling import pick

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration


# Room made at once for an answer; most end before.
EXPECTED_NEW_TOKENS = 1024


def check_prompt_length(tokens: int, config: Glm4vMoeConfig) -> None:
    """Raise ValueError if a prompt of ``tokens`` leaves no room for an answer."""
    context = config.text_config.max_position_embeddings
    if tokens >= context:
        raise ValueError(
            f"the prompt has {tokens} tokens and the model's context holds {context}; shorten the "
            "conversation, or attach fewer or smaller images"
        )


def check_prompt(
    input_ids: Tensor, attention_mask: Tensor | None, has_media: bool, config: Glm4vMoeConfig
) -> None:
    """Raise ValueError for a prompt that would be answered with nonsense, or not at all."""
    if input_ids.ndim != 2 or input_ids.numel() == 0:
        raise ValueError(f"input_ids must be (batch, tokens), got {tuple(input_ids.shape)}")
    check_prompt_length(input_ids.shape[1], config)
    if attention_mask is not None:
        if attention_mask.shape != input_ids.shape:
            raise ValueError(
                f"attention_mask is {tuple(attention_mask.shape)}; expected that of input_ids, "
                f"{tuple(input_ids.shape)}"
            )
        if not bool(attention_mask[:, -1].all()):
            raise ValueError(
                "the last token of a row is padding, and an answer goes on from the last token; "
                "pad on the left"
            )
    if not has_media and bool((input_ids == config.image_token_id).any()):
        raise ValueError("the prompt has image tokens; give pixel_values or pixel_values_videos")


class Step(NamedTuple):
    """One more token of every row.

    Attributes:
        token: (B,) int64; ``pad_token_id`` for rows that have stopped.
        logits: (B, V), what the network said of it, before penalties and temperature.
    """

    token: Tensor
    logits: Tensor

    def logprobs(self) -> Tensor:
        """Return the natural logarithm of each row's token's probability, (B,) float32."""
        chosen = self.logits.gather(-1, self.token[:, None])[:, 0].float()
        return chosen - self.logits.float().logsumexp(dim=-1)


class _Generation:
    """State of one request: the text so far, its cache, who has finished."""

    def __init__(
        self,
        model: Glm4vMoeForConditionalGeneration,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        media: dict[str, Tensor | None],
        plan: Plan,
    ) -> None:
        self.model = model
        self.ids = input_ids
        padded = attention_mask is not None and not bool(attention_mask.all())
        self.mask = attention_mask if padded else None
        self.media = media
        self.plan = plan
        self.stop = torch.tensor(plan.eos_token_id, dtype=torch.int64, device=input_ids.device)
        capacity = input_ids.shape[1] + min(plan.max_new_tokens, EXPECTED_NEW_TOKENS)
        self.cache = KVCache(model.config.text_config.num_hidden_layers, capacity)
        self.finished = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        self.generator = plan.generator(input_ids.device)
        thoughts = [plan.thought(row) for row in input_ids]
        self.thoughts = [thought for thought in thoughts if thought is not None]  # all or none

    @torch.inference_mode()
    def step(self) -> Step:
        """Compute the next token of every row; rows that have finished get padding."""
        out = self.model(
            self.ids[:, self.cache.length :],
            self.mask,
            past_key_values=self.cache,
            logits_to_keep=1,
            use_cache=True,
            **self.media,
        )
        self.media = {}
        # the head may be on another device than the ids
        logits = out.logits[:, -1].to(self.ids.device)
        allowed = logits
        if self.thoughts:
            rows = zip(self.thoughts, logits, strict=True)
            allowed = torch.stack([thought.allowed(row) for thought, row in rows])
        token = pick(allowed, self.plan.sampling, self.ids, self.generator)
        if self.thoughts:
            chosen = zip(self.thoughts, token.tolist(), strict=True)
            token = token.new_tensor([thought.take(token_id) for thought, token_id in chosen])
        token = token.masked_fill(self.finished, self.plan.pad_token_id)
        self.finished |= torch.isin(token, self.stop)
        self.ids = torch.cat((self.ids, token[:, None]), dim=1)
        if self.mask is not None:
            self.mask = torch.cat((self.mask, torch.ones_like(self.mask[:, :1])), dim=1)
        return Step(token, logits)


def stream_tokens(
    model: Glm4vMoeForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    *,
    pixel_values: Tensor | None = None,
    pixel_values_videos: Tensor | None = None,
    image_grid_thw: Tensor | None = None,
    video_grid_thw: Tensor | None = None,
    mm_token_type_ids: Tensor | None = None,
    **options: Any,
) -> Generator[Step, None, None]:
    """Yield the next token of every row, step by step, until all rows have stopped.

    All of the request's state is in the iterator: closing it frees everything and stops computing.

    Args:
        model: in evaluation mode.
        input_ids: (B, T) int64; shorter rows padded on the left.
        attention_mask: (B, T), 0 for padding.
        pixel_values: as `Glm4vMoeModel.forward`; so are the other media.
        options: as `model.generation_config.make_plan`. The token that stops a row is yielded too.

    Raises:
        ValueError: an empty prompt or one that fills the context, padding on the right, image
            tokens without an image, or a setting out of range; before anything is computed.
    """
    media = {
        "pixel_values": pixel_values,
        "pixel_values_videos": pixel_values_videos,
        "image_grid_thw": image_grid_thw,
        "video_grid_thw": video_grid_thw,
        "mm_token_type_ids": mm_token_type_ids,
    }
    has_media = pixel_values is not None or pixel_values_videos is not None
    check_prompt(input_ids, attention_mask, has_media, model.config)
    plan = make_plan(model, input_ids.shape[1], **options)
    return _run(_Generation(model, input_ids, attention_mask, media, plan), plan.max_new_tokens)


def _run(generation: _Generation, steps: int) -> Generator[Step, None, None]:
    for _ in range(steps):
        token, logits = generation.step()
        # a copy made outside inference mode is an ordinary tensor
        yield Step(token.clone(), logits)
        if bool(generation.finished.all()):
            return


def generate(
    model: Glm4vMoeForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Return prompts with their answers.

    Args:
        model: in evaluation mode.
        input_ids: (B, T) int64; shorter rows padded on the left.
        attention_mask: (B, T), 0 for padding.
        options: as `stream_tokens`.

    Returns:
        (B, T + new) int64; rows that stopped early are filled up with ``pad_token_id``.

    Raises:
        ValueError: as `stream_tokens`.
    """
    tokens = [
        step.token[:, None] for step in stream_tokens(model, input_ids, attention_mask, **options)
    ]
    return torch.cat((input_ids, *tokens), dim=1)
