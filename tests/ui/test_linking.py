"""Words of an answer that name a target link to it, and nothing else changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grounding import strip_markers
from ui.rendering.linking import to_linked_markdown
from ui.rendering.markdown import LINK_CLOSES, LINK_OPENS, to_markdown
from ui.targets.target import Target


def target(number: int, span: tuple[int, int]) -> Target:
    return Target(number, "Box", "box", at=(1, 1), span=span)


def of(answer: str, *words: str) -> list[Target]:
    """Return a target for each of the words, which stand in this order."""
    targets, end = [], 0
    for number, word in enumerate(words, 1):
        start = answer.index(word, end)
        end = start + len(word)
        targets.append(target(number, (start, end)))
    return targets


@pytest.mark.parametrize(
    ("answer", "words", "expected"),
    [
        ("at [1,2].", ["[1,2]"], r"at [\[1,2\]](#target-1)."),
        (
            "<|begin_of_box|>[[1,2,3,4]]<|end_of_box|> **here**",
            ["[1,2,3,4]"],
            r"[[\[1,2,3,4\]](#target-1)] **here**",
        ),
        ("[1,2] a<b> [3,4]", ["[1,2]", "[3,4]"], None),
        ("[\n 1,\n 2\n]", ["[\n 1,\n 2\n]"], r"[\[ 1, 2 \]](#target-1)"),
        ("tap(x='*a*')", ["tap(x='*a*')"], r"[tap(x='\*a\*')](#target-1)"),
        ("<point>1 2</point>", ["<point>1 2</point>"], r"[\<point\>1 2\</point\>](#target-1)"),
    ],
)
def test_coordinates_are_links(answer: str, words: list[str], expected: str | None) -> None:
    linked = to_linked_markdown(answer, of(answer, *words))
    assert linked == (expected or r"[\[1,2\]](#target-1) a\<b> [\[3,4\]](#target-2)")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("```json\n[1,2]\n```\nend", ["[1,2]"]),
        ("`[1,2]` in code", ["[1,2]"]),
        ("$$x [1,2] y$$", ["[1,2]"]),
        ("type('a\n\nb')", ["type('a\n\nb')"]),  # two paragraphs
        ("type('`')", ["type('`')"]),
    ],
)
def test_code_formulas_and_paragraphs_stay_as_they_are(answer: str, words: list[str]) -> None:
    assert to_linked_markdown(answer, of(answer, *words)) == to_markdown(answer)


def test_of_nested_words_the_inner_ones_have_their_own_link() -> None:
    answer = "tap(at=[1,2])"
    inner = answer.index("[1,2]")
    targets = [target(1, (inner, inner + 5)), target(2, (0, len(answer)))]
    assert to_linked_markdown(answer, targets) == (
        r"[tap(at=](#target-2)[\[1,2\]](#target-1)[)](#target-2)"
    )


def test_of_two_targets_with_the_same_words_the_first_is_linked() -> None:
    targets = [target(1, (0, 5)), target(2, (0, 5))]
    assert to_linked_markdown("[1,2]", targets) == r"[\[1,2\]](#target-1)"


@pytest.mark.parametrize("typed", [f"{LINK_OPENS}0{LINK_CLOSES}", f"{LINK_OPENS}7{LINK_CLOSES}"])
def test_a_typed_mark_does_not_make_a_link(typed: str) -> None:
    answer = f"{typed} [1,2]"
    assert to_linked_markdown(answer, of(answer, "[1,2]")).count("#target-1") == 1
    assert "](#" not in to_markdown(typed)


@pytest.mark.parametrize("before", ["\\", "!"])
def test_what_stands_before_a_link_makes_it_neither_text_nor_an_image(before: str) -> None:
    answer = f"{before}[1,2]"
    linked = to_linked_markdown(answer, of(answer, "[1,2]"))
    assert linked == f"\\{before}" + r"[\[1,2\]](#target-1)"


@given(
    st.text("ab [](){}<>`*_$\\|~!&\n0123456789,#", max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=5),
)
def test_any_words_may_be_named(answer: str, spans: list[tuple[int, int]]) -> None:
    ordered = [(min(s), min(max(s), len(answer))) for s in spans]
    targets = [target(number, span) for number, span in enumerate(ordered, 1)]
    linked = to_linked_markdown(answer, targets)
    assert LINK_OPENS not in linked
    plain = re.sub(r"\]\(#target-\d+\)", "", linked)
    letters = re.compile(r"[^ab0-9]")
    assert letters.sub("", plain) == letters.sub("", strip_markers(answer))
