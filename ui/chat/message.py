"""What is in the message box -> the question of a turn, or why it cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.backends.base import BackendError, ChatBackend
from model.processing import Choice, Limits, MediaError, check_message
from ui.answering import Refused, as_sentence
from ui.chat.attaching import MAX_FILES, Draft, Drafts, open_files, read_choice
from ui.conversation import Turn
from ui.language import say


def check_given(text: str, files: Sequence[str]) -> None:
    """Raise ``Refused`` for what can be told without opening a file."""
    if not text and not files:
        raise Refused(say("Type a question or attach a file first."))
    if len(files) > MAX_FILES:
        raise Refused(
            say(
                "{number} files are attached; a message takes up to {most}.",
                number=len(files),
                most=MAX_FILES,
            )
        )


def open_given(
    backend: ChatBackend,
    files: list[str],
    choices: Mapping[str, Choice],
    known: Drafts = (),
    *,
    limits: Limits,
) -> Iterator[Drafts]:
    """Yield what is known of the files while they are opened; see ``open_files``.

    Raises:
        Refused: the backend cannot say yet how it would see them.
    """
    try:
        yield from open_files(backend, files, choices, known, limits=limits)
    except BackendError as error:
        raise Refused(as_sentence(error)) from error


def find_problem(drafts: Drafts, limits: Limits) -> str:
    """Return why the files are too much for one message, in a sentence; "" if they are not."""
    try:
        check_message([draft.opened for draft in drafts if draft.opened is not None], limits)
    except MediaError as error:
        return as_sentence(error)
    return ""


def make_turn(text: str, drafts: Drafts, limits: Limits) -> Turn:
    """Return the question; ``Refused`` names the files that cannot be sent."""
    problems = [draft.problem for draft in drafts if draft.problem]
    if problems:
        raise Refused(" ".join(problems))
    if problem := find_problem(drafts, limits):
        raise Refused(problem)
    return Turn(text, tuple(draft.attached for draft in drafts if draft.attached is not None))


def refuse_files(files: list[str], problem: str) -> Drafts:
    """Return drafts of files that are not opened, each with its name before the problem."""
    return tuple(
        Draft(
            file,
            "other",
            Choice(),
            problem=say("{name}: {problem}", name=Path(file).name, problem=problem),
        )
        for file in files
    )


def read_choices(entered: Any) -> dict[str, Choice]:
    """Return what was entered on the page about each file."""
    choices = entered.items() if isinstance(entered, Mapping) else ()
    return {str(path): read_choice(choice) for path, choice in choices}
