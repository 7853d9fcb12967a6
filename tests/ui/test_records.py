"""What a browser keeps of a conversation: nothing is lost on the way there and back."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import make_animation, make_clip, make_image, make_pdf
from scripted_backend import END, ScriptedBackend

from model.backends.base import Finished, TokenProbability
from model.processing import WHOLE, Choice, Limits
from ui.chat.attaching import open_attached, open_files
from ui.chat.dialogue import Dialogue
from ui.chat.records import (
    LEFT,
    MAX_TURNS,
    TITLE_CHARACTERS,
    VERSION,
    RecordError,
    from_record,
    key_of,
    make_title,
    to_record,
)
from ui.conversation import Attached, Turn, pictures_in_question
from ui.rendering.marking import mark_complete

EMPTY = Dialogue()
BOXED = "Here: <|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"
SURE = Finished(
    "stop", 90, 9, 0.1, 0.2, tuple(TokenProbability(text, -0.25) for text in [*BOXED, ""])
)


def attach(path: str, choice: Choice = WHOLE) -> Attached:
    """Open a file as it is opened in the message box."""
    *_, drafts = open_files(ScriptedBackend(), [path], {path: choice}, limits=Limits())
    assert drafts[0].attached is not None, drafts[0].problem
    return drafts[0].attached


def open_again(path: str, choice: Choice) -> Attached:
    return open_attached(ScriptedBackend(), path, choice, limits=Limits())


def ask(turn: Turn, dialogue: Dialogue = EMPTY, before: str | None = None) -> Dialogue:
    """Return the dialogue with a turn that has been answered."""
    dialogue = dialogue.ask(turn, before=before)
    answered = mark_complete(
        dialogue.turn(dialogue.at), pictures_in_question(dialogue.path), turn.notes
    )
    return dialogue.put(answered)


def files_of(dialogue: Dialogue) -> dict[str, str]:
    return {
        key_of(turn.id, index): attached.path
        for turn in dialogue.turns
        for index, attached in enumerate(turn.attachments)
    }


def keep(dialogue: Dialogue, files: Mapping[str, str] | None = None) -> Dialogue:
    """Return the dialogue after it was written as JSON and read again."""
    record = json.loads(json.dumps(to_record(dialogue), allow_nan=False))
    return from_record(record, files_of(dialogue) if files is None else files, open_again)


def simple(**more: Any) -> Dialogue:
    return ask(Turn("What is this?", answer="A cat", state="done", finished=END, **more))


def test_an_image_comes_back_with_its_boxes_and_how_sure_the_model_was(tmp_path: Path) -> None:
    attached = attach(make_image(tmp_path / "screen.png"))
    turn = Turn("Where?", (attached,), answer=BOXED, state="done", finished=SURE)
    dialogue = ask(turn)
    assert dialogue.turns[0].targets[0].score is not None
    assert keep(dialogue) == dialogue


def test_a_probability_above_one_is_read_as_one(tmp_path: Path) -> None:
    attached = attach(make_image(tmp_path / "screen.png"))
    turn = Turn("Where?", (attached,), answer=BOXED, state="done", finished=SURE)
    dialogue = ask(turn)
    record = to_record(dialogue)
    for token in record["turns"][0]["finished"]["tokens"]:
        token[1] = 1000.0
    read = from_record(record, files_of(dialogue), open_again)
    assert read.turns[0].targets[0].score == 1.0


@pytest.mark.parametrize(
    "make, choice",
    [
        (lambda at: make_pdf(at / "three.pdf"), Choice(pages="2-3", max_item_tokens=64)),
        (lambda at: make_animation(at / "moving.gif"), Choice(animation_as_video=True)),
        (lambda at: make_animation(at / "still.gif"), Choice()),
        (lambda at: make_clip(at / "clip.mp4"), Choice(fps=2.0, max_frames=6)),
    ],
)
def test_each_kind_of_file_comes_back_as_it_was_chosen(
    make: Any, choice: Choice, tmp_path: Path
) -> None:
    dialogue = ask(Turn("Which?", (attach(make(tmp_path), choice),), answer=BOXED, state="done"))
    assert keep(dialogue) == dialogue


def test_a_text_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("first line")
    dialogue = ask(Turn("", (attach(str(path)),), answer="Fine.", state="done"))
    assert keep(dialogue) == dialogue


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_each_state_comes_back_with_its_thought_and_notes(state: Any) -> None:
    turn = Turn(
        "Why <b>?", thinking="hm", answer="", state=state, thinking_s=1.5, notes=("Stopped.",)
    )
    dialogue = ask(turn)
    assert keep(dialogue) == dialogue


def test_an_answer_that_was_being_written_is_one_that_was_stopped() -> None:
    dialogue = Dialogue().ask(Turn("Count", answer="one two"))
    turn = keep(dialogue).turns[0]
    assert (turn.state, turn.answer, turn.notes) == ("stopped", "one two", (LEFT,))
    assert keep(keep(dialogue)) == keep(dialogue)


def test_all_versions_come_back_and_the_one_on_the_page(tmp_path: Path) -> None:
    first = ask(Turn("one", (attach(make_image(tmp_path / "a.png")),), answer="1", state="done"))
    both = ask(Turn("two", answer=BOXED, state="done"), first)
    other = ask(Turn("two, again", answer="2", state="done"), both, before=first.at)
    assert keep(other) == other
    assert keep(other.show(both.at)).path == both.path
    assert keep(first.back()).path == ()


def test_a_choice_of_picture_is_kept(tmp_path: Path) -> None:
    files = (attach(make_image(tmp_path / "a.png")), attach(make_image(tmp_path / "b.png")))
    turn = Turn("Where?", files, answer=BOXED, state="done", default_image=1)
    dialogue = ask(turn)
    assert keep(dialogue).turns[0].targets[0].image_index == 1
    assert keep(dialogue) == dialogue


def test_what_reading_notes_is_not_said_twice(tmp_path: Path) -> None:
    attached = attach(make_image(tmp_path / "a.png"))
    wide = "<|begin_of_box|>[[100,200,3000,400]]<|end_of_box|>"
    dialogue = ask(Turn("?", (attached,), answer=wide, state="done", notes=("Stopped.",)))
    assert len(dialogue.turns[0].notes) > 1
    assert keep(dialogue).turns[0].notes == dialogue.turns[0].notes


def test_a_file_that_is_gone_is_named_and_the_rest_stays(tmp_path: Path) -> None:
    attached = attach(make_image(tmp_path / "screen.png"))
    dialogue = ask(Turn("Where?", (attached,), answer=BOXED, state="done"))
    turn = keep(dialogue, {}).turns[0]
    (gone,) = turn.attachments
    assert (gone.pictures, gone.path) == ((), "")
    assert "screen.png" in gone.notes[0] and "screen.png" in gone.content[0]["text"]
    assert (turn.text, turn.answer) == ("Where?", BOXED)
    assert keep(keep(dialogue, {}), {}) == keep(dialogue, {})


def test_a_damaged_file_is_named_and_the_rest_stays(tmp_path: Path) -> None:
    attached = attach(make_image(tmp_path / "screen.png"))
    dialogue = ask(Turn("Where?", (attached,), answer=BOXED, state="done"))
    Path(attached.path).write_bytes(b"no image")
    (gone,) = keep(dialogue).turns[0].attachments
    assert gone.pictures == () and "screen.png" in gone.notes[0]


def test_no_file_is_opened_for_its_path_in_the_record(tmp_path: Path) -> None:
    secret = attach(make_image(tmp_path / "secret.png"))
    record = to_record(ask(Turn("?", (secret,), state="done")))
    asked: list[str] = []

    def open_file(path: str, choice: Choice) -> Attached:
        asked.append(path)
        return open_again(path, choice)

    assert from_record(record, {}, open_file).turns[0].attachments[0].path == ""
    assert asked == []


def test_a_title_is_the_first_question_in_one_short_line(tmp_path: Path) -> None:
    assert make_title(simple()) == "What is this?"
    assert make_title(ask(Turn("one\n  two " * 99))).startswith("one two one")
    assert len(make_title(ask(Turn("word " * 99)))) <= TITLE_CHARACTERS
    assert make_title(ask(Turn("", (attach(make_image(tmp_path / "a.png")),)))) == "a.png"


def test_a_record_of_a_newer_version_says_so() -> None:
    with pytest.raises(RecordError, match="newer version.*Update"):
        from_record({**to_record(simple()), "version": VERSION + 1}, {}, open_again)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc"},
        {"at": "f" * 32},
        {"turns": None},
        {"turns": [{}] * (MAX_TURNS + 1)},
        {"version": True},
        {"version": "1"},
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="conversation"):
        from_record({**to_record(simple()), **change}, {}, open_again)


@pytest.mark.parametrize(
    "field, value",
    [
        ("text", None),
        ("text", 5),
        ("state", "asleep"),
        ("state", []),
        ("convention", "inches"),
        ("thinking_s", float("nan")),
        ("thinking_s", -1),
        pytest.param("spent_s", 10**400, id="spent_s-huge"),
        pytest.param("default_image", 10**400, id="default_image-huge"),
        ("default_image", 0.5),
        ("default_image", -1),
        ("notes", "Stopped."),
        ("notes", [1]),
        ("attachments", {}),
        ("attachments", [None]),
        ("attachments", [{"name": "a", "kind": "program", "choice": {}}]),
        ("before", "0" * 32),
        ("finished", 3),
        ("finished", {"reason": "stop", "tokens": [["a"]]}),
    ],
)
def test_a_wrong_field_of_a_turn_is_named(field: str, value: Any) -> None:
    record = to_record(simple())
    record["turns"][0][field] = value
    with pytest.raises(RecordError, match="turn 1"):
        from_record(record, {}, open_again)


def test_a_conversation_that_comes_after_itself_is_refused() -> None:
    record = to_record(simple())
    record["turns"][0]["before"] = record["turns"][0]["id"]
    with pytest.raises(RecordError, match="missing"):
        from_record(record, {}, open_again)
    twice = to_record(simple())
    twice["turns"] *= 2
    with pytest.raises(RecordError, match="twice"):
        from_record(twice, {}, open_again)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
RECORD = to_record(
    replace(simple(), turns=(replace(simple().turns[0], before=""),), at="")
)  # one turn
PLACES = [(), *((key,) for key in RECORD), *(("turns", 0, key) for key in RECORD["turns"][0])]


@given(place=st.sampled_from(PLACES), value=JSON)
def test_garbage_is_an_error_in_words_or_a_conversation(place: Any, value: Any) -> None:
    record: Any = copy.deepcopy(RECORD)
    if not place:
        record = value
    else:
        *above, last = place
        inside = record
        for key in above:
            inside = inside[key]
        inside[last] = value
    try:
        read = from_record(record, {}, open_again)
    except RecordError as error:
        assert "onversation" in str(error)
    else:
        assert from_record(to_record(read), {}, open_again) == read
