"""Scores: the probabilities of a box's own numbers, wherever tokens begin and end."""

from __future__ import annotations

import math

import pytest

from grounding import add_scores, parse

SIZES = [(1000, 1000)]


def tokens_of(*pieces: tuple[str, float]) -> list[tuple[str, float]]:
    """Return tokens with logarithms of the given probabilities."""
    return [(text, math.log(probability)) for text, probability in pieces]


def test_a_box_is_as_sure_as_the_least_sure_of_its_numbers() -> None:
    tokens = tokens_of(
        ("[[", 0.1), ("100", 0.9), (",", 0.1), ("200", 0.8), (",", 0.1), ("300", 0.9),
        (",", 0.1), ("400", 0.8), ("]]", 0.1),
    )  # fmt: skip
    text = "".join(piece for piece, _ in tokens)
    (box,) = add_scores(parse(text, SIZES), text, tokens).boxes
    assert box.score == pytest.approx(0.8)


def test_each_box_has_its_own_score_and_the_prose_around_has_none() -> None:
    tokens = tokens_of(
        ("2", 0.01), (" buttons: [", 0.5), ("10", 0.9), (",", 0.3), ("20", 0.9), (",", 0.3),
        ("30", 0.9), (",", 0.3), ("40", 0.9), ("], [", 0.3), ("50,60", 0.4), (",70,80", 0.4),
        ("]", 0.3),
    )  # fmt: skip
    text = "".join(piece for piece, _ in tokens)
    scores = [box.score for box in add_scores(parse(text, SIZES), text, tokens).boxes]
    assert scores == [pytest.approx(0.9), pytest.approx(0.4)]


def test_tokens_of_a_thought_before_the_answer_do_not_count() -> None:
    thought = tokens_of(("<think>", 0.5), ("[[1,2,3,4]]", 0.01), ("</think>", 0.5))
    tokens = [*thought, *tokens_of(("[[100,200,", 0.7), ("300,400]]", 0.7))]
    text = "[[100,200,300,400]]"
    (box,) = add_scores(parse(text, SIZES), text, tokens).boxes
    assert box.score == pytest.approx(0.7)


def test_a_token_counts_for_the_digits_in_the_span_alone() -> None:
    tokens = tokens_of(("7 ", 0.01), ("[[100,200,300,400]] 9", 0.6), ("9", 0.01))
    text = "".join(piece for piece, _ in tokens)
    (box,) = add_scores(parse(text, SIZES), text, tokens).boxes
    assert box.score == pytest.approx(0.6)


def test_points_are_scored_too() -> None:
    text = '{"point_2d": [100, 200], "label": "Save"}'
    (point,) = add_scores(parse(text, SIZES), text, [(text, math.log(0.5))]).points
    assert point.score == pytest.approx(0.5)


@pytest.mark.parametrize("tokens", [[], [("something else", -1.0)]])
def test_tokens_that_are_not_the_answers_score_nothing(tokens: list[tuple[str, float]]) -> None:
    text = "[[100,200,300,400]]"
    (box,) = add_scores(parse(text, SIZES), text, tokens).boxes
    assert box.score is None
