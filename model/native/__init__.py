"""Parts of the network in C, for CPUs: at one row, torch reads weights at half speed.

Every function has a twin in torch, beside which it is called; `kernels_for` says which of the two
runs. ``SIGHTLINE_NATIVE=0`` in the environment leaves all to torch.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
from ctypes import c_float, c_int, c_int64, c_void_p
from typing import Any

import torch
from torch import Tensor, nn

from model.native.build import BuildError, load_library, processor
from model.native.matrix import Matrix

logger = logging.getLogger(__name__)

MAX_ROWS = 16  # of a decoding step
VECTOR_ROWS = 8  # beyond, in vectors of floats, torch's matrix products win
# Beyond, they are as fast as products in pairs of bfloat16, except for experts.
PAIR_ROWS = 512
# A thread is worth waking (3 us) for so many bytes: a core reads them in about that time.
GRAIN_BYTES = 128 * 1024
DEFINES: dict[torch.dtype, tuple[str, ...]] = {torch.bfloat16: ("-DBF16",), torch.float32: ()}
TILES = "-DTILES"  # for bfloat16 on processors with this among their flags:
TILES_FLAG = "amx_bf16"
MAX_PAIRED_DIM = 256  # of a head
OMP_PAUSE_SOFT = 1  # of omp.h
PRODUCTS_PER_BYTE = 16  # computed in the time in which a byte is read
# pointers of tensors and matrices, then sizes
SIGNATURES: dict[str, list[Any]] = {
    "linear": [c_void_p, Matrix] + [c_void_p] * 2 + [c_int64] * 3 + [c_int],
    "dequantize": [Matrix, c_void_p] + [c_int64] * 2 + [c_int],
    "rms_norm": [c_void_p] * 3 + [c_int64] * 2 + [c_float, c_int],
    "gate": [c_void_p] * 3 + [c_int64, c_int],
    "turn_heads": [c_void_p, c_void_p] + [c_void_p] * 3 + [c_int64] * 5 + [c_int],
    "rotate": [c_void_p, c_int64] + [c_void_p] * 3 + [c_int64] * 3 + [c_int],
    "routed_experts": [c_void_p] * 3 + [Matrix] * 2 + [c_void_p] + [c_int64] * 5 + [c_int],
    "attention": [c_void_p] * 4 + [c_int64] * 5 + [c_void_p] * 2 + [c_float, c_int64, c_int],
}
# only for bfloat16, on processors that multiply pairs of it
PAIR_SIGNATURES: dict[str, list[Any]] = {
    "attend_prompt": [c_void_p] * 4 + [c_int64] * 6 + [c_void_p, c_float, c_int, c_int],
}


def threads_for(size: int) -> int:
    """Return how many threads share the reading of ``size`` bytes."""
    return max(1, min(torch.get_num_threads(), size // GRAIN_BYTES))


def _check(status: int) -> None:
    if status:
        raise MemoryError("no memory for the scratch space of a compiled function")


class Kernels:
    """The functions of ``kernels.c`` for one dtype; arguments must have passed `kernels_for`."""

    def __init__(self, compiled: ctypes.CDLL, *, has_tiles: bool = False) -> None:
        """
        Args:
            compiled: as `load_library` returns it.
            has_tiles: it was compiled with `TILES`.
        """
        self.compiled = compiled
        self._has_pairs = all(hasattr(compiled, name) for name in PAIR_SIGNATURES)
        # up to so many rows it is faster than torch
        self.max_step_rows = MAX_ROWS if has_tiles else VECTOR_ROWS
        self.max_rows = PAIR_ROWS if self._has_pairs else VECTOR_ROWS
        self.max_expert_rows = sys.maxsize if self._has_pairs else VECTOR_ROWS
        # whole layers; beyond, a matrix unit has not been timed
        self.max_layer_rows = 0 if not self._has_pairs else PAIR_ROWS if has_tiles else sys.maxsize
        for name, types in {**SIGNATURES, **(PAIR_SIGNATURES if self._has_pairs else {})}.items():
            function = getattr(compiled, name)
            function.argtypes, function.restype = types, c_int

    def linear(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor | None = None
    ) -> Tensor:
        """``F.linear(x, weight, bias)``; `model.quantization.linear_reference` of integers.

        (..., in) -> (..., out).
        """
        outputs, inputs = len(weight), x.shape[-1]
        rows = x.numel() // inputs
        out = x.new_empty(*x.shape[:-1], outputs)
        status = self.compiled.linear(
            x.data_ptr(),
            Matrix.of(weight, scale),
            None if bias is None else bias.data_ptr(),
            out.data_ptr(),
            rows,
            inputs,
            outputs,
            threads_for(weight.nbytes * -(-rows // MAX_ROWS)),
        )
        _check(status)
        return out

    def dequantize(
        self, weight: Tensor, scale: Tensor | None, inputs: int, dtype: torch.dtype
    ) -> Tensor:
        """`model.quantization.dequantize_reference` of a matrix: (out, in)."""
        out = torch.empty(len(weight), inputs, dtype=dtype, device="cpu")
        matrix, threads = Matrix.of(weight, scale), threads_for(out.nbytes)
        _check(self.compiled.dequantize(matrix, out.data_ptr(), *out.shape, threads))
        return out

    def release_threads(self) -> None:
        """As the function of this name."""
        # of the OpenMP library itself, which the compiled one depends on; from its version 5 on
        pause = getattr(self.compiled, "omp_pause_resource_all", None)
        if pause is not None:
            pause(OMP_PAUSE_SOFT)

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """`model.layers.RMSNorm`: (..., C) -> (..., C)."""
        out = torch.empty_like(x)
        size = x.shape[-1]
        _check(
            self.compiled.rms_norm(
                x.data_ptr(),
                weight.data_ptr(),
                out.data_ptr(),
                x.numel() // size,
                size,
                eps,
                threads_for(x.nbytes),
            )
        )
        return out

    def gate(self, gates: Tensor, ups: Tensor) -> Tensor:
        """``silu(gates) * ups``: two of one shape -> (...)."""
        out = torch.empty_like(gates)
        pointers = (gates.data_ptr(), ups.data_ptr(), out.data_ptr())
        _check(self.compiled.gate(*pointers, out.numel(), threads_for(out.nbytes)))
        return out

    def turn_heads(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """`model.rope.rotate` of (B, H, T, D) by (B, 1, T, rotary_dim), laid out (B, T, H, D)."""
        batch, heads, tokens, dim = x.shape
        out = x.new_empty(batch, tokens, heads, dim)
        status = self.compiled.turn_heads(
            x.data_ptr(),
            (c_int64 * 3)(*x.stride()[:3]),
            cos.data_ptr(),
            sin.data_ptr(),
            out.data_ptr(),
            batch,
            heads,
            tokens,
            dim,
            cos.shape[-1],
            threads_for(out.nbytes),
        )
        _check(status)
        return out.transpose(1, 2)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """`model.rope.rotate_in_float`: (N, heads, D) -> (N, heads, D)."""
        rows, heads, dim = x.shape
        out = x.new_empty(x.shape)
        status = self.compiled.rotate(
            x.data_ptr(),
            x.stride(0),
            cos.data_ptr(),
            sin.data_ptr(),
            out.data_ptr(),
            rows,
            heads,
            dim,
            threads_for(out.nbytes),
        )
        _check(status)
        return out

    def routed_experts(
        self,
        x: Tensor,
        ids: Tensor,
        weights: Tensor,
        gate_up: Tensor,
        down: Tensor,
        scales: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> Tensor:
        """`model.moe.run_experts_reference` with silu: (N, C) -> (N, C).

        Of stacks in integers `model.quantization.run_experts_of_reference`.
        """
        rows, top_k = ids.shape
        hidden, inner = x.shape[1], gate_up.shape[1] // 2
        ids, weights = ids.long().contiguous(), weights.float().contiguous()
        out = torch.empty_like(x)
        status = self.compiled.routed_experts(
            x.data_ptr(),
            ids.data_ptr(),
            weights.data_ptr(),
            Matrix.of(gate_up, scales[0]),
            Matrix.of(down, scales[1]),
            out.data_ptr(),
            rows,
            top_k,
            len(down),
            hidden,
            inner,
            threads_for(rows * top_k * (gate_up[0].nbytes + down[0].nbytes)),
        )
        _check(status)
        return out

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`model.attention.attend` of one query: (B, H, 1, D) over (B, K, S, D) -> (B, H, 1, D)."""
        batch, heads, _, dim = q.shape
        kv_heads, keys = k.shape[1], k.shape[2]
        q = q.contiguous()
        out = torch.empty_like(q)
        threads = threads_for(k.numel() * k.element_size() * 2)
        pairs = batch * kv_heads
        status = self.compiled.attention(
            q.data_ptr(),
            k.data_ptr(),
            v.data_ptr(),
            out.data_ptr(),
            batch,
            heads,
            kv_heads,
            keys,
            dim,
            (c_int64 * 3)(*k.stride()[:3]),
            (c_int64 * 3)(*v.stride()[:3]),
            dim**-0.5,
            1 if pairs % threads == 0 else -(-threads // pairs) * 2,
            threads,
        )
        _check(status)
        return out

    def can_attend_prompt(self, dim: int) -> bool:
        """Whether there is `attend_prompt` for heads of this size."""
        return self._has_pairs and dim % 32 == 0 and dim <= MAX_PAIRED_DIM

    def attend_prompt(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool = True) -> Tensor:
        """`model.attention.attend` without a mask, of many queries.

        Args:
            q: (B, H, T, D) of the last T tokens, whose last dimension has no gaps.
            k: (B, K, S, D), as ``q``.
            v: (B, K, S, D), as ``q``.
            causal: a query sees no later keys; False: it sees all.

        Returns:
            (B, H, T, D), laid out as (B, T, H, D).
        """
        batch, heads, queries, dim = q.shape
        out = q.new_empty(batch, queries, heads, dim).transpose(1, 2)
        strides = [stride for tensor in (q, k, v, out) for stride in tensor.stride()[:3]]
        status = self.compiled.attend_prompt(
            q.data_ptr(),
            k.data_ptr(),
            v.data_ptr(),
            out.data_ptr(),
            batch,
            heads,
            k.shape[1],
            queries,
            k.shape[2],
            dim,
            (c_int64 * len(strides))(*strides),
            dim**-0.5,
            causal,
            threads_for(q.numel() * k.shape[2] // PRODUCTS_PER_BYTE),
        )
        _check(status)
        return out


_kernels: dict[torch.dtype, Kernels | None] = {}
_loading = threading.Lock()


def load(dtype: torch.dtype) -> Kernels | None:
    """Return the kernels for ``dtype``, compiled at the first call; None if they can't be had."""
    if dtype not in _kernels:
        with _loading:  # a second conversation waits and does not compile again
            if dtype not in _kernels:
                _kernels[dtype] = _load(dtype)
    return _kernels[dtype]


def _load(dtype: torch.dtype) -> Kernels | None:
    if dtype not in DEFINES or os.environ.get("SIGHTLINE_NATIVE") == "0":
        return None
    try:
        kernels = _load_tiles(dtype) or Kernels(load_library(*DEFINES[dtype]))
    except BuildError as error:
        logger.info("decoding %s with torch alone: %s", dtype, error)
        return None
    logger.info("decoding %s with compiled kernels", dtype)
    return kernels


def _load_tiles(dtype: torch.dtype) -> Kernels | None:
    """Return the kernels for a processor with a matrix unit (AMX), if this is one."""
    if dtype is not torch.bfloat16 or TILES_FLAG not in processor().split():
        return None
    try:
        library = load_library(*DEFINES[dtype], TILES)
    except BuildError as error:
        logger.info("the matrix unit stays unused: %s", error)
        return None
    # Linux lends the unit's registers on request
    return None if library.prepare() else Kernels(library, has_tiles=True)


def release_threads() -> None:
    """Let the threads go that help this one; they come back when they are needed.

    OpenMP counts the helpers of all threads, of those too that do nothing. As long as they are no
    more than cores, a helper waits awake for what comes next: 50 us less for each operation.
    """
    for kernels in tuple(_kernels.values()):
        if kernels is not None:
            kernels.release_threads()
            return


def kernels_for_any(x: Tensor, *weights: Tensor | None) -> Kernels | None:
    """Return the kernels if they can compute with these, None if torch has to.

    They need plain tensors in main memory, one supported dtype, no gradients, no tracing.

    Args:
        x: activations, any number of rows.
        weights: all without gaps; None for a bias that is not there.
    """
    if not _only_computes():
        return None
    for tensor in (x, *weights):
        if tensor is not None and not (_is_plain(tensor, x.dtype) and tensor.is_contiguous()):
            return None
    return load(x.dtype)


def kernels_for(x: Tensor, *weights: Tensor | None) -> Kernels | None:
    """As `kernels_for_any`, for products: of ``x`` with at most `Kernels.max_rows` rows."""
    kernels = kernels_for_any(x, *weights)
    if kernels is None or not 0 < x.numel() <= kernels.max_rows * x.shape[-1]:
        return None
    return kernels


def kernels_for_attention(q: Tensor, k: Tensor, v: Tensor) -> Kernels | None:
    """As `kernels_for`, of tensors (B, heads, tokens, D) whose last dimension has no gaps."""
    if not _only_computes():
        return None
    for tensor in (q, k, v):
        if not _is_plain(tensor, q.dtype) or tensor.stride(-1) != 1:
            return None
    return load(q.dtype)


def kernels_for_turning(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> Kernels | None:
    """As `kernels_for_any`, of (B, heads, T, D) without gaps in a head, and (B, 1, T, rotary)."""
    shape = (q.shape[0], 1, q.shape[2])
    for table in (cos, sin):
        if not (_is_plain(table, q.dtype) and table.is_contiguous() and table.shape[:3] == shape):
            return None
    return kernels_for_attention(q, k, k)


def kernels_for_rotation(x: Tensor, cos: Tensor, sin: Tensor) -> Kernels | None:
    """As `kernels_for`, of (N, heads, D) whose heads have no gaps, and float32 tables (N, 1, D)."""
    if not _only_computes() or not _is_plain(x, x.dtype) or x.stride()[1:] != (x.shape[2], 1):
        return None
    for table in (cos, sin):
        if not _is_plain(table, torch.float32) or not table.is_contiguous():
            return None
        if table.numel() != x.shape[0] * x.shape[2]:
            return None
    return load(x.dtype)


def _only_computes() -> bool:
    """Whether nobody watches the operations: to differentiate, to cast or to record them."""
    return not (
        torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.jit.is_tracing()
    )


def _is_plain(x: Tensor, dtype: torch.dtype) -> bool:
    """Whether ``x`` holds numbers of this dtype in main memory; subclasses may hold none."""
    kind = type(x)
    return (kind is Tensor or kind is nn.Parameter) and x.is_cpu and x.dtype is dtype
