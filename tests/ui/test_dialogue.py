"""Versions of a conversation: none is lost, and one path is on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ui.chat.dialogue import Dialogue
from ui.conversation import Turn


def texts(dialogue: Dialogue) -> list[str]:
    return [turn.text for turn in dialogue.path]


@pytest.fixture
def two() -> Dialogue:
    return Dialogue().ask(Turn("one")).ask(Turn("two"))


def test_turns_follow_each_other(two: Dialogue) -> None:
    assert texts(two) == ["one", "two"]
    assert texts(Dialogue()) == []


def test_a_question_asked_otherwise_is_a_version_beside_the_first(two: Dialogue) -> None:
    edited = two.ask(Turn("two, mended"), before=two.path[0].id).ask(Turn("three"))
    assert texts(edited) == ["one", "two, mended", "three"]
    first, second = edited.versions(edited.path[1].id)
    assert (edited.turn(first).text, edited.turn(second).text) == ("two", "two, mended")


def test_showing_a_version_shows_what_was_asked_last_after_it(two: Dialogue) -> None:
    edited = two.ask(Turn("one, mended"), before="")
    again = edited.show(two.path[0].id)
    assert texts(again) == ["one", "two"]
    assert texts(again.ask(Turn("two, mended"), before=two.path[0].id).show(edited.at)) == [
        "one, mended"
    ]


def test_going_back_keeps_the_turn_as_a_version(two: Dialogue) -> None:
    back = two.back()
    assert texts(back) == ["one"]
    assert texts(back.back()) == texts(back.back().back()) == []
    assert len(back.ask(Turn("otherwise")).versions(two.at)) == 2


def test_a_turn_that_grows_keeps_its_place(two: Dialogue) -> None:
    grown = two.put(replace(two.path[0], answer="yes"))
    assert [turn.answer for turn in grown.path] == ["yes", ""]
    assert two.path[0].answer == ""


def test_an_unknown_turn_is_an_error(two: Dialogue) -> None:
    with pytest.raises(KeyError):
        two.show("nothing")


def test_each_conversation_has_an_id_of_its_own_from_the_first_question_on(two: Dialogue) -> None:
    assert Dialogue().id == ""
    assert two.id == two.back().back().ask(Turn("otherwise")).id
    assert two.id != Dialogue().ask(Turn("one")).id != ""
