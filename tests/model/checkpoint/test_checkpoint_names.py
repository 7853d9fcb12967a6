from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.checkpoint.names import expected_slots, is_ignored, model_tensors, split_experts
from model.checkpoint.save import plan_shards

LAYER = "model.language_model.layers.1.mlp"


def test_slots_of_gate_and_up_are_the_halves_of_an_experts_rows() -> None:
    stacked = torch.arange(3 * 4 * 5).view(3, 4, 5)
    slots = split_experts(f"{LAYER}.experts.gate_up_proj", (3, 4, 5))
    for expert in range(3):
        for part, rows in (("gate", stacked[expert, :2]), ("up", stacked[expert, 2:])):
            slot = slots[f"{LAYER}.experts.{expert}.{part}_proj.weight"]
            run = stacked.flatten()[slot.start : slot.stop].view(slot.shape)
            assert torch.equal(run, rows)
    assert len(slots) == 6


@pytest.mark.parametrize("leaf", ["gate_up_proj", "down_proj"])
@given(experts=st.integers(1, 5), rows=st.integers(1, 4), columns=st.integers(1, 4))
def test_slots_cover_a_stacked_tensor_once(
    leaf: str, experts: int, rows: int, columns: int
) -> None:
    shape = (experts, 2 * rows, columns)
    slots = sorted(split_experts(f"{LAYER}.experts.{leaf}", shape).values(), key=lambda s: s.start)
    assert [slot.start for slot in slots[1:]] == [slot.stop for slot in slots[:-1]]
    assert (slots[0].start, slots[-1].stop) == (0, experts * 2 * rows * columns)


def test_a_shared_experts_matrix_is_one_tensor() -> None:
    name = f"{LAYER}.shared_experts.down_proj.weight"
    assert list(split_experts(name, (4, 2))) == [name]


def test_experts_are_expected_in_the_form_the_checkpoint_has() -> None:
    name = f"{LAYER}.experts.down_proj"
    tensors = {name: torch.empty(2, 3, 4, device="meta")}
    assert list(expected_slots(tensors, {name})) == [name]
    assert list(expected_slots(tensors, set())) == [
        f"{LAYER}.experts.0.down_proj.weight",
        f"{LAYER}.experts.1.down_proj.weight",
    ]


def test_a_shared_parameter_is_listed_once_with_its_second_name_as_alias() -> None:
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    tensors, aliases = model_tensors(model)
    assert list(tensors) == ["a.weight", "a.bias", "b.bias"]
    assert aliases == {"b.weight": "a.weight"}


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("model.language_model.layers.46.eh_proj.weight", True),
        ("model.layers.92.mlp.experts.0.up_proj.weight", True),
        ("model.language_model.layers.45.mlp.gate.weight", False),
        ("model.visual.blocks.46.norm1.weight", False),
        ("model.language_model.layers.0.self_attn.rotary_emb.inv_freq", True),
        ("model.visual.rotary_pos_emb.inv_freq", True),
        ("model.language_model.inv_freq", False),
    ],
)
def test_layers_after_the_last_and_rotary_tables_are_ignored(name: str, ignored: bool) -> None:
    assert is_ignored(name, num_hidden_layers=46) is ignored


@given(st.lists(st.integers(1, 30)), st.integers(1, 40))
def test_shards_keep_the_order_and_the_limit(sizes: list[int], limit: int) -> None:
    named = {str(i): size for i, size in enumerate(sizes)}
    shards = plan_shards(named, limit)
    assert [name for shard in shards for name in shard] == list(named)
    assert all(len(shard) == 1 or sum(named[name] for name in shard) <= limit for shard in shards)
