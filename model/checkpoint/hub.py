"""A folder, or the id of a repository on the Hugging Face Hub -> a folder on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from model.checkpoint.errors import CheckpointError
from model.checkpoint.progress import ByteCount, Progress, counting_bar

# Never *.bin or *.py: nothing that is downloaded is executed.
DESCRIPTION_FILES = ("*.json", "*.jinja", "*.txt")
WEIGHT_FILES = ("*.safetensors",)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_folder(
    path_or_hub_id: str | Path, *, with_weights: bool, progress: Progress | None = None
) -> Path:
    """Return the checkpoint's folder, downloading a hub id into the hub's cache.

    A download shows its progress, keeps what is already there and goes on where it was interrupted.

    Args:
        path_or_hub_id: a folder, or an id such as ``zai-org/GLM-4.5V``.
        with_weights: False fetches config, tokenizer and templates only (a few MB).
        progress: told how much of what is not here yet has been downloaded.

    Raises:
        CheckpointError: no such folder, or the repository can't be had.
    """
    folder = Path(path_or_hub_id).expanduser()
    if folder.is_dir():
        return folder
    name = str(path_or_hub_id)
    if folder.exists():
        raise CheckpointError(f"{name} is a file; give the folder that holds config.json")
    if not HUB_ID.fullmatch(name):
        raise CheckpointError(
            f"{name} is neither a folder on this machine nor a hub id such as zai-org/GLM-4.5V"
        )
    patterns = [*DESCRIPTION_FILES, *(WEIGHT_FILES if with_weights else ())]
    return _download(name, patterns, progress)


def _bytes_to_download(hub_id: str, patterns: list[str]) -> int:
    """Return the size of what is not here yet; 0 if it can't be known."""
    try:
        files = huggingface_hub.snapshot_download(hub_id, allow_patterns=patterns, dry_run=True)
    # whatever is wrong, the download itself meets it too and tells; older libraries have no dry run
    except Exception:
        return 0
    return sum(file.file_size or 0 for file in files if file.will_download)


def _download(hub_id: str, patterns: list[str], progress: Progress | None) -> Path:
    options: dict[str, Any] = {}
    if progress is not None and (total := _bytes_to_download(hub_id, patterns)):
        options["tqdm_class"] = counting_bar(ByteCount("downloading", total, progress))
    try:
        folder = huggingface_hub.snapshot_download(hub_id, allow_patterns=patterns, **options)
        return Path(folder)
    except GatedRepoError as error:
        raise CheckpointError(
            f"{hub_id} asks its users to accept terms: do so on https://huggingface.co/{hub_id}, "
            "then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{hub_id} is neither a folder on this machine nor a repository on the hub that you "
            "may see; check the spelling, and for a private one log in with `hf auth login`"
        ) from error
    except HFValidationError as error:
        raise CheckpointError(f"{hub_id} is not a valid hub id: {error}") from error
    except HfHubHTTPError as error:
        raise CheckpointError(
            f"the hub refused {hub_id}: {error}; try again later, finished files are kept"
        ) from error
    except (LocalEntryNotFoundError, ConnectionError) as error:
        raise CheckpointError(
            f"there is no folder {hub_id} here, the hub can't be reached, and its cache on this "
            "machine does not hold all of it; connect and repeat (finished files are kept), or "
            "give the path of a downloaded folder"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{hub_id} can't be stored: {error}; free some room or set HF_HOME to another disk, "
            "then repeat, finished files are kept"
        ) from error
