"""The whole model: vision tower, decoder, language head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.cache import KVCache
from model.config import Glm4vMoeConfig
from model.decoder import Glm4vMoeTextModel, padding_of, past_length, text_positions
from model.generate import generate
from model.generation_config import GenerationConfig
from model.layers import Linear
from model.outputs import Glm4vMoeCausalLMOutputWithPast, Glm4vMoeModelOutputWithPast
from model.positions import IMAGE, VIDEO, mrope_positions, token_types_of
from model.vision import Glm4vMoeVisionModel
from model.weights import initialize

if TYPE_CHECKING:
    from model.checkpoint.progress import Progress


class Glm4vMoeModel(nn.Module):
    """Vision tower and decoder, without a head."""

    def __init__(self, config: Glm4vMoeConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = Glm4vMoeVisionModel(config.vision_config)
        self.language_model = Glm4vMoeTextModel(config.text_config)

    def get_image_features(
        self,
        pixel_values: Tensor,
        grid_thw: Tensor,
        between_layers: Callable[[], None] | None = None,
    ) -> Tensor:
        """Return the (N / merge**2, C) embeddings of images or videos, in order.

        Args:
            pixel_values: as `Glm4vMoeVisionModel.forward`; so is the rest.
        """
        out = self.visual(pixel_values, grid_thw, between_layers=between_layers)
        return out.pooler_output

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: KVCache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
        rope_deltas: Tensor | None = None,
        cache_position: Tensor | None = None,
        mm_token_type_ids: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> Glm4vMoeModelOutputWithPast | tuple:
        """Run T new tokens, with the media that their image tokens stand for.

        Args:
            input_ids: (B, T) int64; or ``inputs_embeds``.
            attention_mask: (B, S) over cached and new tokens, 1 for real tokens, 0 for padding.
            position_ids: (B, T) or (3, B, T); None computes them from the media.
            past_key_values: tokens before these; gets these appended.
            inputs_embeds: (B, T, C); rows equal to a special token's embedding count as that token.
            pixel_values: (N, patch_dim) of all images of the batch, in order.
            pixel_values_videos: (N, patch_dim) of all videos.
            image_grid_thw: (images, 3) int64.
            video_grid_thw: (videos, 3) int64.
            rope_deltas: (B,) as an earlier call returned them for the cached tokens; None takes
                what the cache remembers.
            cache_position: as `Glm4vMoeTextModel.forward`.
            mm_token_type_ids: (B, T), 0 text, 1 image, 2 video; None finds out from the ids.
            use_cache: as `Glm4vMoeTextModel.forward`.
            output_hidden_states: as there; None takes what the config says, by default False.
            output_attentions: as ``output_hidden_states``.
            return_dict: False for a tuple of what is not None; None takes what the config says.

        Raises:
            ValueError: inputs that contradict each other; the message says how.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        x = self.language_model.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        media = (pixel_values, pixel_values_videos, image_grid_thw, video_grid_thw)
        types = None  # of text alone; a decoding step has no time to look
        if any(given is not None for given in media):
            types = self._types(input_ids, inputs_embeds, mm_token_type_ids)
            # a video that began in an earlier call has no begin token here
            if mm_token_type_ids is None and image_grid_thw is None and video_grid_thw is not None:
                types = types.masked_fill(types == IMAGE, VIDEO)
        for kind, pixels, grid_thw in (
            (IMAGE, pixel_values, image_grid_thw),
            (VIDEO, pixel_values_videos, video_grid_thw),
        ):
            if pixels is not None:
                assert types is not None
                x = self._insert(x, types == kind, pixels, grid_thw)

        if position_ids is None:
            past = past_length(past_key_values, cache_position, x.shape[1])
            padding = padding_of(attention_mask, x.shape[0], past + x.shape[1])
            attention_mask = None if padding is None else attention_mask
            if rope_deltas is None and past_key_values is not None:
                rope_deltas = past_key_values.rope_deltas
            deltas = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
            if rope_deltas is not None:
                deltas = deltas + rope_deltas.to(x.device).reshape(-1)
            if image_grid_thw is None and video_grid_thw is None:
                text = text_positions(padding, x.shape[0], past, x.shape[1], x.device)
                position_ids = (text + deltas[:, None]).expand(3, -1, -1)
                rope_deltas = deltas
            else:
                assert types is not None
                position_ids, rope_deltas = self._positions(
                    types, image_grid_thw, video_grid_thw, padding, past, deltas
                )
        out = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=x,
            use_cache=use_cache,
            cache_position=cache_position,
            output_hidden_states=self.config.switch("output_hidden_states", output_hidden_states),
            output_attentions=self.config.switch("output_attentions", output_attentions),
        )
        if out.past_key_values is not None:
            out.past_key_values.rope_deltas = rope_deltas
        output = Glm4vMoeModelOutputWithPast(
            last_hidden_state=out.last_hidden_state,
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
            rope_deltas=rope_deltas,
        )
        return output if self.config.switch("return_dict", return_dict) else output.to_tuple()

    def _types(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        mm_token_type_ids: Tensor | None,
    ) -> Tensor:
        """(B, T) int64 as `token_types_of` returns, unless they are given."""
        token_ids = self._special_ids(inputs_embeds) if input_ids is None else input_ids
        if mm_token_type_ids is not None:
            return mm_token_type_ids.to(token_ids.device)
        return token_types_of(token_ids, self.config)

    def _special_ids(self, inputs_embeds: Tensor | None) -> Tensor:
        """(B, T, C) -> (B, T): the special token whose embedding a row is, -1 for other rows."""
        assert inputs_embeds is not None
        config = self.config
        ids = torch.full(inputs_embeds.shape[:2], -1, device=inputs_embeds.device)
        for special in (
            config.image_token_id,
            config.video_start_token_id,
            config.video_end_token_id,
        ):
            if special < config.text_config.vocab_size:
                row = self.language_model.embed_tokens(ids.new_tensor(special))
                ids[(inputs_embeds == row).all(-1)] = special
        return ids

    def _insert(self, x: Tensor, where: Tensor, pixels: Tensor, grid_thw: Tensor | None) -> Tensor:
        """Put media embeddings at the tokens ``where`` (B, T) is true, in order."""
        if grid_thw is None:
            raise ValueError("pixel values need image_grid_thw or video_grid_thw beside them")
        features = self.get_image_features(pixels, grid_thw).to(x.device, x.dtype)
        tokens = int(where.sum())
        if tokens != len(features):
            raise ValueError(
                f"the prompt has {tokens} tokens for media that give {len(features)} embeddings; "
                "build the prompt with Glm4vProcessor, which inserts as many as each needs"
            )
        if features.shape[-1] != x.shape[-1]:
            raise ValueError(
                f"out_hidden_size of the vision tower ({features.shape[-1]}) must be the decoder's "
                f"hidden_size ({x.shape[-1]})"
            )
        return x.masked_scatter(where[..., None].to(x.device), features)

    def _positions(
        self,
        types: Tensor,
        image_grid_thw: Tensor | None,
        video_grid_thw: Tensor | None,
        padding: Tensor | None,
        past: int,
        deltas: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Position ids (3, B, T) of media after ``past`` tokens, and the new rope_deltas (B,)."""
        deltas = deltas.to(types.device)
        real_past = torch.full_like(deltas, past)
        real = torch.full_like(deltas, past + types.shape[1])
        if padding is not None:
            padding = padding.to(types.device)
            real_past, real = padding[:, :past].sum(-1), padding.sum(-1)
        position_ids, following = mrope_positions(
            types,
            image_grid_thw,
            video_grid_thw,
            self.config.vision_config.spatial_merge_size,
            None if padding is None else padding[:, past:],
            real_past + deltas,
        )
        return position_ids, following - real


class Glm4vMoeForConditionalGeneration(nn.Module):
    """GLM-4.5V: `Glm4vMoeModel` with a language head.

    Attributes:
        config: sizes.
        generation_config: the checkpoint's defaults for `generate`.
    """

    def __init__(self, config: Glm4vMoeConfig) -> None:
        super().__init__()
        self.config = config
        self.generation_config = GenerationConfig.from_model_config(config)
        self.model = Glm4vMoeModel(config)
        text = config.text_config
        self.lm_head = Linear(text.hidden_size, text.vocab_size, bias=False)
        initialize(self.lm_head, text.initializer_range)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.language_model.embed_tokens.weight

    @classmethod
    def from_pretrained(
        cls,
        path_or_hub_id: str | Path,
        dtype: str | torch.dtype = "auto",
        device_map: str | dict[str, Any] | None = None,
        *,
        offload_folder: str | Path | None = None,
        quantization: str | None = None,
        progress: Progress | None = None,
    ) -> Glm4vMoeForConditionalGeneration:
        """Load a checkpoint from a folder or the hub, in evaluation mode.

        See `model.checkpoint.load_pretrained` for arguments, memory and errors.
        """
        from model.checkpoint import load_pretrained

        return load_pretrained(
            cls,
            path_or_hub_id,
            dtype=dtype,
            device_map=device_map,
            offload_folder=offload_folder,
            quantization=quantization,
            progress=progress,
        )

    def save_pretrained(self, path: str | Path, max_shard_size: str | int = "5GB") -> None:
        """Write a checkpoint that this class and transformers load."""
        from model.checkpoint import save_pretrained

        save_pretrained(self, path, max_shard_size)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: KVCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
        rope_deltas: Tensor | None = None,
        cache_position: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        *,
        mm_token_type_ids: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> Glm4vMoeCausalLMOutputWithPast | tuple:
        """Predict the token after each of T new tokens.

        Args:
            labels: (B, T) int64, what each token should be; -100 is ignored.
            logits_to_keep: compute logits of the last so many tokens, 0 for all; or of the tokens
                at these (n,) indices.
            others: as `Glm4vMoeModel.forward`.

        Raises:
            ValueError: inputs that contradict each other; the message says how.
        """
        keep_all = isinstance(logits_to_keep, int) and logits_to_keep == 0
        if labels is not None and not keep_all:
            raise ValueError("labels need the logits of every token: leave logits_to_keep at 0")
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            pixel_values=pixel_values,
            pixel_values_videos=pixel_values_videos,
            image_grid_thw=image_grid_thw,
            video_grid_thw=video_grid_thw,
            rope_deltas=rope_deltas,
            cache_position=cache_position,
            mm_token_type_ids=mm_token_type_ids,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            return_dict=True,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(out.last_hidden_state[:, kept])
        output = Glm4vMoeCausalLMOutputWithPast(
            loss=None if labels is None else next_token_loss(logits, labels),
            logits=logits,
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
            attentions=out.attentions,
            rope_deltas=out.rope_deltas,
        )
        return output if self.config.switch("return_dict", return_dict) else output.to_tuple()

    def generate(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any
    ) -> Tensor:
        """Return prompts and answers, (B, prompt + new) int64; see `model.generate.generate`."""
        return generate(self, input_ids, attention_mask, **options)


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of each next token, in float32.

    Args:
        logits: (B, T, V).
        labels: (B, T) int64; -100 is ignored.

    Returns:
        () float32.
    """
    targets = F.pad(labels[:, 1:], (0, 1), value=-100).to(logits.device)
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
