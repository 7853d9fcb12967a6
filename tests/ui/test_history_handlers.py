"""Conversations that the browser kept, on their way back to the page; files that are in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_a_loop import run_in_a_loop
from media_files import make_image, make_pdf
from scripted_backend import BOXED, END, ScriptedBackend

from model.backends.base import AnswerDelta, BackendError, Status
from model.processing import WHOLE, Attachment, Choice, Limits
from ui.chat import history
from ui.chat.dialogue import Dialogue
from ui.chat.handlers import KEEP, Chat
from ui.chat.history import History, keep_in_use
from ui.chat.records import key_of, to_record
from ui.settings import PageSettings


class Loading(ScriptedBackend):
    """Cannot open files until it has been asked a few times."""

    refusals = 2

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        if self.refusals:
            self.refusals -= 1
            self.state = Status("loading", "Loading")
            raise BackendError("Loading. Try again in a moment.")
        self.state = Status("ready", "Ready")
        return super().open_attachment(path, choice, limits=limits)


def ask(text: str, files: list[str], dialogue: Dialogue | None = None) -> Dialogue:
    chat = Chat(ScriptedBackend([BOXED, END]), PageSettings())
    *_, last = chat.send({"text": text, "files": files}, (), dialogue or Dialogue())
    return last.dialogue


def as_kept(dialogue: Dialogue) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the browser hands over of a conversation."""
    files = {
        key_of(turn.id, index): attached.path
        for turn in dialogue.turns
        for index, attached in enumerate(turn.attachments)
    }
    asked = {"record": to_record(dialogue), "keys": list(files)}
    return asked, {"text": "", "files": list(files.values())}


def restore(asked: Any, uploads: Any, backend: ScriptedBackend | None = None) -> list[Any]:
    async def collect() -> list[Any]:
        steps = History(backend or ScriptedBackend(), PageSettings()).restore(asked, uploads)
        return [step async for step in steps]

    return run_in_a_loop(collect)


def write(asked: Any, uploads: Any) -> dict[str, str]:
    history = History(ScriptedBackend(), PageSettings())
    panel = run_in_a_loop(lambda: history.write(asked, uploads))
    return panel.props["written"]


def texts(log: list[dict[str, Any]]) -> str:
    blocks = [block for message in log for block in message["content"]]
    return " ".join(str(block.get("text", block.get("path"))) for block in blocks)


@pytest.fixture
def answered(tmp_path: Path) -> Dialogue:
    dialogue = ask("Where?", [make_image(tmp_path / "screen.png")])
    return ask("And there?", [make_pdf(tmp_path / "three.pdf")], dialogue)


def test_a_kept_conversation_comes_back_whole(answered: Dialogue) -> None:
    steps = restore(*as_kept(answered))
    assert steps[-1] == (answered, "")
    assert [came for came, _ in steps[:-1]] == [None] * (len(steps) - 1)
    assert "2 of 2" in " ".join(notice for _, notice in steps)


def test_its_text_is_shown_before_its_files_are_there(answered: Dialogue) -> None:
    asked, _ = as_kept(answered)
    log, notice = History(ScriptedBackend(), PageSettings()).preview(asked)
    shown = texts(log)
    assert "Where?" in shown and "screen.png" in shown and "Here:" in shown
    assert "not here any more" not in shown and notice == ""


def test_files_wait_for_a_model_that_is_loading(
    answered: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "RETRY_S", 0.0)
    backend = Loading()
    steps = restore(*as_kept(answered), backend)
    assert history.LOADING in [notice for _, notice in steps]
    assert steps[-1] == (answered, "")


def test_a_backend_that_cannot_open_files_leaves_the_text(answered: Dialogue) -> None:
    class Down(ScriptedBackend):
        def open_attachment(self, *_: Any, **__: Any) -> Attachment:
            raise BackendError("The server does not answer.")

    came, _ = restore(*as_kept(answered), Down())[-1]
    assert [turn.text for turn in came.turns] == ["Where?", "And there?"]
    (gone,) = came.turns[0].attachments
    assert "screen.png" in gone.notes[0] and "does not answer" in gone.notes[0]


def test_a_conversation_without_its_files_says_so_and_can_be_gone_on_with(
    answered: Dialogue,
) -> None:
    asked, _ = as_kept(answered)
    came, _ = restore({**asked, "keys": []}, None)[-1]
    chat = Chat(ScriptedBackend([AnswerDelta("Yes."), END]), PageSettings())
    shown = texts(chat.come_back(came, None).log)
    assert "screen.png is not here any more" in shown and "three.pdf is not here" in shown
    *_, last = chat.send({"text": "Still?", "files": []}, (), came)
    assert last.dialogue.turns[-1].answer == "Yes."


@pytest.mark.parametrize("asked", [None, {}, {"keys": 3}, {"record": [], "keys": []}])
def test_what_is_no_conversation_leaves_the_page_and_says_why(asked: Any) -> None:
    came, notice = restore(asked, {"text": "", "files": []})[-1]
    assert came is None and notice
    view = Chat(ScriptedBackend(), PageSettings()).come_back(came, None)
    assert all(part == KEEP for part in view)
    assert write(asked, None)["problem"]


def test_as_markdown_it_needs_no_other_file(answered: Dialogue) -> None:
    text = write(*as_kept(answered))["markdown"]
    assert text.startswith("# Where?\n\n## Question\n\n![screen.png](data:image/png;base64,")
    assert "Here: [[100,200,300,400]]" in text and "begin_of_box" not in text
    assert text.count("![Targets](data:image/png;base64,") == 2


def files_of(dialogue: Dialogue) -> Iterator[str]:
    for turn in dialogue.turns:
        yield from (attached.path for attached in turn.attachments)
        yield from (picture.png for picture in turn.pictures)
        yield from filter(None, turn.shown.drawings)


def test_files_of_a_conversation_count_as_used_with_each_question(answered: Dialogue) -> None:
    for path in files_of(answered):
        os.utime(path, (0, 0))
    ask("More?", [], answered)
    assert all(os.stat(path).st_mtime > 0 for path in files_of(answered))


def test_pictures_that_were_removed_are_written_again(answered: Dialogue) -> None:
    made = [path for path in files_of(answered) if path.endswith("image.png")]
    for path in made:
        Path(path).unlink()
    keep_in_use(answered.path)
    assert made and all(Path(path).exists() for path in made)
