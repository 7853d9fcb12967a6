"""Streams of tokens come out in whole characters and add up to the decoded text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.processing import Glm4vTokenizer, StreamDecoder
from model.processing.stream_decoder import byte_alphabet


def byte_ids(tokenizer: Glm4vTokenizer, data: bytes) -> list[int]:
    """One token per byte."""
    letters = {byte: letter for letter, byte in byte_alphabet().items()}
    ids = [tokenizer.token_to_id(letters[byte]) for byte in data]
    assert None not in ids
    return ids


def test_a_split_character_appears_with_its_last_byte(tokenizer: Glm4vTokenizer) -> None:
    decoder = StreamDecoder(tokenizer)
    pieces = [decoder.push(i) for i in byte_ids(tokenizer, "a天😀".encode())]
    assert pieces == ["a", "", "", "天", "", "", "", "😀"]
    assert decoder.flush() == ""


def test_bytes_that_are_not_utf8_become_replacement_characters(tokenizer: Glm4vTokenizer) -> None:
    decoder = StreamDecoder(tokenizer)
    text = "".join(decoder.push(i) for i in byte_ids(tokenizer, b"a\xffb\xe5\xa4"))
    assert text == "a\ufffdb"
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""


def test_special_tokens_come_out_verbatim(tokenizer: Glm4vTokenizer) -> None:
    decoder = StreamDecoder(tokenizer)
    ids = tokenizer.encode("<think>x</think><|begin_of_box|>", allow_special=True)
    assert "".join(map(decoder.push, ids)) == "<think>x</think><|begin_of_box|>"


def test_ids_beyond_the_vocabulary_stand_for_nothing(tokenizer: Glm4vTokenizer) -> None:
    assert StreamDecoder(tokenizer).push(10**6) == ""


@settings(max_examples=300, deadline=None)
@given(ids=st.lists(st.integers(0, 1967) | st.integers(1000, 1260), max_size=30))
def test_pieces_add_up_to_the_decoded_text(ids: list[int], tokenizer: Glm4vTokenizer) -> None:
    decoder = StreamDecoder(tokenizer)
    assert "".join(map(decoder.push, ids)) + decoder.flush() == tokenizer.decode(ids)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30))
def test_the_text_at_every_step_is_a_beginning_of_the_whole(
    text: str, tokenizer: Glm4vTokenizer
) -> None:
    decoder, shown = StreamDecoder(tokenizer), ""
    for token_id in tokenizer.encode(text):
        shown += decoder.push(token_id)
        assert text.startswith(shown)
    assert shown + decoder.flush() == text


def test_no_more_than_one_unfinished_character_is_held_back(tokenizer: Glm4vTokenizer) -> None:
    decoder = StreamDecoder(tokenizer)
    ids = byte_ids(tokenizer, "plain 天气 😀".encode() * 20 + b"\xf0\x9f\xff\xe5")
    for token_id in ids:
        decoder.push(token_id)
        held, _ = decoder._utf8.getstate()
        assert len(held) < 4  # so a step costs the same however long the text is
