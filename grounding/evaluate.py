"""Measure how often a model points at the right thing.

    python -m grounding.evaluate DATA --model bundled|PATH|HUB_ID [--out DIR]
    python -m grounding.evaluate DATA --endpoint URL --endpoint-model NAME [--concurrency 8]

Asks the model about every item of a benchmark, greedily, and writes to --out: results.jsonl (every
answer, as it comes), summary.json (the figures) and failures.html (what was wrong, on its
screenshot). A run that was interrupted goes on where it stopped when it is started again.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from grounding.evaluation.asking import Answer, Picture, Record, ask_about
from grounding.evaluation.datasets import Dataset, DatasetError, Item, read_dataset
from grounding.evaluation.metrics import is_right
from grounding.evaluation.options import (
    BUNDLED,
    KEY_VARIABLE,
    check_model,
    describe_settings,
    read_settings,
)
from grounding.evaluation.progress import Progress
from grounding.evaluation.report import describe, to_text, write_failures, write_summary
from grounding.evaluation.results import Results, ResultsError
from grounding.evaluation.run import run

if TYPE_CHECKING:
    from model.backends.base import ChatBackend, SamplingOptions

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
            tokens=finished.tokens if finished is not None else (),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the evaluation; return the exit status: 0, 1 if items failed, 130 if interrupted."""
    settings = read_settings(__doc__, arguments)
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
        try:
            if left:
                _ask_all(settings, checkpoint, dataset, left, results)
        except KeyboardInterrupt:
            print("\ninterrupted; the same command goes on from here", file=sys.stderr)
            status = INTERRUPTED
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
) -> None:
    """Ask about the items that are left, and keep what comes."""
    items = {item.key: item for item in dataset.items}
    progress = Progress(len(items), sys.stderr, done=len(items) - len(left))
    right = asked = failed = 0
    with ready_backend(settings, checkpoint) as (backend, options):

        def answer(item: Item, stopped: threading.Event) -> Record:
            return ask_about(
                item,
                BackendAsker(backend, options, settings.thinking, stopped),
                prompt=settings.prompt,
                convention=settings.convention,
                look_twice=settings.look_twice,
            )

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
        finally:
            progress.close()


@contextmanager
def ready_backend(
    settings: argparse.Namespace, checkpoint: str | None
) -> Iterator[tuple[ChatBackend, SamplingOptions]]:
    """Give what answers, ready, and options by which it always takes the likeliest token.

    Exits with a message if the checkpoint cannot be loaded, or the server does not answer.
    """
    from model.backends.base import SamplingOptions

    longest = settings.max_new_tokens
    if checkpoint is None:
        with _connected(settings) as backend:
            yield backend, SamplingOptions(temperature=0, max_new_tokens=longest)
        return
    from model.backends.local import LocalBackend

    local = LocalBackend(
        checkpoint,
        name=settings.model,
        device=settings.device,
        dtype=settings.dtype,
        quantization=settings.quantization,
        max_conversations=settings.concurrency,
        num_threads=1 if settings.model == BUNDLED else None,
    )
    print(f"loading {checkpoint}", file=sys.stderr)
    status = local.wait_until_settled()
    if status.state != "ready":
        sys.exit(status.detail)
    yield local, SamplingOptions(top_k=1, max_new_tokens=longest)


@contextmanager
def _connected(settings: argparse.Namespace) -> Iterator[ChatBackend]:
    from model.backends.endpoint import EndpointBackend

    try:
        backend = EndpointBackend(
            settings.endpoint,
            model=settings.endpoint_model,
            api_key=os.environ.get(KEY_VARIABLE, "").strip(),
            max_conversations=settings.concurrency,
        )
    except ValueError as error:
        sys.exit(f"--endpoint: {error}")
    with closing(backend):
        status = backend.test_connection()
        if status.state != "ready":
            # a page would go on trying; here someone waits for the prompt
            detail = status.detail.removesuffix(". Trying again")
            sys.exit(f"--endpoint {settings.endpoint}: {detail}")
        yield backend


def _is_answered(results: Results, item: Item) -> bool:
    record = results.records.get(item.key)
    return record is not None and record.error is None


def _open_upright(file: Path) -> Image.Image:
    from model.processing import open_image

    return open_image(file)


if __name__ == "__main__":
    exit_status = main()
    if exit_status == INTERRUPTED:
        # a thread may still be inside the network: the interpreter's own end would abort in it
        sys.stdout.flush()
        os._exit(exit_status)
    sys.exit(exit_status)
