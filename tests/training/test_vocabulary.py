"""The tokenizer that training makes: its numbers, its bytes, and the model folder it belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grounding.evaluation.options import BUNDLED_FOLDER
from model.config import Glm4vMoeConfig
from model.processing import Glm4vProcessor
from model.processing.tokenizer import Glm4vTokenizer
from training.tasks.turn import NOT_THERE
from training.vocabulary import build_tokenizer, write_tokenizer

RAW = build_tokenizer()
TOKENIZER = Glm4vTokenizer(RAW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "new"
    write_tokenizer(path)
    return path


@pytest.fixture(scope="module")
def processor(folder: Path) -> Glm4vProcessor:
    return Glm4vProcessor.from_pretrained(folder)


def test_numbers_up_to_999_are_their_own_ids(processor: Glm4vProcessor) -> None:
    assert [processor.tokenizer.encode(str(n)) for n in range(1000)] == [[n] for n in range(1000)]


def test_the_number_of_tokens_is_a_multiple_of_16_and_of_ids_without_gaps() -> None:
    added = {token["id"]: token["content"] for token in RAW["added_tokens"]}
    ids = sorted([*RAW["model"]["vocab"].values(), *added])
    assert ids == list(range(len(ids)))
    assert len(ids) % 16 == 0


def test_there_are_no_merges_to_undo_the_spelling_of_names() -> None:
    assert RAW["model"]["merges"] == []
    assert RAW["model"]["ignore_merges"] is True


def test_the_same_tasks_give_the_same_tokenizer() -> None:
    assert build_tokenizer() == RAW


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_the_marks_of_the_bundled_tokenizer_are_all_there() -> None:
    bundled = json.loads((BUNDLED_FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    wanted = [(t["content"], t["special"]) for t in bundled["added_tokens"]]
    made = [(t["content"], t["special"]) for t in RAW["added_tokens"]]
    assert made[:36] == wanted[:36]
    assert all(content.startswith("<|reserved_") for content, _ in made[36:])


@pytest.mark.parametrize("text", [NOT_THERE, "Where is the text field?", "Red button", " below"])
def test_words_of_the_tasks_are_not_spelled(text: str, processor: Glm4vProcessor) -> None:
    pieces = [_plain(processor, token_id) for token_id in processor.tokenizer.encode(text)]
    assert all(len(piece) > 1 or not piece.isalpha() for piece in pieces)


def test_a_name_is_spelled_letter_by_letter(processor: Glm4vProcessor) -> None:
    ids = processor.tokenizer.encode("Quokka")
    assert [_plain(processor, i) for i in ids] == list("Quokka")


def test_a_model_folder_has_the_ids_of_its_own_tokenizer(folder: Path) -> None:
    config = Glm4vMoeConfig.from_pretrained(folder)
    processor = Glm4vProcessor.from_pretrained(folder)
    tokenizer = processor.tokenizer
    assert config.text_config.vocab_size == tokenizer.vocab_size
    assert config.image_token_id == tokenizer.token_to_id("<|image|>")
    assert config.video_end_token_id == tokenizer.token_to_id("<|end_of_video|>")
    stop = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    assert tokenizer.token_to_id("<|user|>") in stop


def test_the_sizes_of_the_source_model_are_kept(folder: Path) -> None:
    made, bundled = (Glm4vMoeConfig.from_pretrained(path) for path in (folder, BUNDLED_FOLDER))
    assert made.vision_config == bundled.vision_config
    assert made.text_config.hidden_size == bundled.text_config.hidden_size


def _plain(processor: Glm4vProcessor, token_id: int) -> str:
    return processor.tokenizer.decode([token_id])
