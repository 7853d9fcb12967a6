"""The decoder in few calls: between those of its parts, Python takes its time.

A step of decoding is one call through all layers; a piece of a prompt is one for each layer. The
twin of both is `model.decoder.Glm4vMoeTextModel.forward`, which says when they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model import native
from model.native.matrix import Matrix
from model.native.network import Describer, Gated, Room
from model.watch import Prepared, UnfitError

if TYPE_CHECKING:
    from model.cache import KVCache
    from model.decoder import Glm4vMoeTextModel

MAX_HEAD_DIM = 512
PROMPT_LAYER: list[Any] = [c_int64] + [c_void_p] * 6 + [c_int64] * 3 + [c_int]  # after the decoder


class _Layer(Structure):
    """``DecoderLayer`` of ``step.h``."""

    _fields_ = [
        *(
            (name, c_void_p)
            for name in (
                *("input_norm", "q_bias", "k_bias", "v_bias", "post_norm"),
                *("router", "router_bias"),
            )
        ),
        *((name, Matrix) for name in ("q", "k", "v", "o", "gate_up", "down")),
        ("all", Gated),
    ]


class _Decoder(Structure):
    """``Decoder`` of ``step.h``."""

    _fields_ = [
        ("layers", POINTER(_Layer)),
        ("norm", c_void_p),
        *(
            (name, c_int64)
            for name in (
                *("num_layers", "hidden", "heads", "kv_heads", "dim", "rotary"),
                *("experts", "top_k", "expert_inner"),
            )
        ),
        ("eps", c_float),
        ("scaling", c_float),
        ("normalised", c_int),
    ]


class NativeDecoder:
    """One decoder, as long as its parameters and modules stay what and where they are.

    Args:
        model: whose modules are all of this project's own kinds, plain and in main memory.
        kernels: of its dtype.

    Attributes:
        watch: says whether they do.
        depth: how many layers.

    Raises:
        UnfitError: it is another one.
    """

    def __init__(self, model: Glm4vMoeTextModel, kernels: native.Kernels) -> None:
        config = model.config
        dim = config.head_dim
        if config.n_group > 1 or dim is None or dim > MAX_HEAD_DIM:
            raise UnfitError
        self.kernels = kernels
        self._kv_shape = (1, config.num_key_value_heads, 0, dim)
        self._describer = Describer(model, model.norm.weight.dtype)
        self.watch = self._describer.watch
        self.depth = len(model.layers)
        layers = (_Layer * self.depth)(
            *(self._describe(index, layer) for index, layer in enumerate(model.layers))
        )
        self._decoder = _Decoder(
            layers,
            self._describer.pointer(model.norm, "weight"),
            self.depth,
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            dim,
            config.rotary_dim,
            config.n_routed_experts,
            config.num_experts_per_tok,
            config.moe_intermediate_size,
            config.rms_norm_eps,
            config.routed_scaling_factor,
            int(config.norm_topk_prob),
        )
        self._nbytes = self.watch.nbytes
        self._step = kernels.compiled.step
        self._step.argtypes = [POINTER(_Decoder), *[c_void_p] * 6, c_int64, c_int]
        self._step.restype = c_int
        self.can_read = kernels.can_attend_prompt(dim)
        if self.can_read:
            self._prompt_layer = kernels.compiled.prompt_layer
            self._prompt_layer.argtypes = [POINTER(_Decoder), *PROMPT_LAYER]
            self._prompt_layer.restype = c_int
            self._room = kernels.compiled.prompt_room
            self._room.argtypes, self._room.restype = [POINTER(_Decoder), c_int64, c_int], c_int64

    def step(
        self, x: Tensor, rope: tuple[Tensor, Tensor], slots: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Compute one token of each conversation; their keys and values are stored.

        Args:
            x: (B, 1, C) embeddings.
            rope: cos and sin, each (B, 1, 1, rotary_dim).
            slots: as `model.cache.KVCache.slots` gives them.

        Returns:
            (B, 1, C), normed.
        """
        rows = len(x)
        x, cos, sin = x.contiguous(), rope[0].contiguous(), rope[1].contiguous()
        out = torch.empty_like(x)
        status = self._step(
            self._decoder,
            x.data_ptr(),
            out.data_ptr(),
            cos.data_ptr(),
            sin.data_ptr(),
            (c_int64 * rows)(*(address for address, _ in slots)),
            (c_int64 * rows)(*(length for _, length in slots)),
            rows,
            native.threads_for(self._nbytes),
        )
        native._check(status)
        return out

    def room(self, tokens: int) -> Room:
        """Return what `read` needs for so many tokens."""
        threads = native.threads_for(self._nbytes)
        return Room.of(self._room(self._decoder, tokens, threads), threads, self.watch)

    def read(
        self, layer: int, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache, room: Room
    ) -> None:
        """Take tokens of a prompt through a layer; their keys and values are stored.

        Args:
            layer: its index.
            x: (1, T, C) without gaps, T > `native.MAX_ROWS`; becomes the layer's output.
            rope: cos and sin, each (1, 1, T, rotary_dim).
            cache: of one conversation, whose tokens come before; the model counts these.
            room: as `room` returns it.
        """
        tokens, past = x.shape[1], cache.length
        cos, sin = rope[0].contiguous(), rope[1].contiguous()
        k, v = cache.reserve(layer, past + tokens, x.new_empty(self._kv_shape))
        status = self._prompt_layer(
            self._decoder,
            layer,
            x.data_ptr(),
            cos.data_ptr(),
            sin.data_ptr(),
            k.data_ptr(),
            v.data_ptr(),
            room.floats.data_ptr(),
            k.stride(1),
            past,
            tokens,
            room.threads,
        )
        native._check(status)

    def _describe(self, index: int, layer: Any) -> _Layer:
        from model.attention import Glm4vMoeAttention
        from model.layers import RMSNorm
        from model.moe import MoE, Router

        attention, mlp, of = layer.self_attn, layer.mlp, self._describer
        # the place in the cache is where the layer stands, but its attention asks its own number
        if type(attention) is not Glm4vMoeAttention or attention.layer != index:
            raise UnfitError
        described = _Layer(
            input_norm=of.weight(layer.input_layernorm, RMSNorm),
            post_norm=of.weight(layer.post_attention_layernorm, RMSNorm),
            q=of.matrix(attention.q_proj),
            k=of.matrix(attention.k_proj),
            v=of.matrix(attention.v_proj),
            q_bias=of.pointer(attention.q_proj, "bias"),
            k_bias=of.pointer(attention.k_proj, "bias"),
            v_bias=of.pointer(attention.v_proj, "bias"),
            o=of.matrix(attention.o_proj),
        )
        if type(mlp) is MoE:
            described.router = of.weight(mlp.gate, Router)
            described.router_bias = of.pointer(mlp.gate, "e_score_correction_bias", torch.float32)
            described.gate_up = of.matrix(mlp.experts, "gate_up_proj")
            described.down = of.matrix(mlp.experts, "down_proj")
        described.all = of.gated(mlp.shared_experts if type(mlp) is MoE else mlp)
        return described


_prepared: Prepared[NativeDecoder] = Prepared()


def step_for(model: Glm4vMoeTextModel, x: Tensor) -> NativeDecoder | None:
    """Return what takes embeddings ``x`` (B, 1, C) a step; None if the layers have to."""
    kernels = _kernels_for(model, x)
    if kernels is None or x.shape[1] != 1 or len(x) > kernels.max_step_rows:
        return None
    return _decoder_for(model, kernels)


def reader_for(model: Glm4vMoeTextModel, x: Tensor) -> NativeDecoder | None:
    """Return what reads embeddings ``x`` (1, T, C) of a prompt; None if the layers have to."""
    kernels = _kernels_for(model, x)
    if kernels is None or len(x) > 1 or not native.MAX_ROWS < x.shape[1] <= kernels.max_layer_rows:
        return None
    decoder = _decoder_for(model, kernels)
    return decoder if decoder is not None and decoder.can_read else None


def _kernels_for(model: Glm4vMoeTextModel, x: Tensor) -> native.Kernels | None:
    is_fit = native._only_computes() and native._is_plain(x, model.norm.weight.dtype)
    return native.load(x.dtype) if is_fit else None


def _decoder_for(model: Glm4vMoeTextModel, kernels: native.Kernels) -> NativeDecoder | None:
    return _prepared.get(
        model,
        model.norm.weight,
        lambda: NativeDecoder(model, kernels),
        lambda decoder: decoder.kernels is kernels and decoder.depth == len(model.layers),
    )
