"""The blocks of the vision tower, one call each: between those of its parts, Python takes its time.

The twin is `model.vision.Glm4vMoeVisionBlock.forward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

from torch import Tensor

from model import native
from model.native.matrix import Matrix
from model.native.network import Describer, Gated, Room
from model.watch import Prepared, UnfitError

if TYPE_CHECKING:
    from model.vision import Glm4vMoeVisionModel

VISION_BLOCK: list[Any] = [*[c_void_p] * 4, c_int64, c_void_p, c_int64, c_int]  # after the block


class _Block(Structure):
    """``VisionBlock`` of ``layers.h``."""

    _fields_ = [
        *((name, c_void_p) for name in ("norm", "bias", "post_norm")),
        ("qkv", Matrix),
        ("proj", Matrix),
        ("gated", Gated),
        ("hidden", c_int64),
        ("heads", c_int64),
        ("eps", c_float),
    ]


class NativeBlocks:
    """The blocks of one tower, as long as parameters and modules stay what and where they are.

    Args:
        tower: whose modules are all of this project's own kinds, plain and in main memory.
        kernels: of its dtype.

    Attributes:
        watch: says whether they do.
        depth: how many blocks.

    Raises:
        UnfitError: it is another one.
    """

    def __init__(self, tower: Glm4vMoeVisionModel, kernels: native.Kernels) -> None:
        config = tower.config
        self.depth = len(tower.blocks)
        if not self.depth or not kernels.can_attend_prompt(config.hidden_size // config.num_heads):
            raise UnfitError
        self.kernels = kernels
        describer = Describer(tower, tower.post_layernorm.weight.dtype)
        self.watch = describer.watch
        self._blocks = [self._describe(describer, block) for block in tower.blocks]
        self._nbytes = self.watch.nbytes
        self._run = kernels.compiled.vision_block
        self._run.argtypes, self._run.restype = [POINTER(_Block), *VISION_BLOCK], c_int
        self._room = kernels.compiled.vision_room
        self._room.argtypes, self._room.restype = [POINTER(_Block), c_int64, c_int], c_int64

    def room(self, patches: int) -> Room:
        """Return what `run` needs for so many patches."""
        threads = native.threads_for(self._nbytes)
        return Room.of(self._room(self._blocks[0], patches, threads), threads, self.watch)

    def run(
        self,
        index: int,
        x: Tensor,
        lengths: Sequence[int],
        rope: tuple[Tensor, Tensor],
        room: Room,
    ) -> None:
        """Take patches through a block.

        Args:
            index: of the block.
            x: (N, C) without gaps; becomes the block's output.
            lengths: patches of each segment, summing to N.
            rope: cos and sin, each (N, 1, D) float32 without gaps.
            room: as `room` returns it.
        """
        status = self._run(
            self._blocks[index],
            x.data_ptr(),
            rope[0].data_ptr(),
            rope[1].data_ptr(),
            (c_int64 * len(lengths))(*lengths),
            len(lengths),
            room.floats.data_ptr(),
            len(x),
            room.threads,
        )
        native._check(status)

    @staticmethod
    def _describe(of: Describer, block: Any) -> _Block:
        from model.layers import RMSNorm
        from model.vision import Glm4vMoeVisionBlock, VisionAttention

        if type(block) is not Glm4vMoeVisionBlock or type(block.attn) is not VisionAttention:
            raise UnfitError
        return _Block(
            norm=of.weight(block.norm1, RMSNorm),
            bias=of.pointer(block.attn.qkv, "bias"),
            post_norm=of.weight(block.norm2, RMSNorm),
            qkv=of.matrix(block.attn.qkv),
            proj=of.matrix(block.attn.proj),
            gated=of.gated(block.mlp),
            hidden=len(block.norm1.weight),
            heads=block.attn.num_heads,
            eps=block.norm1.eps,
        )


_prepared: Prepared[NativeBlocks] = Prepared()


def blocks_for(tower: Glm4vMoeVisionModel, x: Tensor) -> NativeBlocks | None:
    """Return what takes patches ``x`` (N, C) through the blocks; None if these have to."""
    weight = tower.post_layernorm.weight
    if not native._only_computes() or not native._is_plain(x, weight.dtype):
        return None
    kernels = native.load(x.dtype)
    if kernels is None or not native.MAX_ROWS < len(x) <= kernels.max_layer_rows:
        return None
    return _prepared.get(
        tower,
        weight,
        lambda: NativeBlocks(tower, kernels),
        lambda blocks: blocks.kernels is kernels and blocks.depth == len(tower.blocks),
    )
