"""Checkpoint tensor names <-> tensors of the model.

Names are equal except for the routed experts: a checkpoint has three tensors per expert,
``experts.E.{gate,up,down}_proj.weight``; the model has two per layer, ``experts.gate_up_proj``
(E, 2 * I, C) with the gate rows first and ``experts.down_proj`` (E, C, I). Re-saved checkpoints may
hold the stacked form, also for some layers only.

Every checkpoint tensor is one contiguous run of elements of one model tensor: its `Slot`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

GATE_UP = ".experts.gate_up_proj"
DOWN = ".experts.down_proj"

# The first is how GLM-4.5V names a layer, the second how text-only GLM-4.5 files do.
LAYER = re.compile(r"model\.(?:language_model\.)?layers\.(\d+)\.")
# Old files keep the rotary frequencies, which follow from config.json.
ROTARY_TABLE = re.compile(r"(^|\.)rotary(_pos)?_emb\.(original_)?inv_freq$")


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a checkpoint tensor lies in the model.

    Attributes:
        target: name of the model's tensor.
        start: its first element, counted in the flattened target.
        shape: shape in the checkpoint; the run has as many elements.
    """

    target: str
    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        """The element after the last, counted in the flattened target."""
        return self.start + prod(self.shape)


def model_tensors(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return what a checkpoint of ``model`` holds, in the model's order.

    Returns:
        tensors: parameters and persistent buffers by name, a shared one under its first name.
        aliases: further name -> first name, of parameters that two modules share.
    """
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first_names: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        first = first_names.setdefault(id(tensor), name)
        if first == name:
            tensors[name] = tensor
        else:
            aliases[name] = first
    return tensors, aliases


def split_experts(name: str, shape: tuple[int, ...]) -> dict[str, Slot]:
    """Return the checkpoint's tensors of one model tensor: per expert, or the tensor itself."""
    if name.endswith(GATE_UP):
        prefix = name.removesuffix("gate_up_proj")
        experts, rows, columns = shape
        half = (rows // 2, columns)
        return {
            f"{prefix}{expert}.{part}_proj.weight": Slot(
                name, (2 * expert + second) * prod(half), half
            )
            for expert in range(experts)
            for second, part in enumerate(("gate", "up"))
        }
    if name.endswith(DOWN):
        prefix = name.removesuffix("down_proj")
        experts, rows, columns = shape
        return {
            f"{prefix}{expert}.down_proj.weight": Slot(
                name, expert * rows * columns, (rows, columns)
            )
            for expert in range(experts)
        }
    return {name: Slot(name, 0, shape)}


def expected_slots(tensors: Mapping[str, Tensor], found: Container[str]) -> dict[str, Slot]:
    """Return checkpoint name -> slot for all of the model.

    Args:
        tensors: the model's tensors, of any device.
        found: names in the checkpoint; a layer's experts are expected in the form it has.
    """
    slots: dict[str, Slot] = {}
    for name, tensor in tensors.items():
        shape = tuple(tensor.shape)
        slots |= {name: Slot(name, 0, shape)} if name in found else split_experts(name, shape)
    return slots


def is_ignored(name: str, num_hidden_layers: int) -> bool:
    """Tell whether a checkpoint tensor is none of the model's by design.

    These are the layers after the last, which predict further tokens (MTP), and rotary tables.
    """
    layer = LAYER.match(name)
    return bool(ROTARY_TABLE.search(name) or (layer and int(layer[1]) >= num_hidden_layers))
