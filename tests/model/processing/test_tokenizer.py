"""Ids of text, with and without special tokens, and text of ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.processing import Glm4vTokenizer

ALL_SPECIAL = [
    "<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>",
    "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|image|>", "<|video|>",
    "/nothink", "<|begin_of_box|>", "<|end_of_box|>", "<think>", "</think>", "<tool_call>",
    "<arg_key>", "</arg_value>", "<tool_response>",
]  # fmt: skip

# ordinary text, letters that several byte tokens spell, and every kind of look-alike
texts = st.lists(
    st.sampled_from([*ALL_SPECIAL, "<", "|>", "/", "no", "[g", "MASK]", " ", "\n", "天气", "😀"])
    | st.text(max_size=8),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def reference(bundled: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(bundled)


@pytest.mark.parametrize("token", ALL_SPECIAL)
def test_typed_special_strings_become_ordinary_ids(token: str, tokenizer: Glm4vTokenizer) -> None:
    ids = tokenizer.encode(f"a{token}b")
    assert not set(ids) & set(tokenizer.added_tokens.values())
    assert tokenizer.decode(ids) == f"a{token}b"
    assert tokenizer.encode(token, allow_special=True) == [tokenizer.token_to_id(token)]


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_no_text_can_become_a_special_token(text: str, tokenizer: Glm4vTokenizer) -> None:
    ids = tokenizer.encode(text)
    assert not set(ids) & set(tokenizer.added_tokens.values())
    assert tokenizer.decode(ids) == text


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_template_text_is_encoded_as_transformers_does(
    text: str, tokenizer: Glm4vTokenizer, reference: Any
) -> None:
    wanted = reference.encode(text, add_special_tokens=False)
    assert tokenizer.encode(text, allow_special=True) == wanted
    assert tokenizer.encode_marked(text, "\u2800") == wanted


def test_a_marked_look_alike_is_text_and_its_neighbours_are_encoded_with_it(
    tokenizer: Glm4vTokenizer,
) -> None:
    ids = tokenizer.encode_marked("<|user|>\nsee \u2800<|user|> 12\u2800/nothink/nothink", "\u2800")
    user, nothink = tokenizer.added_tokens["<|user|>"], tokenizer.added_tokens["/nothink"]
    assert ids == [user, *tokenizer.encode("\nsee <|user|> 12/nothink"), nothink]


def test_a_vocabulary_that_holds_an_added_token_as_a_word_gives_it_away_to_nobody(
    bundled: Path,
) -> None:
    raw = json.loads((bundled / "tokenizer.json").read_text())
    vocab = raw["model"]["vocab"]
    vocab.update({"/nothink": 1945, "/no": 5000, "think": vocab.get("think", 5001)})
    raw["model"]["merges"] = ["/no think"]
    tokenizer = Glm4vTokenizer(raw)
    assert tokenizer.encode("/nothink", allow_special=True) == [1945]
    assert 1945 not in tokenizer.encode("/nothink")
    assert tokenizer.decode(tokenizer.encode("/nothink")) == "/nothink"


def test_special_tokens_can_be_left_out_of_text(tokenizer: Glm4vTokenizer) -> None:
    ids = tokenizer.encode("<|user|><think>a</think><|begin_of_box|>", allow_special=True)
    assert tokenizer.decode(ids) == "<|user|><think>a</think><|begin_of_box|>"
    assert tokenizer.decode(torch.tensor(ids), skip_special_tokens=True) == "<think>a</think>"
    assert tokenizer.decode(ids[0]) == "<|user|>"


def test_sizes_and_padding_come_from_the_files(tokenizer: Glm4vTokenizer) -> None:
    assert tokenizer.vocab_size == 1968
    assert tokenizer.pad_token_id == 1922
    assert tokenizer.token_to_id("no such token") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": {"type": "WordPiece"}}, "no ByteLevel decoder"),
        ({"lstrip": True}, "sets lstrip, rstrip or single_word"),
    ],
)
def test_a_tokenizer_that_would_be_misread_is_refused(
    change: dict, message: str, bundled: Path
) -> None:
    raw = json.loads((bundled / "tokenizer.json").read_text())
    if "lstrip" in change:
        raw["added_tokens"][0] |= change
    else:
        raw |= change
    with pytest.raises(ValueError, match=message):
        Glm4vTokenizer(raw)


def test_a_missing_padding_token_is_refused(bundled: Path) -> None:
    raw = json.loads((bundled / "tokenizer.json").read_text())
    with pytest.raises(ValueError, match="'<pad>' is not in tokenizer.json"):
        Glm4vTokenizer(raw, pad_token="<pad>")


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no tokenizer.json; copy it"):
        Glm4vTokenizer.from_pretrained(tmp_path)
