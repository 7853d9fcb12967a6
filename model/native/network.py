"""Where the tensors of a network lie, in the structures that the kernels read."""

from __future__ import annotations

from ctypes import Structure, c_int64
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, UntypedStorage, nn

from model import native
from model.native.matrix import GROUPS, Matrix
from model.watch import UnfitError, Watch


class Gated(Structure):
    """``Gated`` of ``feed_forward.h``."""

    _fields_ = [("gate", Matrix), ("up", Matrix), ("down", Matrix), ("inner", c_int64)]


@dataclass(frozen=True, slots=True)
class Room:
    """What layers need that run one after the other; for one call at a time.

    Attributes:
        floats: (any,) float32, scratch space, in which each thread has a part of its own.
        threads: how many have, so no more may run.
        weights: what the layers read; between two of them, the network may be moved.
    """

    floats: Tensor
    threads: int
    weights: list[UntypedStorage]

    @classmethod
    def of(cls, floats: int, threads: int, watch: Watch) -> Room:
        """Return room for so many floats, for layers of the watched network."""
        # a default device may be another one
        scratch = torch.empty(floats, dtype=torch.float32, device="cpu")
        return cls(scratch, threads, watch.storages())


class Describer:
    """Describes modules of a network whose parameters are plain, whole and in main memory.

    Args:
        network: the modules are parts of it.
        dtype: of all parameters that are not said to be of another one.

    Attributes:
        watch: says whether what was described is still so.

    Raises:
        UnfitError: a module is not one of this project's own, or a parameter is another one; by
            every method too.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self.watch = Watch(network)
        self._dtype = dtype

    def pointer(self, module: nn.Module, name: str, dtype: torch.dtype | None = None) -> int:
        """Return where a parameter or buffer lies; 0 if the module has none of this name."""
        tensor = self.watch.add_tensor(module, name)
        if tensor is None:
            return 0
        if not native._is_plain(tensor, dtype or self._dtype) or not tensor.is_contiguous():
            raise UnfitError
        return tensor.data_ptr()

    def weight(self, module: nn.Module, kind: type[nn.Module]) -> int:
        """Return where the weight of a module of exactly this kind lies."""
        if type(module) is not kind:
            raise UnfitError
        return self.pointer(module, "weight")

    def matrix(self, module: nn.Module, name: str = "weight") -> Matrix:
        """Describe the matrix of a linear layer, or one of the experts' two stacks."""
        from model.layers import Linear
        from model.moe import Experts
        from model.quantization import QuantizedExperts, QuantizedLinear

        if type(module) in (Linear, Experts):
            return Matrix(self.pointer(module, name))
        if type(module) not in (QuantizedLinear, QuantizedExperts):
            raise UnfitError
        scale = self.pointer(
            module, "scale" if name == "weight" else f"{name}_scale", torch.float32
        )
        values = self.pointer(module, name, torch.int8 if scale else GROUPS)
        return Matrix(values, scale, not scale)

    def gated(self, module: nn.Module) -> Gated:
        """Describe a gated layer."""
        from model.layers import GatedMLP

        if type(module) is not GatedMLP or module.act is not F.silu:
            raise UnfitError
        down = self.matrix(module.down_proj)
        inner = len(module.gate_proj.weight)
        if inner == 0:  # no shared experts
            raise UnfitError
        return Gated(self.matrix(module.gate_proj), self.matrix(module.up_proj), down, inner)
