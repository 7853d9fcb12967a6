"""Measure how often a model points at the right thing.

    python -m grounding.evaluate DATA --model bundled|PATH|HUB_ID [--out DIR]
    python -m grounding.evaluate DATA --endpoint URL --endpoint-model NAME [--concurrency 8]

Asks the model about every item of a benchmark, greedily, and writes to --out: results.jsonl (every
answer, as it comes), summary.json (the figures) and failures.html (what was wrong, on its
screenshot). A run that was interrupted goes on where it stopped when it is started again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from grounding.evaluation.asking import PROMPTS, Answer, Picture, Record, ask_about, fill_in
from grounding.evaluation.datasets import WHAT_FITS, Dataset, DatasetError, Item, read_dataset
from grounding.evaluation.metrics import is_right
from grounding.evaluation.progress import Progress
from grounding.evaluation.report import describe, to_text, write_failures, write_summary
from grounding.evaluation.results import Results, ResultsError
from grounding.evaluation.run import run
from grounding.geometry import get_convention

if TYPE_CHECKING:
    from model.backends.base import ChatBackend, SamplingOptions

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).parents[1] / "assets" / BUNDLED
# An answer that points somewhere takes some dozens of tokens, a thought before it thousands.
MAX_NEW_TOKENS, MAX_NEW_TOKENS_THINKING = 512, 8192
HEAD_BYTES = 1024 * 1024
INTERRUPTED = 130  # the exit status that shells know for Ctrl-C


class Interrupted(Exception):
    """The run was ended while this answer was being made."""


@dataclass(frozen=True, slots=True)
class BackendAsker:
    """A chat backend, as an evaluation sees it; gives up when ``stopped`` is set."""

    backend: ChatBackend
    options: SamplingOptions
    thinking: bool
    stopped: threading.Event

    def open(self, file: Path) -> Picture:
        """Open a picture with the backend's own view of sizes."""
        from model.processing import Limits

        attachment = self.backend.open_attachment(str(file), limits=Limits())
        seen_size = attachment.items[0].sent_size
        if attachment.kind != "image" or seen_size is None:
            raise ValueError(f"{file.name} is not an image but a {attachment.kind}")
        return Picture(next(attachment.pictures()), seen_size, attachment.content())

    def ask(self, picture: Picture, question: str) -> Answer:
        """Return the backend's answer, once it is complete."""
        from model.backends.base import Reply

        content = [*picture.content, {"type": "text", "text": question}]
        reply = Reply()
        stream = self.backend.stream(
            [{"role": "user", "content": content}],
            enable_thinking=self.thinking,
            options=self.options,
        )
        with closing(stream):
            for event in stream:
                if self.stopped.is_set():
                    raise Interrupted
                reply.add(event)
        finished = reply.finished
        return Answer(
            text=reply.answer,
            thinking=reply.thinking,
            is_cut=finished is not None and finished.reason == "length",
            new_tokens=finished.new_tokens if finished is not None else 0,
        )


def read_settings(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the settings; exits with a message if they contradict each other."""
    parser = argparse.ArgumentParser(
        prog="python -m grounding.evaluate",
        description=__doc__,
        epilog=f"DATA is a folder with, or one of:\n{WHAT_FITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", metavar="DATA", type=Path, help="folder of a benchmark, or an annotation file")
    add("--model", help="bundled (the default), a checkpoint's folder, or a Hugging Face id")
    add("--endpoint", metavar="URL", help="server that speaks the OpenAI protocol")
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
    add("--concurrency", type=_positive, default=1, metavar="N", help="questions at a time (1)")
    add("--images", type=Path, metavar="DIR", help="where the pictures are, if not beside DATA")
    add(
        "--prompt",
        help=f"template with {{instruction}}, or one of {', '.join(PROMPTS)}; by default "
        f"click ({PROMPTS['click']!r}) for the bundled model, locate ({PROMPTS['locate']!r}) for "
        "others",
    )
    add("--convention", default="glm", help="what the model's numbers count (%(default)s)")
    add(
        "--max-new-tokens",
        type=_positive,
        help=f"longest answer ({MAX_NEW_TOKENS}; {MAX_NEW_TOKENS_THINKING} with --thinking)",
    )
    add("--device", default="auto", help="auto, cpu, or a device such as cuda:0 (%(default)s)")
    add("--dtype", default="auto", help="auto, or a dtype such as bfloat16 (%(default)s)")
    settings = parser.parse_args(arguments)
    if (settings.endpoint is None) != (settings.endpoint_model is None):
        parser.error("--endpoint and --endpoint-model belong together")
    if settings.endpoint is not None and settings.model is not None:
        parser.error("give --model or --endpoint, not both")
    if settings.endpoint is None and settings.model is None:
        settings.model = BUNDLED
    settings.prompt = settings.prompt or ("click" if settings.model == BUNDLED else "locate")
    settings.prompt = PROMPTS.get(settings.prompt, settings.prompt)
    try:
        fill_in(settings.prompt, "")
        get_convention(settings.convention)
    except ValueError as error:
        parser.error(str(error))
    if settings.max_new_tokens is None:
        settings.max_new_tokens = MAX_NEW_TOKENS_THINKING if settings.thinking else MAX_NEW_TOKENS
    return settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the evaluation; return the exit status: 0, 1 if items failed, 130 if interrupted."""
    settings = read_settings(arguments)
    try:
        dataset = read_dataset(settings.data, settings.images)
    except DatasetError as error:
        sys.exit(str(error))
    if settings.limit is not None:
        dataset = dataset.spread(settings.limit)
    checkpoint = None if settings.model is None else check_model(settings.model)
    try:
        results = Results(settings.out, describe_settings(settings, checkpoint))
    except ResultsError as error:
        sys.exit(str(error))
    with results:
        left = [item for item in dataset.items if not _is_answered(results, item)]
        if len(left) < len(dataset.items):
            there = len(dataset.items) - len(left)
            print(f"{there} of {len(dataset.items)} answers are in {results.path}", file=sys.stderr)
        status = 0
        if left:
            status = _ask_all(settings, checkpoint, dataset, left, results)
        summary = describe(dataset, results.records, describe_settings(settings, checkpoint))
        print(to_text(summary))
        files = [
            results.path,
            write_summary(settings.out, summary),
            write_failures(settings.out, dataset, results.records, open_image=_open_upright),
        ]
    print("written: " + ", ".join(map(str, files)), file=sys.stderr)
    if status == 0 and summary["failed"]:
        print(
            f"{summary['failed']} items failed and are in no figure; the page lists why. "
            "Start the same command again to ask them again",
            file=sys.stderr,
        )
        return 1
    return status


def _ask_all(
    settings: argparse.Namespace,
    checkpoint: str | None,
    dataset: Dataset,
    left: Sequence[Item],
    results: Results,
) -> int:
    """Ask about the items that are left and keep what comes; return the exit status."""
    backend, options = load_backend(settings, checkpoint)

    def answer(item: Item, stopped: threading.Event) -> Record:
        return ask_about(
            item,
            BackendAsker(backend, options, settings.thinking, stopped),
            prompt=settings.prompt,
            convention=settings.convention,
            look_twice=settings.look_twice,
        )

    items = {item.key: item for item in dataset.items}
    progress = Progress(len(items), sys.stderr, done=len(items) - len(left))
    right = asked = failed = 0
    records = run(left, answer, concurrency=settings.concurrency)
    try:
        with closing(records):
            for record in records:
                results.add(record)
                asked += record.error is None
                failed += record.error is not None
                target = items[record.key].target
                right += is_right(record.prediction, target, dataset.rule)
                progress.advance(f"{right / max(asked, 1):.1%} right, {failed} failed")
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        progress.close()
    return 0


def load_backend(
    settings: argparse.Namespace, checkpoint: str | None
) -> tuple[ChatBackend, SamplingOptions]:
    """Return what answers, ready, and options by which it always takes the likeliest token.

    Exits with a message if the checkpoint cannot be loaded.
    """
    from model.backends.base import SamplingOptions
    from model.backends.local import LocalBackend

    assert checkpoint is not None
    backend = LocalBackend(
        checkpoint,
        name=settings.model,
        device=settings.device,
        dtype=settings.dtype,
        max_conversations=settings.concurrency,
        num_threads=1 if settings.model == BUNDLED else None,
    )
    print(f"loading {checkpoint}", file=sys.stderr)
    status = backend.wait_until_settled()
    if status.state != "ready":
        sys.exit(status.detail)
    return backend, SamplingOptions(top_k=1, max_new_tokens=settings.max_new_tokens)


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


def _is_answered(results: Results, item: Item) -> bool:
    record = results.records.get(item.key)
    return record is not None and record.error is None


def _open_upright(file: Path) -> Image.Image:
    from model.processing import open_image

    return open_image(file)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
