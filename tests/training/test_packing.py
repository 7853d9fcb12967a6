"""Token arrays: what training shows the model is what the processor shows it later."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hand_made_screens import make_screen, processor_of, random_screen
from PIL import Image

from grounding.evaluation.options import BUNDLED_FOLDER
from model.processing import Glm4vProcessor
from training.packing import IGNORED, Packed, covered_cells, pack
from training.screens.screen import Box, Element, Screen
from training.tasks import NOT_THERE, TASKS, Turn, turns
from training.tasks.turn import answer_with_boxes, answer_with_click, norm_box, norm_center
from training.vocabulary import write_tokenizer

SAVE = Element("button", (30, 40, 100, 70), "Save")
SCREEN = make_screen(SAVE, Element("icon", (200, 10, 220, 30), "search"))
BOX = answer_with_boxes(SCREEN, [SAVE])
THOUGHT = "At [216,191]: button 'Save', top left."
TURNS = {
    "a box": Turn("text", "Click on Save", BOX, None, SAVE),
    "a box after a thought": Turn("text", "Click on Save", BOX, THOUGHT, SAVE),
    "a click": Turn("agent", "Task: x.", answer_with_click(SCREEN, SAVE, "Save"), None, SAVE),
    "words": Turn("absent", "Where is the sun?", NOT_THERE),
    "words after a thought": Turn("reading", "OCR [1,2,3,4]", "Grüße 1,5 [7]", "Text.", SAVE),
    "a list": Turn("listing", "List", f'[{{"bbox_2d":[1,2,3,4],"label":"Save"}},{BOX[17:-15]}]'),
    "a conversation": Turn("chat", "And Save?", BOX, None, SAVE, (("Find x", NOT_THERE),)),
    "a longer one": Turn(
        "chat", "Then?", BOX, THOUGHT, SAVE, (("Find x", NOT_THERE), ("What is [1,2,3,4]?", BOX))
    ),
    "marks in a question": Turn("text", "<|user|> /nothink <think>", BOX, None, SAVE),
    "marks in an answer": Turn("reading", "OCR", "<|user|></think><|image|>", "<think>", SAVE),
}


@pytest.fixture(scope="module", params=["bundled tokenizer", "new tokenizer"])
def processor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Glm4vProcessor:
    folder: Path = BUNDLED_FOLDER
    if request.param == "new tokenizer":
        folder = tmp_path_factory.mktemp("model")
        write_tokenizer(folder)
    return processor_of(folder)


def _written(turn: Turn) -> str:
    """Everything that the model writes, its end of turn included."""
    thought = "" if turn.thought is None else f"<think>{turn.thought}</think>\n"
    return f"{thought}{turn.answer}<|user|>"


def _prompt(turn: Turn, screen: Screen, processor: Glm4vProcessor) -> list[int]:
    """The ids with which the page asks the same."""
    texts = [part for pair in turn.before for part in pair] + [turn.question]
    messages = [
        {"role": "assistant" if i % 2 else "user", "content": [{"type": "text", "text": text}]}
        for i, text in enumerate(texts)
    ]
    picture = {"type": "image", "image": Image.fromarray(screen.image)}
    messages[0]["content"] = [picture, *messages[0]["content"]]  # type: ignore[misc]
    thinks = turn.thought is not None
    inputs = processor.apply_chat_template(messages, enable_thinking=thinks, tokenize=True)
    ids: list[int] = inputs["input_ids"][0].tolist()
    return ids


def _answer_ids(turn: Turn, processor: Glm4vProcessor) -> list[int]:
    """What the model would have to generate; marks within the texts are texts."""
    tokenizer = processor.tokenizer
    ids = []
    if turn.thought is not None:
        ids += [tokenizer.added_tokens["<think>"], *tokenizer.encode(turn.thought)]
        ids += [tokenizer.added_tokens["</think>"], *processor.encode_answer("\n" + turn.answer)]
        return ids
    return processor.encode_answer(turn.answer)


def _row(packed: Packed, index: int) -> tuple[list[int], list[int]]:
    end = packed.lengths[index]
    return packed.input_ids[index, :end].tolist(), packed.labels[index, :end].tolist()


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_prefix_and_turn_are_the_prompt_of_the_page_and_the_answer(
    turn: Turn, processor: Glm4vProcessor
) -> None:
    packed = pack(SCREEN, [turn], processor)
    ids, _ = _row(packed, 0)
    wanted = _prompt(turn, SCREEN, processor) + _answer_ids(turn, processor)
    assert packed.prefix_ids.tolist() + ids == wanted


def test_random_turns_are_packed_as_the_page_asks_them(processor: Glm4vProcessor) -> None:
    for seed in range(3):
        screen = random_screen(seed)
        asked = turns(screen, random.Random(seed), 28, others=[random_screen(99)])
        packed = pack(screen, asked, processor)
        for index, turn in enumerate(asked):
            ids, _ = _row(packed, index)
            wanted = _prompt(turn, screen, processor) + _answer_ids(turn, processor)
            assert packed.prefix_ids.tolist() + ids == wanted


@pytest.mark.parametrize("size", [(56, 112), (252, 168), (308, 672), (560, 420)])
def test_the_prefix_has_an_image_token_for_every_28_x_28_pixels(
    size: tuple[int, int], processor: Glm4vProcessor
) -> None:
    width, height = size
    packed = pack(make_screen(SAVE, size=size), [TURNS["words"]], processor)
    image = processor.tokenizer.added_tokens["<|image|>"]
    assert (packed.prefix_ids == image).sum() == (width // 28) * (height // 28)
    assert packed.pointer_cells.shape == (1, (width // 28) * (height // 28))


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_labels_are_the_whole_answer_and_its_end_and_nothing_before_it(
    turn: Turn, processor: Glm4vProcessor
) -> None:
    packed = pack(SCREEN, [turn], processor)
    ids, labels = _row(packed, 0)
    labelled = [i for i, label in enumerate(labels) if label != IGNORED]
    assert labelled == list(range(labelled[0], len(ids)))
    assert processor.decode([labels[i] for i in labelled]) == _written(turn)
    # each label is the token that comes next
    assert [labels[i] for i in labelled[:-1]] == [ids[i + 1] for i in labelled[:-1]]


def test_shorter_turns_are_padded_on_the_right_with_ignored_labels(
    processor: Glm4vProcessor,
) -> None:
    packed = pack(SCREEN, list(TURNS.values()), processor)
    size = packed.input_ids.shape[1]
    assert packed.lengths.max() == size
    padding = np.arange(size) >= packed.lengths[:, None]
    assert (packed.labels[padding] == IGNORED).all()
    assert not packed.coordinate[padding].any()


def test_turns_are_packed_the_same_alone_and_together(processor: Glm4vProcessor) -> None:
    together = pack(SCREEN, list(TURNS.values()), processor)
    for index, turn in enumerate(TURNS.values()):
        alone = pack(SCREEN, [turn], processor)
        assert _row(alone, 0) == _row(together, index)
        assert alone.pointer_at[0] == together.pointer_at[index]


def test_coordinates_are_the_numbers_of_boxes_and_points(
    processor: Glm4vProcessor,
) -> None:
    wanted = {
        "a box": norm_box(SAVE.box, SCREEN),
        "a box after a thought": (216, 191, *norm_box(SAVE.box, SCREEN)),
        "a click": norm_center(SAVE.box, SCREEN),
        "words": (),
        "words after a thought": (),
        "a list": (1, 2, 3, 4, *norm_box(SAVE.box, SCREEN)),
        "a longer one": (216, 191, *norm_box(SAVE.box, SCREEN)),
    }
    for name, numbers in wanted.items():
        packed = pack(SCREEN, [TURNS[name]], processor)
        assert packed.labels[packed.coordinate].tolist() == list(numbers), name


def test_the_pointer_is_where_the_first_coordinate_comes_next(processor: Glm4vProcessor) -> None:
    for name in ("a box", "a box after a thought", "a click", "a conversation", "a longer one"):
        packed = pack(SCREEN, [TURNS[name]], processor)
        first = np.flatnonzero(packed.coordinate[0])[0]
        assert packed.pointer_at[0] == first, name
        assert packed.labels[0, first] < 1000


def test_the_pointer_of_an_answer_in_words_is_before_the_first_one(
    processor: Glm4vProcessor,
) -> None:
    packed = pack(SCREEN, [TURNS["words after a thought"]], processor)
    assert packed.pointer_at[0] == np.flatnonzero(packed.labels[0] != IGNORED)[0]


def test_a_turn_without_an_element_has_no_pointer(processor: Glm4vProcessor) -> None:
    packed = pack(SCREEN, [TURNS["words"], TURNS["a list"]], processor)
    assert packed.pointer_at.tolist() == [-1, -1]
    assert not packed.pointer_cells.any()


def test_tasks_are_told_by_their_numbers(processor: Glm4vProcessor) -> None:
    packed = pack(SCREEN, list(TURNS.values()), processor)
    assert [TASKS[number] for number in packed.task] == [turn.task for turn in TURNS.values()]


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ((0, 0, 28, 28), {0}),
        ((30, 2, 50, 10), {1}),  # covers no middle: the token that holds its own
        ((10, 10, 60, 45), {0, 1, 3, 4}),
        ((0, 0, 84, 56), {0, 1, 2, 3, 4, 5}),
        ((80, 50, 84, 56), {5}),
    ],
)
def test_an_element_covers_the_tokens_whose_middle_it_covers(box: Box, cells: set[int]) -> None:
    covered = covered_cells([box, None], make_screen(size=(84, 56)))
    assert set(np.flatnonzero(covered[0])) == cells
    assert not covered[1].any()


def test_no_turns_are_refused(processor: Glm4vProcessor) -> None:
    with pytest.raises(ValueError, match="no turns"):
        pack(SCREEN, [], processor)
