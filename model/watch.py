"""Whether a network is still what it was when something was prepared from it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class WrappedError(Exception):
    """A module's ``forward`` was replaced, by accelerate for example."""


class Watch:
    """Remembers the modules of a network, their hooks, and the tensors that it is told of.

    Args:
        module: the network.

    Raises:
        WrappedError: calling a module does not do what its class says.
    """

    def __init__(self, module: nn.Module) -> None:
        self._modules: list[tuple[dict[str, Any], str, Any]] = []
        self._tensors: list[tuple[dict[str, Any], str, Any, int]] = []
        self._hooks: list[dict[int, Any]] = []
        self._add(module)

    def add_tensor(self, module: nn.Module, name: str) -> Tensor | None:
        """Watch a parameter or buffer, and return it; None if the module has none of this name."""
        owner = module._buffers if name in module._buffers else module._parameters
        tensor = owner[name]
        if tensor is not None:
            self._tensors.append((owner, name, tensor, tensor.data_ptr()))
        return tensor

    @property
    def nbytes(self) -> int:
        """Bytes of the watched tensors."""
        return sum(tensor.nbytes for _, _, tensor, _ in self._tensors)

    def is_current(self) -> bool:
        """Whether nothing was moved or replaced."""
        return all(owner[name] is module for owner, name, module in self._modules) and all(
            owner[name] is tensor and tensor.data_ptr() == address
            for owner, name, tensor, address in self._tensors
        )

    def is_hooked(self) -> bool:
        """Whether somebody wants to be called when a module runs."""
        return any(self._hooks)

    def _add(self, module: nn.Module) -> None:
        self._hooks += [module._forward_hooks, module._forward_pre_hooks]
        if "forward" in module.__dict__:
            raise WrappedError
        for name, child in module._modules.items():
            if child is not None:
                self._modules.append((module._modules, name, child))
                self._add(child)
