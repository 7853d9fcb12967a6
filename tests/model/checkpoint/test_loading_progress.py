"""How far a checkpoint is: what is downloaded, and what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkpoints import checkpoint_tensors, write_checkpoint

from model.checkpoint import find_folder, load_pretrained
from model.checkpoint.progress import Stage
from model.glm4v_moe import Glm4vMoeForConditionalGeneration as Model


class Told:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.parts: list[tuple[Stage, float]] = []

    def __call__(self, stage: Stage, part: float) -> None:
        self.parts.append((stage, part))


def test_reading_is_told_from_its_first_tensor_to_its_last(
    tmp_path: Path, tiny_model: Model
) -> None:
    tensors = checkpoint_tensors(tiny_model)
    write_checkpoint(tmp_path, tiny_model.config.to_dict(), tensors)
    told = Told()
    load_pretrained(Model, tmp_path, dtype="float32", progress=told)
    parts = [part for stage, part in told.parts if stage == "loading"]
    assert len(parts) == len(told.parts) == len(tensors)
    assert parts == sorted(parts)
    assert 0 < parts[0] < 0.5
    assert parts[-1] == 1


def snapshot(folder: Path) -> Callable[..., Any]:
    """Return a download of 400 bytes, 100 of which are here already, as the library shows it."""

    def download(
        hub_id: str, *, allow_patterns: list[str], dry_run: bool = False, tqdm_class: Any = None
    ) -> Any:
        if dry_run:
            return [
                SimpleNamespace(file_size=100, will_download=False),
                SimpleNamespace(file_size=300, will_download=True),
            ]
        options: dict[str, Any] = {"unit": "B", "total": 0, "disable": True}
        group = "huggingface_hub.snapshot_download"
        transfer = tqdm_class(name=f"{group}.transfer", **options)
        written = tqdm_class(name=group, **options)
        files = tqdm_class(total=2, disable=True)
        transfer.update(250)
        written.update(75)
        files.update(1)
        written.update(225)
        return str(folder)

    return download


def test_a_download_is_told_by_the_bytes_that_are_still_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot(tmp_path))
    told = Told()
    assert find_folder("some/model", with_weights=True, progress=told) == tmp_path
    assert told.parts == [("downloading", 0.25), ("downloading", 1.0)]


@pytest.mark.parametrize("files", [[], OSError("no route to the hub")], ids=["nothing", "offline"])
def test_where_the_size_is_not_known_a_download_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Any
) -> None:
    def download(hub_id: str, *, allow_patterns: list[str], dry_run: bool = False) -> Any:
        if dry_run and isinstance(files, Exception):
            raise files
        return files if dry_run else str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    told = Told()
    assert find_folder("some/model", with_weights=True, progress=told) == tmp_path
    assert told.parts == []
