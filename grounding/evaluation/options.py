"""The options of an evaluation, and what of them an answer depends on."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grounding.conventions import convention_for_model, get_convention
from grounding.evaluation.asking import PROMPTS, fill_in
from grounding.evaluation.datasets import WHAT_FITS

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).parents[2] / "assets" / BUNDLED
# An answer that points somewhere takes some dozens of tokens, a thought before it thousands.
MAX_NEW_TOKENS, MAX_NEW_TOKENS_THINKING = 512, 8192
HEAD_BYTES = 1024 * 1024
ENDPOINT_CONCURRENCY = 8  # servers put what comes together into batches
KEY_VARIABLE = "SIGHTLINE_ENDPOINT_KEY"  # not an option: others can read a command line


def read_settings(description: str, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the settings; exits with a message if they contradict each other."""
    parser = argparse.ArgumentParser(
        prog="python -m grounding.evaluate",
        description=description,
        epilog=f"DATA is a folder with, or one of:\n{WHAT_FITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", metavar="DATA", type=Path, help="folder of a benchmark, or an annotation file")
    add("--model", help="bundled (the default), a checkpoint's folder, or a Hugging Face id")
    add(
        "--endpoint",
        metavar="URL",
        help=f"server that speaks the OpenAI protocol; its key, if it wants one, in {KEY_VARIABLE}",
    )
    add("--endpoint-model", metavar="NAME", help="what the server calls its model")
    add("--thinking", action="store_true", help="let the model think before it answers")
    add(
        "--look-twice",
        action="store_true",
        help="ask again about the part around the first answer, if the model saw the picture "
        "scaled down; the summary has the figures of the first look too",
    )
    add("--limit", type=_positive, metavar="N", help="ask about N items, evenly spread")
    add("--out", type=Path, default=Path("evaluation"), help="folder for results (%(default)s)")
    add(
        "--concurrency",
        type=_positive,
        metavar="N",
        help=f"questions at a time (1; {ENDPOINT_CONCURRENCY} with --endpoint)",
    )
    add("--images", type=Path, metavar="DIR", help="where the pictures are, if not beside DATA")
    add(
        "--prompt",
        help=f"template with {{instruction}}, or one of {', '.join(PROMPTS)}; by default "
        f"click ({PROMPTS['click']!r}) for the bundled model, locate ({PROMPTS['locate']!r}) for "
        "others",
    )
    add("--convention", help="what the model's numbers count (by the model's name)")
    add(
        "--max-new-tokens",
        type=_positive,
        help=f"longest answer ({MAX_NEW_TOKENS}; {MAX_NEW_TOKENS_THINKING} with --thinking)",
    )
    add("--device", default="auto", help="auto, cpu, or a device such as cuda:0 (%(default)s)")
    add("--dtype", default="auto", help="auto, or a dtype such as bfloat16 (%(default)s)")
    add("--quantization", choices=["int8", "int4"], help="keep the weights in integers")
    settings = parser.parse_args(arguments)
    if (settings.endpoint is None) != (settings.endpoint_model is None):
        parser.error("--endpoint and --endpoint-model belong together")
    if settings.endpoint is not None and settings.model is not None:
        parser.error("give --model or --endpoint, not both")
    if settings.endpoint is None and settings.model is None:
        settings.model = BUNDLED
    folder = settings.data.parent if settings.data.is_file() else settings.data
    if settings.out.resolve() == folder.resolve():
        # the next run would take the results for a part of the data
        parser.error(f"--out {settings.out} is the folder of the data; give another")
    is_bundled = settings.model == BUNDLED
    settings.prompt = settings.prompt or ("click" if is_bundled else "locate")
    settings.prompt = PROMPTS.get(settings.prompt, settings.prompt)
    if settings.convention is None:
        name = settings.endpoint_model or settings.model
        settings.convention = "glm" if is_bundled else convention_for_model(name)
    if settings.concurrency is None:
        settings.concurrency = 1 if settings.endpoint is None else ENDPOINT_CONCURRENCY
    try:
        fill_in(settings.prompt, "")
        get_convention(settings.convention)
    except ValueError as error:
        parser.error(str(error))
    if settings.max_new_tokens is None:
        settings.max_new_tokens = MAX_NEW_TOKENS_THINKING if settings.thinking else MAX_NEW_TOKENS
    return settings


def check_model(model: str) -> str:
    """Return where to load ``model`` from; exits with a message if its folder does not exist."""
    if model == BUNDLED:
        return str(BUNDLED_FOLDER)
    path = Path(model).expanduser()
    is_hub_id = model.count("/") == 1 and not model.startswith((".", "/", "~"))
    if not path.is_dir() and not is_hub_id:
        sys.exit(
            f"--model {model}: there is no such folder; give a checkpoint's folder, "
            "a Hugging Face id such as zai-org/GLM-4.5V, or leave it out for the bundled model"
        )
    return str(path) if path.is_dir() else model


def describe_settings(settings: argparse.Namespace, checkpoint: str | None) -> dict[str, Any]:
    """Return all that an answer depends on besides its item, as plain values."""
    names = ("prompt", "convention", "thinking", "look_twice", "max_new_tokens")
    described = {name: getattr(settings, name) for name in names}
    if checkpoint is None:
        return {"endpoint": settings.endpoint, "model": settings.endpoint_model, **described}
    return {
        "model": settings.model,
        "weights": fingerprint(Path(checkpoint)),
        "dtype": settings.dtype,
        # left out without: results of before there was a choice go on
        **({"quantization": settings.quantization} if settings.quantization else {}),
        **described,
    }


def fingerprint(folder: Path) -> str | None:
    """Return what tells a folder's checkpoint from another one; None for a hub id.

    From names, sizes and the first MiB of each file: weights that were trained on differ there.
    """
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(HEAD_BYTES))
    return digest.hexdigest()[:16]


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number
