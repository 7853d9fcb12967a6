"""The network over many questions about one screen: its image runs once, every turn runs after it.

Each turn sees the prefix and itself, at the positions it would have if it were the only one, so
that every turn gets exactly the hidden states of a conversation of its own; what is shared is the
work. The layers are the model's; here their tokens are put into one row, none of them padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import Glm4vMoeAttention
from model.decoder import Glm4vMoeDecoderLayer
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.positions import mrope_positions, token_types_of
from model.rope import rotate
from model.vision import Glm4vMoeVisionModel
from training.normalization import rms_norm
from training.shared_attention import attend_prefix, attend_turns, attend_turns_weighted
from training.turn_layout import TurnLayout


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Tokens of turns whose attention to the image is wanted, of one head in some layers.

    Attributes:
        layers: indices of decoder layers.
        screen, turn, token: (n,) int64 each; ``token`` counts from the turn's first.
        head: which query head.
    """

    layers: tuple[int, ...]
    screen: Tensor
    turn: Tensor
    token: Tensor
    head: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SharedOutput:
    """What a forward pass over a batch of screens returns; everything carries gradients.

    Attributes:
        layout: which row of the fields below is which token.
        turn_states: (rows, C) after the final norm, one row for each real token of a turn.
        early_turn_states: (rows, C) after the first ``early_layers`` decoder layers.
        early_image_states: (B, M, C), the same of the M image tokens of each prefix.
        patch_states: (B, 4 M, vision hidden size), the tower's patches after its last norm, in the
            processor's order.
        image_embeds: (B, M, C) as the decoder gets them.
        attention: (layers of the probe, n, M), weights from the probe's tokens to the image tokens;
            None without a probe.
        probe: which tokens these are.
        lm_head: (V, C), the language head's weight.
    """

    layout: TurnLayout
    turn_states: Tensor
    early_turn_states: Tensor
    early_image_states: Tensor
    patch_states: Tensor
    image_embeds: Tensor
    attention: Tensor | None
    probe: Probe | None
    lm_head: Tensor

    @property
    def hidden(self) -> Tensor:
        """(B, T, L, C): the turn states, zeros for padding."""
        return self.layout.padded(self.turn_states)


def forward_shared(
    model: Glm4vMoeForConditionalGeneration,
    pixel_values: Tensor,
    image_grid_thw: Tensor,
    prefix_ids: Tensor,
    turn_ids: Tensor,
    lengths: Tensor | None = None,
    *,
    early_layers: int | None = None,
    probe: Probe | None = None,
) -> SharedOutput:
    """Run B screens with one image each, and T turns about each of them, with gradients.

    Args:
        model: whose layers run; its routers see every real token once, and no padding.
        pixel_values: (B * patches, patch_dim) of all images, in order.
        image_grid_thw: (B, 3) int64.
        prefix_ids: (B, P) int64, every turn's prompt up to the end of the image, with M image
            tokens in each row.
        turn_ids: (B, T, L) int64, the rest of each prompt and its answer, padded on the right.
        lengths: (B, T) int64, real tokens of each turn, 0 for no turn; None for L everywhere.
        early_layers: after how many decoder layers the early states are taken; None for half of
            them, 3 of 5.
        probe: tokens whose attention to the image is returned.

    Raises:
        ValueError: images and image tokens don't match, or differ in number between the rows.
    """
    tokens = turn_ids.shape[2]
    if lengths is None:
        lengths = torch.full(turn_ids.shape[:2], tokens)
    layout = TurnLayout.of(lengths.cpu(), tokens, prefix_ids.shape[1]).to(prefix_ids.device)
    patch_states, image_embeds = vision_states(model.model.visual, pixel_values, image_grid_thw)
    image_at = _image_tokens(model, prefix_ids, image_embeds.shape[1])  # (B, M)
    position_ids = _positions(model, prefix_ids, image_grid_thw, layout)

    decoder = model.model.language_model
    prefix = decoder.embed_tokens(prefix_ids)
    of_image = image_at[..., None].expand_as(image_embeds)
    prefix = prefix.scatter(1, of_image, image_embeds.to(prefix.dtype))
    x = torch.cat((prefix.flatten(0, 1), decoder.embed_tokens(layout.real(turn_ids))))
    cos, sin = (part[0, 0, :, None] for part in decoder.rotary_emb(position_ids, x.dtype))
    watched = None if probe is None else _Watched(probe, layout, image_at)
    early, early_layers = x, early_layers or (len(decoder.layers) + 1) // 2
    for index, layer in enumerate(decoder.layers):
        assert isinstance(layer, Glm4vMoeDecoderLayer)
        x = _run_layer(layer, x, (cos, sin), layout, watched)
        if index + 1 == early_layers:
            early = x
    early_prefix, early_turns = layout.split(early)
    return SharedOutput(
        layout=layout,
        turn_states=rms_norm(layout.split(x)[1], decoder.norm),
        early_turn_states=early_turns,
        early_image_states=early_prefix.gather(1, of_image),
        patch_states=patch_states,
        image_embeds=image_embeds,
        attention=None if watched is None else torch.stack(watched.weights),
        probe=probe,
        lm_head=model.lm_head.weight,
    )


def vision_states(
    visual: Glm4vMoeVisionModel, pixel_values: Tensor, image_grid_thw: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the vision tower over B images with the same number of patches.

    Args:
        visual: the tower.
        pixel_values: (B * patches, patch_dim).
        image_grid_thw: (B, 3) int64.

    Returns:
        patch_states: (B, patches, vision hidden size) after the tower's last norm.
        image_embeds: (B, patches / 4, C) after the merger.

    Raises:
        ValueError: the images differ in their number of patches.
    """
    sizes = image_grid_thw.prod(-1).tolist()
    if len(set(sizes)) != 1:
        raise ValueError(f"images of a batch must have the same number of patches, got {sizes}")
    states: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        states.append(output)

    hook = visual.post_layernorm.register_forward_hook(keep)
    try:
        embeds = visual(pixel_values, image_grid_thw).pooler_output
    finally:
        hook.remove()
    return torch.cat(states).unflatten(0, (len(sizes), -1)), embeds.unflatten(0, (len(sizes), -1))


def _positions(
    model: Glm4vMoeForConditionalGeneration,
    prefix_ids: Tensor,
    image_grid_thw: Tensor,
    layout: TurnLayout,
) -> Tensor:
    """Positions (3, 1, B * P + rows) of the prefixes' tokens, then of the turns'."""
    config = model.config
    start = torch.zeros(len(prefix_ids), dtype=torch.int64)
    types = token_types_of(prefix_ids, config)
    merge = config.vision_config.spatial_merge_size
    prefix, following = mrope_positions(types, image_grid_thw, None, merge, None, start)
    tokens = torch.arange(layout.shape[2], device=following.device)
    turns = layout.real((following[:, None, None] + tokens).expand(layout.shape))
    return torch.cat((prefix.flatten(1), turns.expand(3, -1)), dim=1)[:, None]


def _image_tokens(
    model: Glm4vMoeForConditionalGeneration, prefix_ids: Tensor, expected: int
) -> Tensor:
    """Places (B, M) of the image tokens in each prefix."""
    is_image = prefix_ids == model.config.image_token_id
    counts = is_image.sum(-1).tolist()
    if set(counts) != {expected}:
        raise ValueError(
            f"each image gives {expected} embeddings; the prefixes have {counts} image tokens"
        )
    return is_image.nonzero()[:, 1].view(len(prefix_ids), expected)


class _Watched:
    """Collects what a `Probe` asks for while the layers run.

    Attributes:
        weights: (n, M) for each layer so far.
    """

    def __init__(self, probe: Probe, layout: TurnLayout, image_at: Tensor) -> None:
        self.probe = probe
        self.weights: list[Tensor] = []
        self._image_at = image_at[probe.screen]  # (n, M)
        # for each group: which of the n tokens are in it, and in which of its turns
        self._found = [
            (group.turns[probe.screen] == probe.turn[:, None]).nonzero(as_tuple=True)
            for group in layout.groups
        ]
        self._order = torch.cat([which for which, _ in self._found]).argsort()

    def take(self, groups: Sequence[Tensor]) -> None:
        """Keep a layer's weights, (B, H, G, L, P) of each group."""
        probe, parts = self.probe, []
        for weights, (which, turn) in zip(groups, self._found, strict=True):
            picked = weights[:, probe.head][probe.screen[which], turn, probe.token[which]]
            parts.append(picked.gather(1, self._image_at[which]))
        self.weights.append(torch.cat(parts)[self._order])


def _run_layer(
    layer: Glm4vMoeDecoderLayer,
    x: Tensor,
    rope: tuple[Tensor, Tensor],
    layout: TurnLayout,
    watched: _Watched | None,
) -> Tensor:
    """`Glm4vMoeDecoderLayer.forward` of (N, C) prefix and turn tokens; rope is (N, 1, D) each."""
    normed = rms_norm(x, layer.input_layernorm)
    x = x + _attend(layer.self_attn, normed, rope, layout, watched)
    return x + layer.mlp(rms_norm(x, layer.post_attention_layernorm)[None])[0]


def _attend(
    attention: Glm4vMoeAttention,
    x: Tensor,
    rope: tuple[Tensor, Tensor],
    layout: TurnLayout,
    watched: _Watched | None,
) -> Tensor:
    """`Glm4vMoeAttention.forward` of (N, C) prefix and turn tokens; rope is (N, 1, D) each."""
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    # one product for all three, and the gradients of one
    weight = torch.cat([projection.weight for projection in projections])
    biases: list[Tensor] = [part.bias for part in projections if part.bias is not None]
    qkv = F.linear(x, weight, torch.cat(biases) if biases else None).unflatten(
        -1, (-1, attention.head_dim)
    )
    heads = [len(projection.weight) // attention.head_dim for projection in projections]
    turned = _Rotate.apply(qkv, *rope, heads[0] + heads[1])
    prefix, turns = layout.split(turned)
    prefix_q, prefix_k, prefix_v = prefix.split(heads, dim=2)
    groups = [group.split(heads, dim=3) for group in layout.into_groups(turns)]
    outputs = []
    if watched is not None and attention.layer in watched.probe.layers:
        weights = []
        for q, k, v in groups:
            attended, to_prefix = attend_turns_weighted(q, k, v, prefix_k, prefix_v)
            outputs.append(attended)
            weights.append(to_prefix)
        watched.take(weights)
    else:
        outputs = [attend_turns(q, k, v, prefix_k, prefix_v) for q, k, v in groups]
    from_prefix = attend_prefix(prefix_q, prefix_k, prefix_v).flatten(0, 1)
    out = torch.cat((from_prefix, layout.from_groups(outputs)))
    return attention.o_proj(out.flatten(1))


class _Rotate(torch.autograd.Function):
    """`model.rope.rotate` of the first ``count`` of (N, heads, D); its gradient turns back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, count: int) -> Tensor:
        ctx.cos, ctx.sin, ctx.count = cos, sin, count
        turned = x.clone()
        turned[:, :count] = rotate(x[:, :count], cos, sin)
        return turned

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        turned = grad.clone()
        turned[:, : ctx.count] = rotate(grad[:, : ctx.count], ctx.cos, -ctx.sin)
        return turned, None, None, None
