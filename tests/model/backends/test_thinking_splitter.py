"""Thought and answer are told apart however the text is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.backends.base import AnswerWasThinking, Event, Reply
from model.backends.thinking import ThinkingSplitter

# model text -> (thought, answer)
CASES = {
    "": ("", ""),
    "Hello": ("", "Hello"),
    "<think>why</think>\nbecause": ("why", "because"),
    "\n<think>\nwhy\n\nhow\n</think>\n\nbecause\n": ("why\n\nhow", "because\n"),
    "<think></think>\nbecause": ("", "because"),
    "<think>never closed": ("never closed", ""),
    "never opened</think>\nbecause": ("never opened", "because"),
    "</think>\nbecause": ("", "because"),
    "<think>a < b and </b>, </thin</think>x </think> y": ("a < b and </b>, </thin", "x </think> y"),
    "<think>why</think>The tag <think> means": ("why", "The tag <think> means"),
    "<thinking>why</think></thinking>because": ("why</think>", "because"),
    " <seed:think>why</seed:think> because": ("why", "because"),
    "◁think▷why ◁/thin◁/think▷because": ("why ◁/thin", "because"),
    "a < b, c > d, <thinker>": ("", "a < b, c > d, <thinker>"),
    "<thin": ("", "<thin"),
}


def split(pieces: list[str], *, inside: bool = False) -> tuple[Reply, list[Event]]:
    splitter = ThinkingSplitter(inside=inside)
    events = [event for piece in pieces for event in splitter.push(piece)] + splitter.flush()
    reply = Reply()
    for event in events:
        reply.add(event)
    return reply, events


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_text_in_one_piece_is_split(text: str, expected: tuple[str, str]) -> None:
    reply, _ = split([text])
    assert (reply.thinking, reply.answer) == expected


@given(case=st.sampled_from(list(CASES.items())), data=st.data())
def test_how_the_text_is_cut_does_not_matter(
    case: tuple[str, tuple[str, str]], data: st.DataObject
) -> None:
    text, expected = case
    pieces, rest = [], text
    while rest:
        length = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:length])
        rest = rest[length:]
    reply, _ = split(pieces)
    assert (reply.thinking, reply.answer) == expected


def test_a_thought_that_the_prompt_opened_ends_at_its_closing_tag() -> None:
    reply, events = split(["why", "</th", "ink>\nbecause"], inside=True)
    assert (reply.thinking, reply.answer) == ("why", "because")
    assert AnswerWasThinking() not in events


def test_an_answer_streams_without_waiting_for_its_end() -> None:
    splitter = ThinkingSplitter()
    seen = [bool(splitter.push(piece)) for piece in ("Hello", " wor", "ld, a", " < b", " x")]
    assert seen == [True] * 5


def test_an_answer_without_a_thought_is_never_taken_back() -> None:
    _, events = split(["The ", "answer ", "is 4", "2"])
    assert AnswerWasThinking() not in events
