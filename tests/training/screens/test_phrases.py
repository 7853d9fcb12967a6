"""Words kept for evaluation are never written on screens for training, and the reverse."""

from __future__ import annotations

import random
import re

import pytest

from training.materials import Materials
from training.screens import stock
from training.screens.phrases import Phrases, is_held_out, stock_words

DRAWN = 400
# what figures are made of besides words
FORMATS = {
    word
    for group in (stock.MONTHS, stock.UNITS, stock.ENDINGS, stock.DOMAINS, stock.MARKS)
    for phrase in group
    for word in re.findall(r"[a-z]+", phrase.lower())
}


def words_of(phrases: Phrases) -> set[str]:
    texts = [phrases.label() for _ in range(DRAWN)] + [phrases.sentence() for _ in range(DRAWN)]
    texts += [phrases.figure() for _ in range(DRAWN)] + [phrases.person() for _ in range(DRAWN)]
    texts += [phrases.of(stock.ACTIONS) for _ in range(DRAWN)]
    texts += [phrases.placeholder("Email", 20) for _ in range(DRAWN)]
    return set(re.findall(r"[a-z]+", " ".join(texts).lower()))


def test_training_never_shows_a_held_out_word(materials: Materials) -> None:
    phrases = Phrases(random.Random(0), materials, held_out=False)
    assert not {word for word in words_of(phrases) if is_held_out(word)}


def test_held_out_screens_show_only_held_out_words(materials: Materials) -> None:
    phrases = Phrases(random.Random(0), materials, held_out=True)
    known = {word for word in words_of(phrases) if not is_held_out(word)}
    assert known <= FORMATS


def test_names_and_stock_phrases_are_not_split_by_chance() -> None:
    assert not set(map(str.lower, stock.HELD_OUT_FIRST_NAMES)) & stock_words()
    assert not set(map(str.lower, stock.HELD_OUT_LAST_NAMES)) & stock_words()
    assert not any(is_held_out(word) for word in stock_words())


def test_there_are_enough_words_of_both_kinds(materials: Materials) -> None:
    words = materials.common_words + materials.rare_words
    share = sum(map(is_held_out, words)) / len(words)
    assert share == pytest.approx(1 / 12, rel=0.1)


@pytest.mark.parametrize("length", [4, 8, 20])
def test_labels_are_no_longer_than_asked(materials: Materials, length: int) -> None:
    phrases = Phrases(random.Random(1), materials, held_out=False)
    assert all(len(phrases.label(length)) <= length for _ in range(DRAWN))
    assert all(len(phrases.sentence(length + 8)) <= length + 8 for _ in range(DRAWN))
