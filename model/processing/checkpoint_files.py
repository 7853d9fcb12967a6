"""Find and read the small files of a checkpoint: processor settings, tokenizer, chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Everything a processor reads; never the weights nor their (2 MB) index.
SMALL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
)


def find_folder(path_or_hub_id: str | Path) -> Path:
    """Return a local folder holding the small files, downloading them for a hub id.

    Raises:
        FileNotFoundError: neither a folder nor the name of a repository that can be reached.
    """
    folder = Path(path_or_hub_id).expanduser()
    if folder.is_dir():
        return folder
    name = str(path_or_hub_id)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise FileNotFoundError(
            f"{name} is neither a folder nor a hub id; expected a checkpoint folder "
            "or a name such as zai-org/GLM-4.5V"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(SMALL_FILES)))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"there is no folder {name} here, and the hub did not give it either ({error}); "
            "check the name and the connection"
        ) from error


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """Read a JSON object from the folder; None when there is no such file.

    Raises:
        ValueError: the file is not a JSON object.
    """
    path = folder / name
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); download it again") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    return value


def read_processor_settings(folder: Path, kind: str) -> dict[str, Any] | None:
    """Read the settings of the "image" or "video" processor; None when there are none.

    transformers 5 saves both inside processor_config.json; the published GLM checkpoints keep
    preprocessor_config.json and video_preprocessor_config.json.
    """
    nested = (read_json(folder, "processor_config.json") or {}).get(f"{kind}_processor")
    if nested is not None:
        return nested
    prefix = "video_" if kind == "video" else ""
    return read_json(folder, f"{prefix}preprocessor_config.json")


def uses_glm46v_rules(*settings: dict[str, Any] | None) -> bool:
    """Tell GLM-4.6V's processor (frame sampling, timestamps, tool results) from GLM-4.5V's.

    The class names decide: both models call themselves glm4v_moe.
    """
    keys = ("processor_class", "image_processor_type", "video_processor_type")
    names = [str((found or {}).get(key, "")) for found in settings for key in keys]
    return any(name.startswith("Glm46V") for name in names)
