"""Which part of the model lives where: one device, several, or disk. Decides, moves nothing.

accelerate plans the automatic map; a caller's own map is checked and completed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import accelerate
import torch
from accelerate.utils import get_balanced_memory, get_max_memory
from torch import nn

from model.checkpoint.errors import CheckpointError

DISK = "disk"
PART_FOR_WEIGHTS = 0.9  # of the free memory; caches and activations need some too

# Residual blocks: splitting one would send its activations to and fro.
UNDIVIDED_CLASSES = ["Glm4vMoeDecoderLayer", "Glm4vMoeVisionBlock"]

Device = torch.device | str | int
DeviceMap = Mapping[str, Device]


@dataclass(frozen=True, slots=True)
class Placement:
    """Module name -> device. The longest name counts that contains a tensor; "" is the whole model.

    Attributes:
        devices: strings, as accelerate compares them: ``"cpu"``, ``"cuda:0"``, ``"disk"``.
    """

    devices: dict[str, str]

    def of(self, name: str) -> str:
        """Return where a tensor or module lives; the main device if no entry contains it."""
        while name and name not in self.devices:
            name = name.rpartition(".")[0]
        return self.devices.get(name, self.main_device)

    @property
    def main_device(self) -> str:
        """Where parts on the CPU or on disk are computed: the first accelerator, else the CPU."""
        return next((d for d in self.devices.values() if d not in ("cpu", DISK)), "cpu")

    @property
    def is_spread(self) -> bool:
        """Whether weights or activations have to move during a forward."""
        return len(set(self.devices.values())) > 1 or DISK in self.devices.values()


def plan_placement(
    model: nn.Module,
    aliases: Mapping[str, str],
    device_map: Device | DeviceMap | None,
    dtypes: Mapping[str, torch.dtype],
) -> Placement:
    """Turn the caller's ``device_map`` into a complete one whose entries don't overlap.

    Args:
        model: on the meta device.
        aliases: further name -> first name of shared parameters, which live where the first does.
        device_map: None for the CPU, a device, ``"auto"``, ``"disk"``, or module name -> device.
        dtypes: tensor name -> dtype it will have.

    Raises:
        CheckpointError: a device that isn't there, an unknown module, or a tensor without a device.
    """
    if device_map == "auto":
        device_map = _plan_automatically(model, aliases, dtypes)
    elif not isinstance(device_map, Mapping):
        device_map = {"": "cpu" if device_map is None else device_map}
    modules = dict(model.named_modules())
    unknown = [name for name in device_map if name not in modules and name not in dtypes]
    if unknown:
        raise CheckpointError(
            f"device_map names {', '.join(unknown)}, which the model does not have; "
            "use names of its modules, such as model.language_model.layers.0, or '' for all"
        )
    devices = {name: _check_device(device) for name, device in device_map.items()}
    uncovered = [name for name in dtypes if not _is_covered(name, devices)]
    if uncovered:
        raise CheckpointError(
            f"device_map gives no device for {', '.join(uncovered)}; "
            "add their modules, or '' for everything that is not named"
        )
    placement = Placement(devices)
    for alias, first in aliases.items():
        # one parameter has one home
        devices[alias.rpartition(".")[0]] = placement.of(first)
    return _without_overlap(model, placement)


def _plan_automatically(
    model: nn.Module, aliases: Mapping[str, str], dtypes: Mapping[str, torch.dtype]
) -> DeviceMap:
    """Fill the GPUs evenly, then the CPU, then the disk."""
    sizes = {
        "special_dtypes": {**dtypes, **{alias: dtypes[first] for alias, first in aliases.items()}},
        "no_split_module_classes": UNDIVIDED_CLASSES,
    }
    memory = get_balanced_memory(model, **sizes)
    return accelerate.infer_auto_device_map(model, max_memory=memory, **sizes)


def one_device(num_bytes: int) -> Device:
    """Return the first accelerator that has room for so many bytes of weights, else the CPU."""
    for device, free in get_max_memory().items():
        if device not in ("cpu", DISK) and num_bytes <= free * PART_FOR_WEIGHTS:
            return device
    return "cpu"


def _is_covered(name: str, devices: Mapping[str, object]) -> bool:
    return "" in devices or any(name == d or name.startswith(f"{d}.") for d in devices)


def _check_device(device: Device) -> str:
    if device == DISK:
        return DISK
    try:
        # with its index: "cuda" and "cuda:0" are one place
        return str(torch.empty(0, device=device).device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise CheckpointError(
            f"device {device!r} can't be used here ({str(error).splitlines()[0]}); "
            "use 'cpu', 'auto', 'disk' or a device that this PyTorch sees"
        ) from error


def _without_overlap(model: nn.Module, placement: Placement) -> Placement:
    """Name the largest modules that live in one place: accelerate can't read nested entries."""
    devices: dict[str, str] = {}

    def visit(name: str, module: nn.Module) -> None:
        tensors = chain(
            module.named_parameters(name, remove_duplicate=False),
            module.named_buffers(name, remove_duplicate=False),
        )
        homes = [placement.of(tensor) for tensor, _ in tensors]
        children = list(module.named_children())
        if len(set(homes)) == 1 or (homes and not children):
            # the tensors of a single layer stay together
            devices[name] = homes[0]
            return
        for child_name, child in children:
            visit(f"{name}.{child_name}" if name else child_name, child)

    visit("", model)
    return Placement(devices)
