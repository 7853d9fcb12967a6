"""A folder, or the id of a repository on the Hugging Face Hub -> a folder on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from model.checkpoint.errors import CheckpointError

# Never *.bin or *.py: nothing that is downloaded is executed.
DESCRIPTION_FILES = ("*.json", "*.jinja", "*.txt")
WEIGHT_FILES = ("*.safetensors",)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_folder(path_or_hub_id: str | Path, *, with_weights: bool) -> Path:
    """Return the checkpoint's folder, downloading a hub id into the hub's cache.

    A download shows its progress, keeps what is already there and goes on where it was interrupted.

    Args:
        path_or_hub_id: a folder, or an id such as ``zai-org/GLM-4.5V``.
        with_weights: False fetches config, tokenizer and templates only (a few MB).

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
    return _download(name, [*DESCRIPTION_FILES, *(WEIGHT_FILES if with_weights else ())])


def _download(hub_id: str, patterns: list[str]) -> Path:
    try:
        return Path(huggingface_hub.snapshot_download(hub_id, allow_patterns=patterns))
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
