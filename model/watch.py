"""What is prepared from a network, and whether that still is what it was then."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from operator import is_
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, UntypedStorage, nn


class UnfitError(Exception):
    """A network from which something can't be prepared."""


class Watch:
    """Remembers the modules of a network, their hooks, and the tensors that it is told of.

    Args:
        module: the network.

    Raises:
        UnfitError: a module's ``forward`` was replaced, by accelerate for example.
    """

    def __init__(self, module: nn.Module) -> None:
        # where each module or tensor stands, under which name, and which one it is
        self._owners: list[dict[str, Any]] = []
        self._names: list[str] = []
        self._kept: list[nn.Module | Tensor] = []
        self._tensors: list[Tensor] = []
        self._addresses: list[int] = []
        self._hooks: list[dict[int, Any]] = []
        self._add(module)

    def add_tensor(self, module: nn.Module, name: str) -> Tensor | None:
        """Watch a parameter or buffer, and return it; None if the module has none of this name."""
        owner = module._buffers if name in module._buffers else module._parameters
        tensor = owner.get(name)
        if tensor is not None:
            self._keep(owner, name, tensor)
            self._tensors.append(tensor)
            self._addresses.append(tensor.data_ptr())
        return tensor

    @property
    def nbytes(self) -> int:
        """Bytes of the watched tensors."""
        return sum(tensor.nbytes for tensor in self._tensors)

    def storages(self) -> list[UntypedStorage]:
        """Return what holds the watched tensors' numbers: as long as it is kept, addresses hold."""
        return list(map(Tensor.untyped_storage, self._tensors))

    def is_current(self) -> bool:
        """Whether nothing was moved or replaced."""
        # asked before every token: in C it takes a fifth of the time of a loop
        present = map(dict.get, self._owners, self._names)
        return (
            all(map(is_, present, self._kept))
            and list(map(Tensor.data_ptr, self._tensors)) == self._addresses
        )

    def is_hooked(self) -> bool:
        """Whether somebody wants to be called when a module runs."""
        return any(self._hooks)

    def _add(self, module: nn.Module) -> None:
        self._hooks += [module._forward_hooks, module._forward_pre_hooks]
        if "forward" in module.__dict__:
            raise UnfitError
        for name, child in module._modules.items():
            if child is not None:
                self._keep(module._modules, name, child)
                self._add(child)

    def _keep(self, owner: Any, name: str, kept: nn.Module | Tensor) -> None:
        self._owners.append(owner)
        self._names.append(name)
        self._kept.append(kept)


class Watching(Protocol):
    """What was prepared from a network."""

    @property
    def watch(self) -> Watch:
        """Of that network."""


PreparedT = TypeVar("PreparedT", bound=Watching)


class Prepared(Generic[PreparedT]):
    """What was prepared from networks, one of each, for as long as they live and stay the same."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[nn.Module, PreparedT] = weakref.WeakKeyDictionary()
        # what was found unfit, by where it lay: a network that has moved is looked at again
        self._unfit: weakref.WeakKeyDictionary[nn.Module, int] = weakref.WeakKeyDictionary()

    def get(
        self,
        network: nn.Module,
        place: Tensor,
        make: Callable[[], PreparedT],
        is_usable: Callable[[PreparedT], bool] = lambda prepared: True,
    ) -> PreparedT | None:
        """Return what was prepared; None if that can't be done, or a module has hooks.

        Args:
            place: a tensor of the network, to see whether one that was unfit has moved.
            make: prepares it, or raises `UnfitError`.
            is_usable: else it is prepared anew.
        """
        kept = self._kept.get(network)
        if kept is None or not is_usable(kept) or not kept.watch.is_current():
            if self._unfit.get(network) == place.data_ptr():
                return None
            try:
                kept = self._kept[network] = make()
            except UnfitError:
                self.refuse(network, place)
                return None
        return None if kept.watch.is_hooked() else kept

    def refuse(self, network: nn.Module, place: Tensor) -> None:
        """Count a network as unfit until ``place`` lies elsewhere."""
        self._kept.pop(network, None)
        self._unfit[network] = place.data_ptr()
