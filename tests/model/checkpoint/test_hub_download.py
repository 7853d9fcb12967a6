"""Hub ids: what is fetched, and what each failure says. The hub itself is never reached."""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from checkpoints import assert_same_tensors, checkpoint_tensors, write_checkpoint
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from model.checkpoint import CheckpointError, find_folder, load_pretrained
from model.glm4v_moe import Glm4vMoeForConditionalGeneration as Model

RESPONSE = httpx.Response(401, request=httpx.Request("GET", "https://hub.test"))


class FakeHub:
    """A repository in a folder, and the files that were asked for."""

    def __init__(self, repository: Path, cache: Path) -> None:
        self.repository = repository
        self.cache = cache
        self.fetched: list[list[str]] = []

    def snapshot_download(self, hub_id: str, *, allow_patterns: list[str]) -> str:
        names = [file.name for file in self.repository.iterdir()]
        wanted = [n for n in names if any(fnmatch.fnmatch(n, p) for p in allow_patterns)]
        self.fetched.append(sorted(wanted))
        self.cache.mkdir(exist_ok=True)
        for name in wanted:
            shutil.copy(self.repository / name, self.cache)
        return str(self.cache)


@pytest.fixture
def hub(tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    folder = tmp_path / "repository"
    write_checkpoint(folder, tiny_model.config.to_dict(), checkpoint_tensors(tiny_model))
    for name in ("chat_template.jinja", "merges.txt", "pytorch_model.bin", "modeling.py"):
        (folder / name).touch()
    fake = FakeHub(folder, tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake.snapshot_download)
    return fake


def test_descriptions_come_before_weights_and_nothing_else_comes(
    hub: FakeHub, tiny_model: Model
) -> None:
    assert_same_tensors(load_pretrained(Model, "some/model", dtype="float32"), tiny_model)
    texts = ["chat_template.jinja", "config.json", "merges.txt"]
    assert hub.fetched == [texts, [*texts, "model.safetensors"]]


def test_another_models_weights_are_never_fetched(hub: FakeHub) -> None:
    (hub.repository / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="'llama'"):
        load_pretrained(Model, "some/model")
    assert len(hub.fetched) == 1


def test_a_folder_is_not_looked_up_on_the_hub(hub: FakeHub) -> None:
    assert find_folder(str(hub.repository), with_weights=True) == hub.repository
    assert hub.fetched == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GatedRepoError("no", response=RESPONSE), "accept terms.*huggingface.co/some/model"),
        (RepositoryNotFoundError("no", response=RESPONSE), "check the spelling.*hf auth login"),
        (HfHubHTTPError("503", response=RESPONSE), "try again later"),
        (
            LocalEntryNotFoundError("no"),
            "no folder some.model here, the hub can't be reached.*give the path",
        ),
        (
            OfflineModeIsEnabled("no"),
            "no folder some.model here, the hub can't be reached.*give the path",
        ),
        (OSError(28, "No space left on device"), "No space left.*HF_HOME"),
    ],
    ids=["gated", "missing", "http", "not cached", "offline", "disk full"],
)
def test_a_failed_download_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(CheckpointError, match=expected):
        find_folder("some/model", with_weights=True)


@pytest.mark.parametrize("name", ["no-such-folder", "./no/such", "/no/such", "a/b/c", "a b/c"])
def test_what_is_neither_a_folder_nor_an_id_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a folder on this machine nor a hub id"):
        find_folder(name, with_weights=False)


def test_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        find_folder(file, with_weights=False)


def test_an_id_that_the_hub_library_finds_invalid_is_refused() -> None:
    with pytest.raises(CheckpointError, match="not a valid hub id"):
        find_folder("some/model..name--", with_weights=False)
