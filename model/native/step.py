"""A decoding step through all layers in one call: between them, Python takes its time.

The twin is `model.decoder.Glm4vMoeTextModel.forward`, which says when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import native
from model.watch import Prepared, UnfitError, Watch

if TYPE_CHECKING:
    from model.decoder import Glm4vMoeTextModel

MAX_HEAD_DIM = 512


class _Matrix(Structure):
    """``Matrix`` of ``quantized.h``."""

    _fields_ = [("values", c_void_p), ("scale", c_void_p)]


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
        *(
            (name, _Matrix)
            for name in ("q", "k", "v", "o", "gate_up", "down", "gate", "up", "mlp_down")
        ),
        ("inner", c_int64),
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


class DecoderStep:
    """The step of one decoder, as long as its parameters and modules stay what and where they are.

    Args:
        model: whose modules are all of this project's own kinds, plain and in main memory.
        kernels: of its dtype.

    Attributes:
        watch: says whether they do.

    Raises:
        UnfitError: it is another one.
    """

    def __init__(self, model: Glm4vMoeTextModel, kernels: native.Kernels) -> None:
        self.dtype = model.norm.weight.dtype
        config = model.config
        dim = config.head_dim
        if config.n_group > 1 or dim is None or dim > MAX_HEAD_DIM:
            raise UnfitError
        self.kernels = kernels
        self.watch = Watch(model)
        layers = (_Layer * len(model.layers))(*(self._describe(layer) for layer in model.layers))
        self._decoder = _Decoder(
            layers,
            self._pointer(model.norm, "weight"),
            config.num_hidden_layers,
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

    def run(
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

    def _pointer(self, module: nn.Module, name: str, dtype: torch.dtype | None = None) -> int:
        """Return where a parameter or buffer lies; 0 if the module has none of this name."""
        tensor = self.watch.add_tensor(module, name)
        if tensor is None:
            return 0
        if not native._is_plain(tensor, dtype or self.dtype) or not tensor.is_contiguous():
            raise UnfitError
        return tensor.data_ptr()

    def _matrix(self, module: nn.Module, name: str = "weight") -> _Matrix:
        """Describe the matrix of a linear layer, or one of the experts' two stacks."""
        from model.layers import Linear
        from model.moe import Experts
        from model.quantization import QuantizedExperts, QuantizedLinear

        if type(module) in (Linear, Experts):
            return _Matrix(self._pointer(module, name), None)
        if type(module) not in (QuantizedLinear, QuantizedExperts):
            raise UnfitError
        scale = "scale" if name == "weight" else f"{name}_scale"
        return _Matrix(
            self._pointer(module, name, torch.int8), self._pointer(module, scale, torch.float32)
        )

    def _describe(self, layer: Any) -> _Layer:
        from model.attention import Glm4vMoeAttention
        from model.layers import GatedMLP, RMSNorm
        from model.moe import MoE, Router

        def weight(module: nn.Module, kind: type[nn.Module]) -> int:
            if type(module) is not kind:
                raise UnfitError
            return self._pointer(module, "weight")

        attention, mlp = layer.self_attn, layer.mlp
        if type(attention) is not Glm4vMoeAttention or type(mlp) not in (MoE, GatedMLP):
            raise UnfitError
        described = _Layer(
            input_norm=weight(layer.input_layernorm, RMSNorm),
            post_norm=weight(layer.post_attention_layernorm, RMSNorm),
            q=self._matrix(attention.q_proj),
            k=self._matrix(attention.k_proj),
            v=self._matrix(attention.v_proj),
            q_bias=self._pointer(attention.q_proj, "bias"),
            k_bias=self._pointer(attention.k_proj, "bias"),
            v_bias=self._pointer(attention.v_proj, "bias"),
            o=self._matrix(attention.o_proj),
        )
        common = mlp
        if isinstance(mlp, MoE):
            common = mlp.shared_experts
            described.router = weight(mlp.gate, Router)
            described.router_bias = self._pointer(
                mlp.gate, "e_score_correction_bias", torch.float32
            )
            described.gate_up = self._matrix(mlp.experts, "gate_up_proj")
            described.down = self._matrix(mlp.experts, "down_proj")
        if type(common) is not GatedMLP or common.act is not F.silu:
            raise UnfitError
        described.gate = self._matrix(common.gate_proj)
        described.up = self._matrix(common.up_proj)
        described.mlp_down = self._matrix(common.down_proj)
        described.inner = common.down_proj.weight.shape[1]
        return described


_prepared: Prepared[DecoderStep] = Prepared()


def step_for(model: Glm4vMoeTextModel, x: Tensor) -> DecoderStep | None:
    """Return what computes embeddings ``x`` (B, 1, C) in one call; None if the layers have to."""
    dtype = model.norm.weight.dtype
    if x.shape[1] != 1 or not native._only_computes() or not native._is_plain(x, dtype):
        return None
    kernels = native.load(x.dtype)
    if kernels is None or len(x) > kernels.max_step_rows:
        return None
    return _prepared.get(
        model,
        model.norm.weight,
        lambda: DecoderStep(model, kernels),
        lambda step: step.kernels is kernels,
    )
