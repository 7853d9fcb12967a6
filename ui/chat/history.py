"""Conversations that the visitor's browser keeps: the list of them, and putting one on the page.

Nothing is kept here: the browser's half (``assets/history``) stores what ``to_record`` makes and
the files that were attached, and gives both again when a conversation is to go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from anyio import sleep, to_thread

from model.backends.base import BackendError, ChatBackend
from model.processing import Choice, MediaError
from ui.answering import as_sentence
from ui.chat.attaching import open_attached
from ui.chat.dialogue import Dialogue
from ui.chat.log import show
from ui.chat.records import RecordError, from_record
from ui.chat.transcript import to_file
from ui.conversation import (
    Attached,
    Conversation,
    Item,
    draw_targets,
    pictures_in_question,
    read_turn,
)
from ui.files import keep_longer, save_png
from ui.language import say, say_message
from ui.rendering.markdown import to_markdown
from ui.settings import PageSettings
from ui.wiring import AT_ONCE, PRIVATE

ASSETS = Path(__file__).parents[2] / "assets"
# in this order: what is used stands before what uses it
SCRIPTS = (
    "overlay/copy.js",
    "page/make.js",
    "history/store.js",
    "history/files.js",
    "history/exchange.js",
    "history/keeping.js",
    "history/panel.js",
)
# for the event that answers questions: one that was sent while the page was being cleared goes to
# the conversation after it
ASKED = """async (...given) => {
  await sightline.untilCleared?.(); // before the list is there, nothing is being cleared
  document.dispatchEvent(new Event("sightline:asked"));
  return given;
}"""
RETRY_S = 1.0
OPENING = "Opening the files of the conversation: {number} of {all}"
LOADING = "The files of the conversation are opened once the model is loaded."
TEXTS = {
    "conversations": "Conversations",
    "new": "New conversation",
    "search": "Search conversations",
    "none": "Conversations are listed here once you have asked something.",
    "none_kept": "Nothing is kept in this browser.",
    "nothing_found": "No conversation has these words.",
    "forget": "Do not keep conversations in this browser",
    "where": "They are kept in this browser only.",
    "more": "More about {title}",
    "rename": "Rename",
    "export_json": "Export as JSON",
    "export_markdown": "Export as Markdown",
    "delete": "Delete",
    "import": "Import",
    "export_all": "Export all",
    "delete_all": "Delete all",
    "deleted": "Conversation deleted.",
    "deleted_many": "{number} conversations deleted.",
    "undo": "Undo",
    "imported": "1 conversation imported.",
    "imported_many": "{number} conversations imported.",
    "untitled": "Untitled",
    "sending": "Sending the files again: {number} of {all}",
    "writing": "Writing the file",
    "gone": "{name} could not be kept: the server does not have it any more.",
    "large": "{name} is not kept in this browser: it has more than {most} MB. Its text is.",
    "full_file": "There is no room in this browser for {name}. The text of the conversation is "
    "kept.",
    "full": "There is no room left in this browser: this is not kept. Delete some conversations.",
    "forgotten": "The server had forgotten the conversation before: this answer does not know of "
    "it. Open it in the list to go on with it.",
    "no_store": "This browser keeps nothing for this page, as in a private window: conversations "
    "last until it is left.",
    "no_export": "This is no file that was exported here.",
    "newer": "This file was exported by a newer version of the page; update Sightline to import "
    "it.",
    "damaged": "This file is damaged: something of its conversations is missing.",
}


def wire_tabs(page: gr.Blocks) -> None:
    """Let the tab that was open come back when the page is loaded again; call inside ``page``."""
    page.load(None, js=(ASSETS / "history" / "tab.js").read_text(encoding="utf-8"), **PRIVATE)


class HistoryParts(NamedTuple):
    """The panel, and what the browser hands over: each is written there only."""

    panel: gr.HTML  # its value is the record of the conversation on the page
    asked: gr.JSON  # {"record": what was kept, "keys": names of the files that come with it}
    uploads: gr.MultimodalTextbox  # those files


def build_history() -> HistoryParts:
    """Put the list of conversations on the page; call inside the chat tab."""
    panel = gr.HTML(
        None,
        html_template="",
        js_on_load="\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS),
        apply_default_css=False,
        elem_id="history",
        texts=TEXTS,
        written={},
    )
    # Gradio lets nobody hand over a path that was not uploaded in a value of this component
    uploads = gr.MultimodalTextbox(visible=False, file_count="multiple")
    return HistoryParts(panel, gr.JSON(visible=False), uploads)


class History:
    """Handlers of the list: nothing is kept in between.

    Where they take ``own``, that is the visitor's own backend; None is the page's.
    """

    def __init__(self, backend: ChatBackend, settings: PageSettings) -> None:
        self._backend = backend
        self._limits = settings.limits

    def preview(self, asked: Any) -> tuple[Any, Any]:
        """Return log and notice with the text of a conversation whose files are still to come."""
        try:
            record, keys = _read_asked(asked)
            files = dict.fromkeys(keys, "")
            dialogue = from_record(record, files, lambda path, choice: _to_come())
        except RecordError as problem:
            return gr.skip(), to_markdown(say_message(str(problem)))
        # what is said of an answer depends on its pictures
        quiet = tuple(replace(turn, notes=()) for turn in dialogue.turns)
        return show(replace(dialogue, turns=quiet), continuing=False), ""

    async def restore(
        self, asked: Any, uploads: Any, own: ChatBackend | None = None
    ) -> AsyncIterator[tuple[Any, Any]]:
        """Yield None and a notice while the files of a kept conversation are opened, at last it."""
        yield None, ""
        try:
            async for step in self._reopen(asked, uploads, own):
                yield (step, "") if isinstance(step, Dialogue) else (None, to_markdown(step))
        except RecordError as problem:
            yield None, to_markdown(say_message(str(problem)))

    async def write(self, asked: Any, uploads: Any, own: ChatBackend | None = None) -> gr.HTML:
        """Return the panel with a kept conversation as Markdown, or with what is wrong with it."""
        dialogue = Dialogue()
        try:
            async for step in self._reopen(asked, uploads, own):
                dialogue = step if isinstance(step, Dialogue) else dialogue
            text = await to_thread.run_sync(to_file, dialogue)
        except RecordError as problem:
            return gr.HTML(written={"problem": say_message(str(problem))})
        return gr.HTML(written={"markdown": text})

    async def _reopen(
        self, asked: Any, uploads: Any, own: ChatBackend | None
    ) -> AsyncIterator[str | Dialogue]:
        """Yield in words how far it is, and at last the conversation; ``RecordError`` as there."""
        backend = own or self._backend
        record, keys = _read_asked(asked)
        paths = uploads["files"] if isinstance(uploads, Mapping) else []
        files = dict(zip(keys, paths, strict=False))
        wanted: dict[tuple[str, Choice], Attached | MediaError | None] = {}

        def note(path: str, choice: Choice) -> Attached:
            wanted[path, choice] = None
            return _to_come()

        await to_thread.run_sync(from_record, record, files, note)
        for number, (path, choice) in enumerate(wanted, 1):
            if len(wanted) > 1:
                yield say(OPENING, number=number, all=len(wanted))
            while wanted[path, choice] is None:
                wanted[path, choice] = await self._open(backend, path, choice)
                if wanted[path, choice] is None:
                    yield say(LOADING)
                    await sleep(RETRY_S)

        def take(path: str, choice: Choice) -> Attached:
            opened = wanted[path, choice]
            if isinstance(opened, Attached):
                return opened
            raise opened or MediaError(say("{name}: could not be opened", name=Path(path).name))

        yield await to_thread.run_sync(from_record, record, files, take)

    async def _open(
        self, backend: ChatBackend, path: str, choice: Choice
    ) -> Attached | MediaError | None:
        """Return the file, or why it cannot be opened; None if that is not known yet."""
        work = partial(open_attached, backend, path, choice, limits=self._limits)
        try:
            return await to_thread.run_sync(work)
        except MediaError as error:
            return error
        except BackendError as error:
            if backend.status().state == "loading":
                return None
            problem = as_sentence(error)
            return MediaError(say("{name}: {problem}", name=Path(path).name, problem=problem))


def _read_asked(asked: object) -> tuple[Any, list[str]]:
    """Return what a browser sent: a record, and the names of the files that it has of it."""
    if not isinstance(asked, Mapping) or not isinstance(asked.get("keys"), list):
        raise RecordError(say("Nothing was sent that could be opened."))
    return asked.get("record"), [str(key) for key in asked["keys"]]


def _to_come() -> Attached:
    """Return what stands for a file until it is opened: its name alone is shown."""
    return Attached("", "text", ({"type": "text", "text": ""},), items=(Item("", 0),))


def keep_in_use(conversation: Conversation) -> None:
    """Let all files of a conversation count as used now, so that none is removed as an old one.

    Pictures that were removed all the same, such as those of a page left open overnight, are
    written again.
    """
    for turn in conversation:
        keep_longer(attached.path for attached in turn.attachments if attached.path)
        for picture in turn.pictures:
            if keep_longer([picture.png]):
                save_png(picture.image)
        if keep_longer(filter(None, turn.shown.drawings)):
            pictures = pictures_in_question(conversation[: conversation.index(turn) + 1])
            draw_targets(read_turn(turn, pictures), pictures)


def wire_history(
    parts: HistoryParts,
    history: History,
    *,
    own: gr.State,
    log: gr.Chatbot,
    notice: gr.Markdown,
    running: Any,
    settle: Mapping[str, Any],
    refresh: Mapping[str, Any],
    take: Mapping[str, Any],
) -> tuple[Any, Any]:
    """Let the list put conversations on the page.

    Args:
        running: the event that answers questions, with ``ASKED``; it is ended first.
        settle: the event that marks an answer that was ended, as the arguments of ``then``.
        refresh: the event that shows the conversation on the page again, in the same way.
        take: the event that puts a dialogue on the page, whose first input comes before those
            given here, as the arguments of ``then``.

    Returns:
        The event that opens files, to be ended by a new conversation; the one after which another
        conversation is on the page.
    """
    panel, asked, uploads = parts
    came = gr.State(None)  # a conversation on its way to the page
    take_asked = "() => document.getElementById('history-panel').asked"
    panel.cease(None, cancels=[running])
    panel.leave(**settle).then(**tell_browser("left"))
    running.success(**tell_browser("succeeded"))
    running.failure(**tell_browser("failed"))
    running.then(**tell_browser("over"))
    panel.refresh(**refresh)
    panel.preview(history.preview, [asked], [log, notice], js=take_asked + "[0]", **AT_ONCE).then(
        **tell_browser("previewed")
    )
    at_once: dict[str, Any] = {**PRIVATE, "show_progress": "hidden"}
    opening = panel.restore(
        history.restore,
        [asked, uploads, own],
        [came, notice],
        js=take_asked,
        concurrency_id="restoring",
        concurrency_limit=None,
        **at_once,
    )
    taken = opening.then(**{**take, "inputs": [came, *take["inputs"]]})
    taken.then(**tell_browser("restored"))
    panel.write(
        history.write,
        [asked, uploads, own],
        panel,
        js=take_asked,
        concurrency_id="restoring",
        concurrency_limit=None,
        **at_once,
    ).then(**tell_browser("written"))
    return opening, taken


def tell_browser(what: str) -> dict[str, Any]:
    """Return the arguments of an event that tells the browser's half that a step has ended."""
    js = f"() => {{ document.dispatchEvent(new Event('sightline:{what}')); }}"
    return {"fn": None, "js": js, **PRIVATE}
