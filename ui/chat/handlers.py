"""The chat: what happens when somebody attaches, sends, asks again, stops or clears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gradio as gr

from model.backends.base import ChatBackend
from model.processing import Choice
from ui.answering import Refused, answer
from ui.chat.arranging import to_value
from ui.chat.attaching import MAX_FILES, MEGABYTE, Drafts
from ui.chat.dialogue import Dialogue
from ui.chat.estimate import estimate
from ui.chat.history import keep_in_use
from ui.chat.log import show, show_turn
from ui.chat.message import (
    check_given,
    find_problem,
    make_turn,
    open_given,
    read_choices,
    refuse_files,
)
from ui.chat.preferences import read_preferences
from ui.chat.records import to_record
from ui.chat.strip import to_html
from ui.chat.turn_tools import can_continue, read_asked, to_bar
from ui.chat.unnamed import choose
from ui.chat.versions import EMPTY, Altered, ask_again, put_down, reopen, repeat, take_up
from ui.conversation import Conversation, pictures_in_question
from ui.language import say
from ui.rendering.markdown import to_markdown
from ui.rendering.marking import mark_complete
from ui.settings import PageSettings
from ui.visitors.admission import who_answers

# what a component's value is left to be, and what is being typed into it
KEEP = gr.skip()
SURPLUS = "a message takes up to {most} files; remove one."
REFUSED = "Nothing was sent. Send again to ask about the rest."
# The browser keeps an answer that grows this often.
RECORD_INTERVAL_S = 2.0


class ChatView(NamedTuple):
    """What the chat tab shows after a step, and what the browser is to keep; KEEP leaves a part."""

    prompt: Any  # {"text", "files"}
    log: Any  # as ``show`` makes it
    dialogue: Any
    notice: Any  # Markdown; "" for none
    record: Any = KEEP  # as ``to_record`` makes it
    editing: Any = KEEP  # as ``to_bar`` makes it


UNCHANGED = ChatView(KEEP, KEEP, KEEP, KEEP)
NOTHING = Dialogue()


@dataclass
class Newest:
    """The newest version of what one person's strip depends on, as far as the server knows."""

    version: int = 0


class StripView(NamedTuple):
    """What is shown of the files in the message box."""

    strip: dict[str, Any]  # as ``to_value`` makes it
    drafts: Drafts  # those that are complete


def _stop(dialogue: Dialogue) -> Dialogue:
    """Mark the last answer as stopped."""
    path = dialogue.path
    turn = replace(path[-1], state="stopped", finished=None)
    return dialogue.put(mark_complete(turn, pictures_in_question(path), (say("Stopped."),)))


def _left_typing(dialogue: Dialogue) -> Any:
    """Return what the message box has once this dialogue is no longer on the page."""
    return KEEP if dialogue.editing is None else dialogue.editing.aside


class Chat:
    """Handlers of the chat tab: plain values in, plain values out, nothing kept in between.

    Where they take ``own``, that is the visitor's own backend; None is the page's.
    """

    def __init__(self, backend: ChatBackend, settings: PageSettings) -> None:
        self._backend = backend
        self._settings = settings
        self._limits = settings.limits

    def attach(
        self,
        message: dict[str, Any],
        drafts: Drafts,
        dialogue: Dialogue,
        choices: Any,
        newest: Newest,
        version: int,
        own: ChatBackend | None = None,
    ) -> Iterator[StripView]:
        """Yield the strip while the files in the message box are opened, one after the other.

        It ends early once there is a newer version, which will be asked for next.

        Args:
            choices: what was entered about each file, {path: what ``read_choice`` takes}.
        """
        backend = own or self._backend
        files, surplus = message["files"][:MAX_FILES], message["files"][MAX_FILES:]
        refused = refuse_files(surplus, say(SURPLUS, most=MAX_FILES))

        def show_strip(shown: Drafts, refused: Drafts) -> StripView:
            return self._show_strip(shown, refused, dialogue.path, backend.context_length)

        try:
            known, wanted = drafts, read_choices(choices)
            for opened in open_given(backend, files, wanted, known, limits=self._limits):
                yield show_strip(opened, refused)
                if newest.version > version:
                    return
        except Refused as problem:
            yield show_strip((), refuse_files(files, str(problem)) + refused)

    def note_version(self, newest: Newest, version: int) -> None:
        """Take note of the version that the browser has now; older ones may arrive late."""
        newest.version = max(newest.version, version)

    def ask(
        self,
        message: dict[str, Any],
        drafts: Drafts,
        dialogue: Dialogue,
        preferences: Any,
        choices: Any,
        own: ChatBackend | None,
        event: gr.EventData,
    ) -> Iterator[ChatView]:
        """Yield the page as an answer grows: to a new question, to an old one again, or further."""
        if dialogue.is_running:
            dialogue = _stop(dialogue)  # an answer that a lost connection left behind
        asked = read_asked(event, dialogue)
        if asked is not None and asked.act == "send":
            yield from self.send(message, drafts, dialogue, preferences, choices, own)
            return
        if asked is not None and asked.act == "regenerate":
            again = repeat(dialogue, asked.turn)
        elif asked == ("continue", dialogue.at) and can_continue(dialogue.turn(dialogue.at)):
            again = reopen(dialogue)
        else:
            yield UNCHANGED
            return
        try:
            yield from self._answer(who_answers(self._backend, own), again, preferences)
        except Refused as problem:
            yield self._view(dialogue, own, notice=str(problem))

    def send(
        self,
        message: dict[str, Any],
        drafts: Drafts,
        dialogue: Dialogue,
        preferences: Any = None,
        choices: Any = None,
        own: ChatBackend | None = None,
    ) -> Iterator[ChatView]:
        """Yield the page as the answer grows; if there is none, the message stays to be mended.

        Args:
            preferences: what ``read_preferences`` takes.
            choices: what was entered about each file, {path: what ``read_choice`` takes}.
        """
        text, files = message["text"].strip(), message["files"]
        backend = who_answers(self._backend, own)
        back = message
        try:
            check_given(text, files)
            wanted = read_choices(choices)
            *_, drafts = open_given(backend, files, wanted, drafts, limits=self._limits)
            # another choice of pages or frames may mend a file
            kept = [d.path for d in drafts if d.attached or d.choice != Choice()]
            back = {**message, "files": kept}
            asked = ask_again(dialogue, make_turn(text, drafts, self._limits))
            back = message
            # an empty box is what the browser has made of it, and somebody may be typing already
            prompt = KEEP if asked.message == EMPTY else asked.message
            yield from self._answer(backend, asked.dialogue, preferences, prompt=prompt)
        except Refused as problem:
            notice = str(problem)
            if len(back["files"]) < len(files):
                notice = f"{notice} {say(REFUSED)}"
            yield self._view(dialogue, own, prompt=back, notice=notice)

    def alter(
        self,
        message: dict[str, Any],
        dialogue: Dialogue,
        choices: Any,
        own: ChatBackend | None,
        event: gr.EventData,
    ) -> tuple[Any, ...]:
        """Return the page and the choices of files after a step that does not ask the model."""
        asked = read_asked(event, dialogue)
        if dialogue.is_running or asked is None:
            return (*UNCHANGED, KEEP)
        match asked.act:
            case "show":
                altered = Altered(dialogue.show(asked.turn))
            case "edit" | "undo":
                undo = asked.act == "undo" and asked.turn == dialogue.at
                altered = take_up(message, dialogue, asked.turn, choices, undo=undo)
            case "cancel":
                altered = put_down(dialogue)
            case _:
                return (*UNCHANGED, KEEP)
        prompt = KEEP if altered.message is None else altered.message
        view = self._view(altered.dialogue, own, prompt=prompt, notice=altered.notice)
        return (*view, KEEP if altered.choices is None else altered.choices)

    def choose_picture(self, index: int, dialogue: Dialogue, own: ChatBackend | None) -> ChatView:
        """Return the page with the newest answer read for another picture, or leave it."""
        if not dialogue.at or dialogue.is_running:
            return UNCHANGED
        return self._view(choose(index, dialogue), own)

    def settle(self, dialogue: Dialogue, own: ChatBackend | None) -> ChatView:
        """Return the page with an answer that was stopped marked as such, or leave it."""
        return self._view(_stop(dialogue), own) if dialogue.is_running else UNCHANGED

    def refresh(self, dialogue: Dialogue, own: ChatBackend | None) -> ChatView:
        """Return the page as it is to be, unless an answer is about to say that."""
        return UNCHANGED if dialogue.is_running else self._view(dialogue, own)

    def refuse(self, event: gr.EventData) -> str:
        """Return a notice about files that the browser kept back because of their size."""
        most = self._limits.max_bytes / MEGABYTE
        named = [
            say(
                "{name} has {size:,.0f} MB, more than the {most:,.0f} MB allowed; cut it or save "
                "it at a lower quality.",
                name=file["name"],
                size=file["size"] / MEGABYTE,
                most=most,
            )
            for file in event.files
        ]
        return to_markdown(" ".join(named))

    def take_example(self, chosen: gr.SelectData) -> dict[str, Any]:
        """Return the message of an example that was clicked, for the user to send."""
        return {"text": chosen.value["text"], "files": [f["path"] for f in chosen.value["files"]]}

    def clear(self) -> ChatView:
        """Return the page as it is before the first question, but with what is being typed.

        What the browser keeps, it keeps.
        """
        record = to_record(NOTHING)  # which tells that another conversation may begin
        return ChatView(KEEP, [], NOTHING, "", record, "")

    def clear_log(self, dialogue: Dialogue) -> ChatView:
        """Return the page without its conversation, with what was typed before an old question."""
        return self.clear()._replace(prompt=_left_typing(dialogue))

    def come_back(
        self, came: Dialogue | None, own: ChatBackend | None, before: Dialogue = NOTHING
    ) -> ChatView:
        """Return the page with a conversation that the browser kept, or leave it.

        Args:
            before: the conversation that is on the page until then.
        """
        return UNCHANGED if came is None else self._view(came, own, prompt=_left_typing(before))

    def _view(
        self, dialogue: Dialogue, own: ChatBackend | None, *, prompt: Any = KEEP, notice: str = ""
    ) -> ChatView:
        """Return the page with a dialogue in which no answer is being written."""
        continuing = (own or self._backend).abilities.continuing
        log = show(dialogue, continuing=continuing)
        bar, record = to_bar(dialogue), to_record(dialogue)
        return ChatView(prompt, log, dialogue, to_markdown(notice), record, bar)

    def _answer(
        self, backend: ChatBackend, dialogue: Dialogue, preferences: Any, *, prompt: Any = KEEP
    ) -> Iterator[ChatView]:
        """Yield the page as the last answer on it grows.

        Args:
            prompt: what the message box has while it does.
        """
        wanted = read_preferences(preferences, self._settings)
        yield self._view(dialogue, backend, prompt=prompt)
        begun = dialogue.path
        keep_in_use(begun)
        # an answer goes on the way it began
        thinking = bool(begun[-1].thinking) if begun[-1].spent_s else wanted.thinking
        continuing = backend.abilities.continuing
        # what stands above the answer does not change while it grows
        above = [
            message
            for number, turn in enumerate(begun[:-1], 1)
            for message in show_turn(turn, dialogue, number=number, continuing=continuing)
        ]
        recorded = time.monotonic()
        for turn, _ in answer(
            backend, begun, thinking=thinking, options=wanted.options, system=wanted.system
        ):
            dialogue = dialogue.put(turn)
            now, record = time.monotonic(), KEEP
            if turn.state != "running" or now - recorded >= RECORD_INTERVAL_S:
                recorded, record = now, to_record(dialogue)
            grown = show_turn(turn, dialogue, number=len(begun), continuing=continuing)
            yield ChatView(KEEP, [*above, *grown], dialogue, "", record)

    def _show_strip(
        self, drafts: Drafts, refused: Drafts, conversation: Conversation, context: int | None
    ) -> StripView:
        """Show the files; those ``refused`` are not kept: it is no fault of theirs."""
        tokens = sum(draft.attached.tokens for draft in drafts if draft.attached is not None)
        total = estimate(tokens, conversation, context)
        ready = tuple(draft for draft in drafts if draft.is_complete)
        return StripView(
            to_value(to_html(drafts + refused, total, find_problem(drafts, self._limits))), ready
        )
