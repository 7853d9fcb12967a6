"""What the browser kept about answers is read without trust."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_backend import ScriptedBackend

from model.backends.base import Abilities, SamplingOptions
from ui import PageSettings
from ui.chat.preferences import (
    FIELDS,
    MAX_SYSTEM_CHARACTERS,
    Preferences,
    describe_backend,
    read_preferences,
)

SETTINGS = PageSettings(thinking=False, options=SamplingOptions(temperature=0.3, seed=7))


def test_what_was_entered_wins_over_the_settings_of_the_page() -> None:
    entered = {"system": " Be brief. ", "thinking": True, "temperature": "0.5", "top_k": 40}
    assert read_preferences(entered, SETTINGS) == Preferences(
        "Be brief.", True, SamplingOptions(temperature=0.5, seed=7, top_k=40)
    )


@pytest.mark.parametrize("entered", [None, 3, "{}", [], {}, {"temperature": ""}, {"nonsense": 1}])
def test_where_nothing_is_entered_the_settings_of_the_page_count(entered: Any) -> None:
    assert read_preferences(entered, SETTINGS) == Preferences("", False, SETTINGS.options)


@pytest.mark.parametrize(
    ("entered", "temperature"),
    [(-1, 0), (9, 2), ("1e999", 2), ("nan", 0.3), (True, 0.3), ([1], 0.3), ("0x1", 0.3)],
)
def test_a_number_out_of_range_becomes_the_closest_and_nonsense_nothing(
    entered: Any, temperature: float
) -> None:
    read = read_preferences({"temperature": entered}, SETTINGS)
    assert read.options.temperature == temperature


def test_whole_numbers_are_whole() -> None:
    read = read_preferences({"top_k": 3.6, "max_new_tokens": "100"}, SETTINGS)
    assert (read.options.top_k, read.options.max_new_tokens) == (4, 100)
    assert isinstance(read.options.top_k, int)


def test_a_system_prompt_is_cut_at_its_longest() -> None:
    read = read_preferences({"system": "a" * 10**6}, SETTINGS)
    assert len(read.system) == MAX_SYSTEM_CHARACTERS


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
names = st.sampled_from([*(field.name for field in FIELDS), "system", "thinking"])


@given(anything | st.dictionaries(names, anything))
def test_whatever_the_browser_sends_is_read_as_preferences_in_range(entered: Any) -> None:
    read = read_preferences(entered, PageSettings())
    for field in FIELDS:
        number = getattr(read.options, field.name)
        assert number is None or field.low <= number <= field.high


def test_the_fold_shows_what_empty_means_with_this_backend() -> None:
    backend = ScriptedBackend()
    backend.abilities = Abilities(thinking_budget=False)
    shown = describe_backend(backend, SamplingOptions(top_p=0.9))
    assert shown["budget"] is False
    # the page's own setting goes before the backend's; what neither knows is left out
    assert shown["defaults"] == {
        "temperature": "1",
        "top_p": "0.9",
        "seed": "random",
        "thinking_budget": "no limit",
    }


def test_a_field_says_what_it_takes() -> None:
    refusals = {field.name: field.refusal for field in FIELDS}
    assert refusals["temperature"] == "Enter a number from {low} to {high}."
    assert refusals["top_k"] == "Enter a whole number from {low} to {high}."
