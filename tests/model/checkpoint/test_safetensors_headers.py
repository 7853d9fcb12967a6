from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from model.checkpoint.errors import CheckpointError
from model.checkpoint.shards import FLOAT_DTYPES, read_folder, read_header

NO_RESET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_raw(file: Path, header: object, data: bytes) -> Path:
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return file


def test_a_header_gives_dtype_shape_and_the_bytes_of_every_tensor(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).bfloat16(), "b": torch.randn(5), "c": torch.randn(2).half()}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    entries = read_header(tmp_path / "x.safetensors")
    assert {n: (e.dtype, e.shape) for n, e in entries.items()} == {
        "a": ("BF16", (3, 4)),
        "b": ("F32", (5,)),
        "c": ("F16", (2,)),
    }
    raw = (tmp_path / "x.safetensors").read_bytes()
    for name, tensor in tensors.items():
        place = slice(entries[name].offset, entries[name].offset + entries[name].num_bytes)
        assert raw[place] == tensor.view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: raw[:20],
        lambda raw: raw[:3],
        lambda raw: b"",
        lambda raw: b"\xff" * 16 + raw[16:],
        lambda raw: raw[:8] + b"[" + raw[9:],
        lambda raw: b"<!DOCTYPE html><html>not found</html>",
    ],
    ids=["short", "long", "cut header", "cut length", "empty", "huge length", "json", "html"],
)
def test_a_damaged_file_is_named_with_what_to_do(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "x.safetensors"
    save_file({"a": torch.randn(3, 4)}, file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=r"x\.safetensors is damaged .* download it again"):
        read_header(file)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": 1},
        {"a": {"dtype": "F32", "shape": [2]}},
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, "8"]}},
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        },
    ],
)
def test_a_header_that_contradicts_itself_is_damaged(tmp_path: Path, header: object) -> None:
    file = write_raw(tmp_path / "x.safetensors", header, b"\0" * 8)
    with pytest.raises(CheckpointError, match="is damaged or incomplete"):
        read_header(file)


@NO_RESET
@given(position=st.integers(0, 90), byte=st.integers(0, 255))
def test_what_the_safetensors_library_refuses_is_refused_or_no_float(
    tmp_path: Path, position: int, byte: int
) -> None:
    file = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(3)}, file)
    raw = bytearray(file.read_bytes())
    raw[position % len(raw)] = byte
    file.write_bytes(raw)
    try:
        with safe_open(file, "pt") as reference:
            names = list(reference.keys())
    except SafetensorError:
        names = []
    try:
        entries = read_header(file)
    except CheckpointError:
        return
    # an unknown dtype is refused later, when the tensor is matched to the model
    assert list(entries) == names or any(e.dtype not in FLOAT_DTYPES for e in entries.values())


def test_a_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        read_folder(tmp_path)


def test_a_tensor_in_two_shards_is_taken_from_the_one_that_the_index_names(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    save_file({"a": torch.ones(2), "b": torch.ones(3)}, tmp_path / "two.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    files = {name: entry.file.name for name, entry in read_folder(tmp_path).items()}
    assert files == {"a": "one.safetensors", "b": "two.safetensors"}


@pytest.mark.parametrize(
    "index",
    ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": "../x.safetensors"}}'],
)
def test_a_broken_index_is_named(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"index\.json has no weight_map"):
        read_folder(tmp_path)


def test_every_missing_shard_is_named(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "3.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"2 of the 3 shards .* 3\.safetensors, two\.safe"):
        read_folder(tmp_path)


def test_a_folder_of_other_weight_files_says_which(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"only pytorch_model\.bin; save it as safetensors"):
        read_folder(tmp_path)
