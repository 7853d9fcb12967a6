"""Regenerate, edit, continue, undo and the versions of an answer, as the page's buttons ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from scripted_backend import END, ScriptedBackend

from model.backends.base import (
    Abilities,
    AnswerDelta,
    BackendError,
    Finished,
    SamplingOptions,
    Sent,
    ThinkingDelta,
    TokenProbability,
    Waiting,
)
from model.processing import Choice
from ui.chat.dialogue import Dialogue
from ui.chat.handlers import KEEP, UNCHANGED, Chat, ChatView
from ui.chat.turn_tools import MAX_RAW_CHARACTERS, describe_speed, to_row
from ui.chat.versions import take_up
from ui.conversation import Turn, to_messages
from ui.settings import PageSettings

pytestmark = pytest.mark.usefixtures("every_piece_is_shown")

CUT = Finished("length", prompt_tokens=9, new_tokens=3, first_token_s=0.1, total_s=0.2)


class Tab:
    """The chat tab as one person has it before them."""

    def __init__(self, *script: Any, **preferences: Any) -> None:
        self.backend = ScriptedBackend(script)
        self.chat = Chat(self.backend, PageSettings())
        self.preferences = preferences or None
        self.message: dict[str, Any] = {"text": "", "files": []}
        self.choices: Any = None
        self.dialogue = Dialogue()
        self.notice = ""

    def events(self, act: str = "", turn: str = "") -> Iterator[ChatView]:
        event = gr.EventData(None, {"act": act, "turn": turn} if act else None)
        state = (self.dialogue, self.preferences, self.choices, None, event)
        message = self.message
        if not act:  # the browser empties the box at once
            self.message = {"text": "", "files": []}
        return self.chat.ask(message, (), *state)

    def ask(self, act: str = "", turn: str = "") -> list[ChatView]:
        views = []
        for view in self.events(act, turn):
            self._take(view)
            views.append(view)
        return views

    def send(self, text: str, *files: str) -> list[ChatView]:
        self.message = {"text": text, "files": list(files)}
        return self.ask()

    def alter(self, act: str, turn: str = "") -> ChatView:
        event = gr.EventData(None, {"act": act, "turn": turn})
        state = (self.dialogue, self.choices, None, event)
        *view, choices = self.chat.alter(self.message, *state)
        self.choices = self.choices if choices == KEEP else choices
        self._take(ChatView(*view))
        return ChatView(*view)

    def stop_after(self, steps: int, act: str = "", turn: str = "") -> None:
        """Stop an answer when the page was changed so many times."""
        events = self.events(act, turn)
        for _ in range(steps):
            self._take(next(events))
        events.close()  # type: ignore[attr-defined]
        self._take(self.chat.settle(self.dialogue, None))

    @property
    def asked(self) -> list[str]:
        return [turn.text for turn in self.dialogue.path]

    @property
    def last(self) -> Turn:
        return self.dialogue.path[-1]

    def _take(self, view: ChatView) -> None:
        self.message = self.message if view.prompt == KEEP else view.prompt
        self.dialogue = self.dialogue if view.dialogue == KEEP else view.dialogue
        self.notice = self.notice if view.notice == KEEP else view.notice


def rows(view: ChatView) -> list[str]:
    """Return the rows under the answers."""
    blocks = [block for message in view.log for block in message["content"]]
    return [b["value"] for b in blocks if "turn-tools" in str(b.get("value"))]


def test_regenerating_asks_the_same_again_and_keeps_the_first_answer(screenshot: str) -> None:
    tab = Tab(AnswerDelta("one"), END)
    tab.send("what is it?", screenshot)
    first = tab.last
    tab.backend.script = [AnswerDelta("two"), END]
    views = tab.ask("regenerate", first.id)
    assert [(t.text, t.answer) for t in tab.dialogue.path] == [("what is it?", "two")]
    assert tab.last.attachments == first.attachments
    assert tab.backend.questions[0] == tab.backend.questions[1]
    assert all(view.prompt == KEEP for view in views)
    assert 'aria-label="Version 2 of 2">2/2<' in rows(views[-1])[0]
    view = tab.alter("show", first.id)
    assert tab.last == first
    assert 'aria-label="Version 1 of 2">1/2<' in rows(view)[0]


def test_regenerating_an_earlier_answer_leaves_what_followed_it_with_its_version() -> None:
    tab = Tab(AnswerDelta("yes"), END)
    for text in ("one", "two", "three"):
        tab.send(text)
    first = tab.dialogue.path[0].id
    tab.ask("regenerate", first)
    assert tab.asked == ["one"]
    tab.alter("show", first)
    assert tab.asked == ["one", "two", "three"]


def test_a_chosen_picture_stays_chosen_when_the_answer_is_regenerated(screenshot: str) -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("where?", screenshot, screenshot)
    tab.dialogue = tab.dialogue.put(replace(tab.last, default_image=1))
    tab.ask("regenerate", tab.last.id)
    assert tab.last.default_image == 1


def test_a_question_that_cannot_be_asked_again_leaves_the_page_and_says_why() -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("one")
    before = tab.dialogue
    tab.message = {"text": "half typed", "files": []}
    tab.backend.script = [BackendError("the server is busy")]
    tab.ask("regenerate", tab.last.id)
    assert tab.dialogue == before
    assert tab.notice == "The server is busy."
    assert tab.message == {"text": "half typed", "files": []}


def test_editing_the_first_of_three_questions_makes_a_version_of_it(screenshot: str) -> None:
    tab = Tab(AnswerDelta("yes"), END)
    for text in ("one", "two", "three"):
        tab.send(text, screenshot)
    first = tab.dialogue.path[0].id
    view = tab.alter("edit", first)
    assert tab.message == {"text": "one", "files": [screenshot]}
    assert "Editing question 1." in view.editing
    assert tab.asked == ["one", "two", "three"]  # until it is sent
    views = tab.send("one, mended", screenshot)
    assert views[0].editing == ""
    assert tab.asked == ["one, mended"]
    assert tab.message == {"text": "", "files": []}
    assert len(tab.backend.questions[-1]) == 1
    tab.alter("show", first)
    assert tab.asked == ["one", "two", "three"]


def test_what_was_being_typed_comes_back_when_the_edit_is_sent_or_cancelled(
    screenshot: str,
) -> None:
    draft = {"text": "half typed", "files": [screenshot]}
    tab = Tab(AnswerDelta("yes"), END)
    for end in ("send", "cancel"):
        tab.send("one")
        tab.message = draft
        view = tab.alter("edit", tab.last.id)
        assert "What you were typing comes back" in view.editing
        assert tab.message == {"text": "one", "files": []}
        tab.send("one, mended") if end == "send" else tab.alter("cancel", tab.last.id)
        assert tab.message == draft
        assert tab.dialogue.editing is None


def test_what_was_being_typed_comes_back_when_the_conversation_leaves_the_page() -> None:
    draft = {"text": "half typed", "files": []}
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("one")
    assert tab.chat.clear_log(tab.dialogue).prompt == KEEP
    tab.message = draft
    tab.alter("edit", tab.last.id)
    cleared = tab.chat.clear_log(tab.dialogue)
    assert (cleared.prompt, cleared.dialogue, cleared.editing) == (draft, Dialogue(), "")
    assert tab.chat.come_back(Dialogue(), None, tab.dialogue).prompt == draft


def test_a_refused_edit_is_still_an_edit() -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("one")
    tab.alter("edit", tab.last.id)
    tab.backend.script = [BackendError("no")]
    assert "Editing question 1." in tab.send("too long")[-1].editing
    assert tab.message["text"] == "too long"
    tab.backend.script = [AnswerDelta("yes"), END]
    tab.send("short")
    assert (tab.asked, len(tab.dialogue.versions(tab.last.id))) == (["short"], 2)


def test_an_edit_that_has_begun_is_not_lost_to_another_one() -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("one")
    tab.send("two")
    first, second = (turn.id for turn in tab.dialogue.path)
    tab.alter("edit", first)
    tab.alter("edit", second)  # nothing was typed yet
    assert tab.message["text"] == "two"
    tab.message = {"text": "two, mended", "files": []}
    tab.alter("edit", first)
    assert tab.message["text"] == "two, mended"
    assert "Another question is being edited" in tab.notice


def test_an_edited_question_takes_the_choice_of_its_pages_along(screenshot: str) -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.choices = {screenshot: {"max_item_tokens": 50}}
    tab.send("one", screenshot)
    tab.choices = None  # as after "New conversation"
    tab.alter("edit", tab.last.id)
    assert tab.choices[screenshot]["max_item_tokens"] == 50
    tab.send("two", screenshot)
    assert tab.last.attachments[0].choice == Choice(max_item_tokens=50)


def test_a_file_that_was_removed_meanwhile_is_named(screenshot: str) -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("one", screenshot)
    Path(screenshot).unlink()
    altered = take_up(tab.message, tab.dialogue, tab.last.id, None, undo=False)
    assert altered.message == {"text": "one", "files": []}
    assert "screen.png" in altered.notice


def test_undo_takes_the_last_question_back_into_the_message_box() -> None:
    tab = Tab(AnswerDelta("yes"), END)
    tab.send("one")
    tab.send("two")
    undone = tab.last.id
    view = tab.alter("undo", undone)
    assert (tab.asked, tab.message["text"]) == (["one"], "two")
    assert "Put it back" in view.editing
    tab.alter("cancel", undone)
    assert (tab.asked, tab.message["text"]) == (["one", "two"], "")
    tab.alter("undo", undone)
    tab.send("two, mended")
    assert tab.asked == ["one", "two, mended"]
    assert undone in tab.dialogue.versions(tab.last.id)


def test_a_stopped_answer_goes_on_where_it_ended(screenshot: str) -> None:
    tab = Tab(AnswerDelta("At [[100,200,"), AnswerDelta("30"), AnswerDelta("0"), END)
    tab.message = {"text": "where?", "files": [screenshot]}
    tab.stop_after(3)
    assert (tab.last.state, tab.last.answer) == ("stopped", "At [[100,200,30")
    assert tab.last.targets == ()
    tab.backend.script = [AnswerDelta("0,400]]"), END]
    tab.ask("continue", tab.last.id)
    assert tab.backend.questions[-1][-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "At [[100,200,30"}],
    }
    assert (tab.last.state, tab.last.answer) == ("done", "At [[100,200,300,400]]")
    assert tab.last.targets[0].box == (20, 20, 60, 40)
    assert tab.last.notes == ()
    assert len(tab.dialogue.turns) == 1


def test_a_thought_that_was_cut_goes_on_as_a_thought() -> None:
    tab = Tab(ThinkingDelta("hm"), ThinkingDelta(" so"), CUT)
    tab.send("?")
    assert tab.last.thinking_s is not None
    tab.backend.script = [ThinkingDelta(" it is"), AnswerDelta("yes"), END]
    spent = tab.last.spent_s
    views = tab.ask("continue", tab.last.id)
    message = tab.backend.questions[-1][-1]
    assert message == {"role": "assistant", "content": [], "reasoning_content": "hm so"}
    assert views[1].log[1]["metadata"] == {"title": "Thinking", "status": "pending"}
    assert views[-1].log[1]["metadata"]["status"] == "done"
    assert (tab.last.thinking, tab.last.answer) == ("hm so it is", "yes")
    assert tab.last.thinking_s is not None and tab.last.thinking_s > spent


def test_an_answer_goes_on_with_the_thought_before_it_and_a_later_question_has_none() -> None:
    turn = Turn("?", thinking="hm", answer="ye", state="stopped")
    assert to_messages([turn])[-1]["reasoning_content"] == "hm"  # type: ignore[arg-type]
    assert "hm" not in str(to_messages((turn, Turn("and?"))))


def test_scores_survive_a_continuation_where_all_tokens_are_known(screenshot: str) -> None:
    parts = ("At [[100,200,", "300,400]]")
    ends = [
        replace(end, tokens=(TokenProbability(part, -0.5),))
        for part, end in zip(parts, (CUT, END), strict=True)
    ]
    tab = Tab(AnswerDelta(parts[0]), ends[0])
    tab.send("where?", screenshot)
    tab.backend.script = [AnswerDelta(parts[1]), ends[1]]
    tab.ask("continue", tab.last.id)
    assert tab.last.targets[0].score == pytest.approx(0.6065, abs=1e-3)


def test_a_continuation_that_is_refused_leaves_the_answer_as_it_was() -> None:
    tab = Tab(AnswerDelta("half"), CUT)
    tab.send("?")
    before = tab.dialogue
    tab.backend.script = [BackendError("the server is busy")]
    tab.ask("continue", tab.last.id)
    assert (tab.dialogue, tab.notice) == (before, "The server is busy.")


@pytest.mark.parametrize(
    ("script", "continues", "offered"),
    [
        ([AnswerDelta("half"), CUT], True, True),
        ([AnswerDelta("half"), BackendError("lost")], True, True),
        ([AnswerDelta("whole"), END], True, False),
        ([AnswerDelta("half"), CUT], False, False),
    ],
)
def test_continue_is_offered_where_an_answer_was_cut_and_the_backend_can(
    script: list[Any], continues: bool, offered: bool
) -> None:
    tab = Tab(*script)
    tab.backend.abilities = Abilities(continuing=continues)
    assert ('data-act="continue"' in rows(tab.send("?")[-1])[0]) == offered


def test_continuing_what_is_complete_does_nothing() -> None:
    tab = Tab(AnswerDelta("whole"), END)
    tab.send("?")
    tab.message = {"text": "half typed", "files": []}
    assert tab.ask("continue", tab.last.id) == [UNCHANGED]
    assert tab.ask("regenerate", "no such turn") == [UNCHANGED]
    assert len(tab.backend.questions) == 1


def test_a_stop_during_regenerate_leaves_a_version_and_frees_the_backend() -> None:
    tab = Tab(AnswerDelta("one "), AnswerDelta("two"), END)
    tab.send("?")
    first = tab.last.id
    tab.stop_after(2, "regenerate", first)
    assert tab.backend.closed == 2
    assert (tab.last.state, tab.last.answer, tab.last.finished) == ("stopped", "one ", None)
    assert tab.dialogue.versions(first) == (first, tab.last.id)


def test_nothing_is_altered_while_an_answer_is_written() -> None:
    tab = Tab(AnswerDelta("one "), AnswerDelta("two"), END)
    tab.message = {"text": "?", "files": []}
    running = list(tab.events())[1].dialogue
    tab.dialogue = running
    for act in ("edit", "undo", "show", "cancel"):
        assert tab.alter(act, running.at) == UNCHANGED
    assert tab.chat.choose_picture(1, running, None) == UNCHANGED


def test_a_row_rests_while_its_answer_is_written() -> None:
    tab = Tab(AnswerDelta("one"), END)
    views = tab.send("?")
    assert rows(views[0]) == ['<div class="turn-tools" data-running></div>']
    assert 'data-act="regenerate"' in rows(views[-1])[0]


def test_the_system_prompt_comes_first_and_the_settings_reach_the_backend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[bool, SamplingOptions]] = []
    tab = Tab(AnswerDelta("yes"), END, system="Be brief.", thinking=False, temperature=0.5, seed=7)
    stream = tab.backend.stream

    def note(messages: Any, *, enable_thinking: bool, options: SamplingOptions) -> Any:
        given.append((enable_thinking, options))
        return stream(messages, enable_thinking=enable_thinking, options=options)

    monkeypatch.setattr(tab.backend, "stream", note)
    tab.send("hello")
    assert tab.backend.questions[0][0] == {
        "role": "system",
        "content": [{"type": "text", "text": "Be brief."}],
    }
    assert given == [(False, SamplingOptions(temperature=0.5, seed=7))]


def test_an_answer_says_how_fast_it_was() -> None:
    finished = Finished("stop", prompt_tokens=1204, new_tokens=85, first_token_s=0.42, total_s=4.07)
    line = "First word after 0.4 s · 23 tokens/s · 1,204 tokens in, 85 out"
    assert describe_speed(finished) == line
    turn = Turn("?", answer="yes", state="done", finished=finished)
    row = to_row(turn, Dialogue().ask(turn), number=1, continuing=True)
    assert line in row
    reading = "Reading: 1,204 tokens in 0.4 s, 2,867 tokens/s."
    assert f"{reading} Writing: 85 tokens in 3.7 s, 23.0 tokens/s." in row


def test_no_speed_is_made_up_of_a_single_token() -> None:
    one = Finished("stop", prompt_tokens=9, new_tokens=1, first_token_s=0.1, total_s=0.1)
    assert describe_speed(one) == "First word after 0.1 s · 9 tokens in, 1 out"


def test_what_was_sent_is_shown_as_text() -> None:
    tab = Tab(Sent("<script>alert(1)</script> & more"), AnswerDelta("yes"), END)
    row = rows(tab.send("?")[-1])[0]
    assert "What was sent" in row
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in row
    assert "<script" not in row


def test_what_came_back_is_shown_with_all_markers() -> None:
    tab = Tab(ThinkingDelta("so <b>"), AnswerDelta("<|begin_of_box|>yes<|end_of_box|>"), END)
    row = rows(tab.send("?")[-1])[0]
    came = {
        "reasoning_content": "so <b>",
        "content": "<|begin_of_box|>yes<|end_of_box|>",
        "finish_reason": "stop",
    }
    assert "What came back" in row
    assert escape(json.dumps(came, indent=1)) in row


def test_of_a_long_request_both_ends_are_shown() -> None:
    request = "begins " + "x" * 2 * MAX_RAW_CHARACTERS + " ends"
    tab = Tab(Sent(request), AnswerDelta("yes"), END)
    row = rows(tab.send("?")[-1])[0]
    assert '<pre tabindex="0">begins xxx' in row and "xxx ends</pre>" in row
    assert f"{len(request) - MAX_RAW_CHARACTERS:,} characters are left out here" in row


def test_the_answer_is_copied_as_the_model_wrote_it_without_markers() -> None:
    tab = Tab(AnswerDelta('a < "b" <|begin_of_box|>$5 & *x*<|end_of_box|>'), END)
    row = rows(tab.send("?")[-1])[0]
    assert 'data-answer="a &lt; &quot;b&quot; $5 &amp; *x*"' in row


def test_the_browser_keeps_the_question_now_and_then_its_answer_and_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tab = Tab(AnswerDelta("one "), AnswerDelta("two "), AnswerDelta("three"), END)
    kept = [view.record != KEEP for view in tab.send("?")]
    assert kept == [True, False, False, False, False, True]
    monkeypatch.setattr("ui.chat.handlers.RECORD_INTERVAL_S", 0.0)
    assert all(view.record != KEEP for view in tab.send("?"))


def test_the_place_in_the_queue_is_said_under_an_answer_that_goes_on() -> None:
    tab = Tab(AnswerDelta("half"), CUT)
    tab.send("?")
    tab.backend.script = [Waiting(2), AnswerDelta(" whole"), END]
    waiting = tab.ask("continue", tab.last.id)[1]
    texts = [b["text"] for m in waiting.log for b in m["content"] if "text" in b]
    assert texts == ["?", "half", "*Waiting for others: number 2 in the queue*"]


def test_a_visitors_own_backend_answers_and_offers_what_it_can() -> None:
    tab = Tab(BackendError("not this one"))
    own = ScriptedBackend([AnswerDelta("mine"), CUT])
    own.abilities = Abilities()
    event = gr.EventData(None, None)
    views = list(tab.chat.ask({"text": "?", "files": []}, (), Dialogue(), None, None, own, event))
    assert views[-1].dialogue.path[-1].answer == "mine"
    assert 'data-act="continue"' not in rows(views[-1])[0]
    assert tab.backend.questions == []
