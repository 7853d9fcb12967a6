"""Questions of a folder -> a checkpoint's answers, by the engine that answers on the page too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from grounding.evaluation.asking import PROMPTS, fill_in
from grounding.evaluation.datasets import Item, Xyxy, read_dataset
from grounding.evaluation.options import fingerprint
from training.evaluation import WITH_THINKING, Answered, Question, conversation, judge
from training.folders import QUESTIONS_NAME, read_questions
from training.run import replacing
from training.screens import Element, Screen
from training.tasks import Turn

if TYPE_CHECKING:
    from model.backends.local import LocalBackend

T = TypeVar("T")

AT_ONCE = 8  # the engine puts so many answers into each step
# A list of a screen's texts takes some hundreds.
MAX_NEW_TOKENS = 512


class ModelError(RuntimeError):
    """A checkpoint cannot be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question about a picture in a file."""

    file: Path
    question: Question

    @property
    def key(self) -> str:
        """Names the question: another picture, other words or another way of asking is another."""
        turn = self.question.turn
        asked = [self.file.name, *turn.before, turn.question, self.question.thinking]
        content = self.file.read_bytes() + json.dumps(asked).encode()
        return hashlib.sha256(content).hexdigest()[:24]


class Answers:
    """Answers of one checkpoint in a file, as they come: a run that was stopped goes on from it."""

    def __init__(self, file: Path, checkpoint: Path) -> None:
        """
        Args:
            file: made if there is none; answers of another checkpoint in it are dropped.
        """
        head = {"weights": fingerprint(checkpoint)}
        self._texts = _read_answers(file, head) if file.exists() else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(b"".join(_line(each) for each in (head, *self._texts.items())))
        self._stream = file.open("ab")

    def get(self, key: str) -> str | None:
        """Return an answer that was given before."""
        return self._texts.get(key)

    def add(self, key: str, text: str) -> None:
        """Keep an answer."""
        self._texts[key] = text
        self._stream.write(_line((key, text)))
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _read_answers(file: Path, head: object) -> dict[str, str]:
    """Return the whole lines of a file that begins with ``head``; the last may be torn."""
    first, *lines = file.read_bytes().split(b"\n")[:-1] or [b""]
    return dict(json.loads(line) for line in lines) if first + b"\n" == _line(head) else {}


def _line(entry: object) -> bytes:
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def read_askings(folder: Path, *, limit: int | None = None, thinking: bool = True) -> list[Asking]:
    """Return what a folder asks: its ``questions.json``, or else "Click on ..." for each target.

    Args:
        limit: at most so many of each task, evenly spread.
        thinking: ask about places, and what is not there, a second time with a thought first.

    Raises:
        DatasetError: the folder has neither, or something in it is missing.
    """
    if (folder / QUESTIONS_NAME).is_file():
        asked = [(folder / picture, turn) for picture, turn in read_questions(folder)]
    else:
        asked = [(item.image, _to_turn(item)) for item in read_dataset(folder).items]
    screens: dict[Path, Screen] = {}
    askings = []
    for file, turn in _spread(asked, limit):
        if file not in screens:
            screens[file] = open_screen(file)
        askings.append(Asking(file, Question(screens[file], turn, thinking=False)))
        if thinking and turn.task in (*WITH_THINKING, "chat"):
            askings.append(Asking(file, Question(screens[file], turn, thinking=True)))
    return askings


def ready_model(
    checkpoint: Path, *, device: str = "auto", num_threads: int | None = None
) -> LocalBackend:
    """Return the engine with a checkpoint loaded.

    Raises:
        ModelError: it cannot be loaded.
    """
    from model.backends.local import LocalBackend

    backend = LocalBackend(
        str(checkpoint),
        name=checkpoint.name,
        device=device,
        max_conversations=AT_ONCE,
        num_threads=num_threads,
    )
    status = backend.wait_until_settled()
    if status.state != "ready":
        raise ModelError(status.detail)
    return backend


def ask_all(
    backend: LocalBackend,
    askings: Sequence[Asking],
    answers: Answers | None = None,
    *,
    tell: Callable[[], object] = lambda: None,
) -> list[Answered]:
    """Ask everything, always taking the likeliest token; answers come in the order of askings.

    Args:
        answers: those that are there are not asked for, new ones are kept; None keeps nothing.
        tell: called after each answer.
    """

    def answer(asking: Asking) -> str:
        known = None if answers is None else answers.get(asking.key)
        return known if known is not None else _answer(backend, asking)

    # side by side, questions about one picture share what was computed of it
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answered = []
        for asking, text in zip(askings, pool.map(answer, askings), strict=True):
            if answers is not None and answers.get(asking.key) is None:
                answers.add(asking.key, text)
            answered.append(judge(asking.question, text))
            tell()
    return answered


def _answer(backend: LocalBackend, asking: Asking) -> str:
    from model.backends.base import Reply, SamplingOptions
    from model.processing import Limits

    question = asking.question
    attachment = backend.open_attachment(str(asking.file), limits=Limits())
    reply = Reply()
    stream = backend.stream(
        conversation(question.turn, attachment.content()),
        enable_thinking=question.thinking,
        options=SamplingOptions(top_k=1, max_new_tokens=MAX_NEW_TOKENS),
    )
    with closing(stream):
        for event in stream:
            reply.add(event)
    return reply.answer


def click_on(instruction: str, box: Xyxy, kind: str, *, role: str = "") -> Turn:
    """Return "Click on ..." for something at a box, in pixels of its picture."""
    question = fill_in(PROMPTS["click"], instruction)
    return Turn(kind, question, "", element=Element(role, box, instruction))


def kind_of(item: Item) -> str:
    """Return the task that a benchmark's item counts as: "icon", or "text" for all else."""
    return "icon" if item.groups.get("kind") == "icon" else "text"


def open_screen(file: Path) -> Screen:
    """Return a picture as a screen of which nothing else is known."""
    from model.processing import open_image

    return Screen(np.asarray(open_image(file)), (), (), "", "", False)


def _to_turn(item: Item) -> Turn:
    role = item.groups.get("role", "")
    return click_on(item.instruction, item.target, kind_of(item), role=role)


def evenly_spread(items: Sequence[T], count: int) -> list[T]:
    """Return ``count`` of the items, evenly spread over the whole; all if there are fewer."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _spread(asked: Sequence[tuple[Path, Turn]], limit: int | None) -> list[tuple[Path, Turn]]:
    """Return at most ``limit`` of each task, evenly spread, in the order they were in."""
    if limit is None:
        return [*asked]
    by_task: dict[str, list[int]] = {}
    for index, (_, turn) in enumerate(asked):
        by_task.setdefault(turn.task, []).append(index)
    kept = [index for indices in by_task.values() for index in evenly_spread(indices, limit)]
    return [asked[index] for index in sorted(kept)]
