"""The chat: what happens when somebody sends, stops, clears, or calls ``/chat``."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from grounding import strip_markers
from model.backends.base import BackendError, ChatBackend, SamplingOptions
from model.processing import Choice, Limits, MediaError, check_message, mixing_note
from ui.answering import Refused, answer, as_sentence
from ui.arranging import to_value
from ui.attaching import MAX_FILES, MEGABYTE, Draft, Drafts, open_files, read_choice
from ui.conversation import Conversation, Turn, pictures_in_question
from ui.estimate import estimate
from ui.findings import describe_attachments, describe_turn, describe_usage
from ui.log import show
from ui.markdown import to_markdown
from ui.marking import mark_complete
from ui.strip import to_html

# what a component's value is left to be, and what is being typed into it
KEEP = gr.skip()
REFUSED = "Nothing was sent. Send again to ask about the rest."


class ChatView(NamedTuple):
    """What the chat tab shows after a step."""

    prompt: Any  # {"text", "files"}, or KEEP
    log: list[dict[str, Any]]
    conversation: Conversation
    notice: str  # Markdown; "" for none


@dataclass
class Newest:
    """The newest version of what one person's strip depends on, as far as the server knows."""

    version: int = 0


class StripView(NamedTuple):
    """What is shown of the files in the message box."""

    strip: dict[str, Any]  # as ``to_value`` makes it
    drafts: Drafts  # those that are complete


def _check_message(text: str, files: list[str]) -> None:
    """Raise ``Refused`` for what can be told without opening a file."""
    if not text and not files:
        raise Refused("Type a question or attach a file first.")
    if len(files) > MAX_FILES:
        raise Refused(f"{len(files)} files are attached; a message takes up to {MAX_FILES}.")


def _problem_together(drafts: Drafts, limits: Limits) -> str:
    """Return why the files are too much for one message, in a sentence; "" if they are not."""
    try:
        check_message([draft.opened for draft in drafts if draft.opened is not None], limits)
    except MediaError as error:
        return as_sentence(error)
    return ""


def _make_turn(text: str, drafts: Drafts, limits: Limits) -> Turn:
    """Return the question; ``Refused`` names the files that cannot be sent."""
    problems = [draft.problem for draft in drafts if draft.problem]
    if problems:
        raise Refused(" ".join(problems))
    if problem := _problem_together(drafts, limits):
        raise Refused(problem)
    return Turn(text, tuple(draft.attached for draft in drafts if draft.attached is not None))


def _refuse(files: list[str], problem: str) -> Drafts:
    return tuple(
        Draft(file, "other", Choice(), problem=f"{Path(file).name}: {problem}") for file in files
    )


def _read_choices(entered: Any) -> dict[str, Choice]:
    """Return what was entered on the page about each file."""
    choices = entered.items() if isinstance(entered, Mapping) else ()
    return {str(path): read_choice(choice) for path, choice in choices}


def _read_history(history: list[dict[str, str]] | None) -> Conversation:
    """Return earlier turns given over HTTP; an answer belongs to the question before it."""
    turns: list[Turn] = []
    for message in history or []:
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            turns.append(Turn(message["content"], state="done"))
        elif (
            message.get("role") == "assistant" and turns and isinstance(message.get("content"), str)
        ):
            turns[-1] = replace(turns[-1], answer=message["content"])
        else:
            raise Refused(
                'history must be [{"role": "user", "content": text}, {"role": "assistant", '
                f'"content": text}}, ...], beginning with the user; got {str(message)[:80]}.'
            )
    return tuple(turns)


class Chat:
    """Handlers of the chat tab: plain values in, plain values out, nothing kept in between."""

    def __init__(self, backend: ChatBackend, options: SamplingOptions, limits: Limits) -> None:
        self._backend = backend
        self._options = options
        self._limits = limits

    def attach(
        self,
        message: dict[str, Any],
        drafts: Drafts,
        conversation: Conversation,
        choices: Any,
        newest: Newest,
        version: int,
    ) -> Iterator[StripView]:
        """Yield the strip while the files in the message box are opened, one after the other.

        It ends early once there is a newer version, which will be asked for next.

        Args:
            choices: what was entered about each file, {path: what ``read_choice`` takes}.
        """
        files, surplus = message["files"][:MAX_FILES], message["files"][MAX_FILES:]
        refused = _refuse(surplus, f"a message takes up to {MAX_FILES} files; remove one.")
        try:
            for opened in self._open(files, _read_choices(choices), drafts):
                yield self._show_strip(opened, refused, conversation)
                if newest.version > version:
                    return
        except Refused as problem:
            yield self._show_strip((), _refuse(files, str(problem)) + refused, conversation)

    def note_version(self, newest: Newest, version: int) -> None:
        """Take note of the version that the browser has now; older ones may arrive late."""
        newest.version = max(newest.version, version)

    def send(
        self,
        message: dict[str, Any],
        drafts: Drafts,
        conversation: Conversation,
        thinking: bool,
        choices: Any = None,
    ) -> Iterator[ChatView]:
        """Yield the page as the answer grows; if there is none, the message stays to be mended."""
        text, files = message["text"].strip(), message["files"]
        back = message
        try:
            _check_message(text, files)
            *_, drafts = self._open(files, _read_choices(choices), drafts)
            # another choice of pages or frames may mend a file
            kept = [d.path for d in drafts if d.attached or d.choice != Choice()]
            back = {**message, "files": kept}
            running = (*conversation, _make_turn(text, drafts, self._limits))
            back = message
            yield ChatView({"text": "", "files": []}, show(running), running, "")
            for grown, _ in answer(
                self._backend, running, thinking=thinking, options=self._options
            ):
                running = (*conversation, grown)
                yield ChatView(KEEP, show(running), running, "")
        except Refused as problem:
            notice = str(problem)
            if len(back["files"]) < len(files):
                notice = f"{notice} {REFUSED}"
            yield ChatView(back, show(conversation), conversation, to_markdown(notice))

    def settle(self, conversation: Conversation) -> tuple[Any, Any]:
        """Mark an answer that was stopped as such; return log and conversation, or leave them."""
        if not conversation or conversation[-1].state != "running":
            return KEEP, KEEP
        turn = replace(conversation[-1], state="stopped")
        turn = mark_complete(turn, pictures_in_question(conversation), ("Stopped.",))
        conversation = (*conversation[:-1], turn)
        return show(conversation), conversation

    def refuse(self, event: gr.EventData) -> str:
        """Return a notice about files that the browser kept back because of their size."""
        most = self._limits.max_bytes / MEGABYTE
        named = [
            f"{file['name']} has {file['size'] / MEGABYTE:,.0f} MB, more than the {most:,.0f} MB "
            "allowed; cut it or save it at a lower quality."
            for file in event.files
        ]
        return to_markdown(" ".join(named))

    def take_example(self, chosen: gr.SelectData) -> dict[str, Any]:
        """Return the message of an example that was clicked, for the user to send."""
        return {"text": chosen.value["text"], "files": [f["path"] for f in chosen.value["files"]]}

    def clear(self) -> ChatView:
        """Return the page as it is before the first question."""
        return ChatView({"text": "", "files": []}, [], (), "")

    def call(
        self,
        message: dict[str, Any],
        history: list[dict[str, str]] | None,
        thinking: bool,
        pages: str | None = None,
        fps: float | None = None,
        max_frames: float | None = None,
        max_item_tokens: float | None = None,
        animation_as_video: bool = False,
    ) -> Generator[dict[str, Any], None, None]:
        """Answer a message about files, or none; the result grows until the answer is complete.

        Args:
            message: {"text": the question, "files": up to 10 images, documents, videos}.
            history: earlier turns, [{"role": "user" or "assistant", "content": text}, ...].
            thinking: let the model think before it answers.
            pages: of each document, such as "1-5, 9"; by default the first ones that fit.
            fps: frames per second of each video; by default as the checkpoint says.
            max_frames: the most frames of each video; by default as the checkpoint says.
            max_item_tokens: the most tokens of each image, page or pair of frames, which is its
                resolution; by default as the checkpoint says.
            animation_as_video: take animated images as videos instead of their first frames.

        Returns:
            {"answer", "thinking", "boxes", "points", "actions", "image_names", "image_sizes",
            "attachments", "notes", "usage"}; coordinates in pixels of the images and pages sent
            ("xyxy") and in thousandths of them ("norm").
        """
        text, files = message["text"].strip(), message["files"]
        try:
            _check_message(text, files)
            earlier = _read_history(history)
            choice = read_choice(
                {
                    "pages": pages,
                    "fps": fps,
                    "max_frames": max_frames,
                    "max_item_tokens": max_item_tokens,
                    "animation_as_video": animation_as_video,
                }
            )
            *_, drafts = self._open(files, dict.fromkeys(files, choice))
            turn = _make_turn(text, drafts, self._limits)
            notes = [note for attached in turn.attachments for note in attached.notes]
            mixed = mixing_note([draft.opened for draft in drafts if draft.opened is not None])
            for grown, reply in answer(
                self._backend, (*earlier, turn), thinking=thinking, options=self._options
            ):
                yield {
                    "answer": strip_markers(grown.answer),
                    "thinking": grown.thinking,
                    **describe_turn(grown),
                    "attachments": describe_attachments(grown.attachments),
                    "notes": [*filter(None, [mixed]), *notes, *grown.notes],
                    "usage": describe_usage(reply),
                }
            if grown.state == "failed":
                raise Refused(grown.notes[0])
        except Refused as problem:
            raise gr.Error(str(problem), print_exception=False) from problem

    def _open(
        self, files: list[str], choices: Mapping[str, Choice], known: Drafts = ()
    ) -> Iterator[Drafts]:
        try:
            yield from open_files(self._backend, files, choices, known, limits=self._limits)
        except BackendError as error:
            raise Refused(as_sentence(error)) from error

    def _show_strip(self, drafts: Drafts, refused: Drafts, conversation: Conversation) -> StripView:
        """Show the files; those ``refused`` are not kept: it is no fault of theirs."""
        tokens = sum(draft.attached.tokens for draft in drafts if draft.attached is not None)
        total = estimate(tokens, conversation, self._backend.context_length)
        ready = tuple(draft for draft in drafts if draft.is_complete)
        return StripView(
            to_value(to_html(drafts + refused, total, _problem_together(drafts, self._limits))),
            ready,
        )
