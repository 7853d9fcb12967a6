"""Turns about one screen -> token arrays that share a prefix, the image.

The words around questions and answers are the processor's own: its chat template is rendered once
with placeholders, and what stands between them is encoded once. A prefix and one turn after the
other is token for token what the processor makes of that conversation, followed by the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.processing import Glm4vProcessor
from training.screens.cells import cover, grid_of
from training.screens.screen import Box, Screen
from training.tasks.turn import BOX_CLOSE, BOX_OPEN, TASKS, Turn

IGNORED = -100
_BOX_TOKEN = re.compile(f"({re.escape(BOX_OPEN)}|{re.escape(BOX_CLOSE)})")
_THINK_OPEN, _THINK_CLOSE = "<think>", "</think>"
_IMAGE = "<|image|>"
_END = "<|user|>"  # what GLM-4.5V writes when its turn is over


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """T turns about one screen, each padded on the right to L tokens.

    Labels are shifted already: ``labels[t, i]`` is what has to follow ``input_ids[t, i]``, and the
    last label of a turn is the end of turn. Padding has the id 0, and labels that are ignored.

    Attributes:
        prefix_ids: (P,) int32, the prompt up to the end of the image.
        input_ids: (T, L) int32, the rest of the prompt and the answer, its last token included.
        labels: (T, L) int32, -100 where nothing is to be predicted: prompt and padding.
        coordinate: (T, L) bool, labels that are coordinates of the thought or the answer.
        lengths: (T,) int32, real tokens of each turn.
        pointer_at: (T,) int32, where the model has to know the place of the turn's element: before
            its first box or point, or before the first word if there is none; -1 if the turn has
            no element.
        pointer_cells: (T, image tokens) bool, those that the element covers.
        task: (T,) int32, indices of ``TASKS``.
    """

    prefix_ids: NDArray[np.int32]
    input_ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    coordinate: NDArray[np.bool_]
    lengths: NDArray[np.int32]
    pointer_at: NDArray[np.int32]
    pointer_cells: NDArray[np.bool_]
    task: NDArray[np.int32]


def pack(screen: Screen, turns: Sequence[Turn], processor: Glm4vProcessor) -> Packed:
    """Encode the turns about a screen.

    Args:
        screen: at the size at which the model sees it.
        processor: whose template and tokenizer are used; 0 .. 999 must be the ids of the numbers.

    Raises:
        ValueError: there are no turns, or the tokenizer does not fit.
    """
    if not turns:
        raise ValueError("there are no turns to pack")
    encoder = _encoder(processor)
    rows = [encoder.encode(turn) for turn in turns]
    size = max(len(row.ids) for row in rows)
    shape = (len(rows), size)
    input_ids = np.zeros(shape, np.int32)
    labels = np.full(shape, IGNORED, np.int32)
    coordinate = np.zeros(shape, np.bool_)
    pointer_at = np.full(len(rows), -1, np.int32)
    for index, (turn, row) in enumerate(zip(turns, rows, strict=True)):
        end = len(row.ids)
        input_ids[index, :end] = row.ids
        labels[index, row.answer_at - 1 : end - 1] = row.ids[row.answer_at :]
        labels[index, end - 1] = encoder.end_id
        starts = encoder.find_places(row)
        for start, count in starts:
            coordinate[index, start - 1 : start - 1 + 2 * count : 2] = True
        if turn.element is not None:
            pointer_at[index] = (starts[0][0] if starts else row.answer_at) - 1
    return Packed(
        prefix_ids=encoder.prefix(screen),
        input_ids=input_ids,
        labels=labels,
        coordinate=coordinate,
        lengths=np.array([len(row.ids) for row in rows], np.int32),
        pointer_at=pointer_at,
        pointer_cells=covered_cells([t.element.box if t.element else None for t in turns], screen),
        task=np.array([TASKS.index(turn.task) for turn in turns], np.int32),
    )


def covered_cells(boxes: Sequence[Box | None], screen: Screen) -> NDArray[np.bool_]:
    """Return (boxes, image tokens) bool: whose middle lies in the box, or that hold its middle."""
    rows, columns = grid_of(screen)
    cells = np.zeros((len(boxes), rows * columns), np.bool_)
    given = np.array([box is not None for box in boxes])
    if given.any():
        found = np.array([box for box in boxes if box is not None])
        inside, own = cover(found, (rows, columns))
        inside[np.arange(len(inside)), own] = True
        cells[given] = inside
    return cells


@dataclass(frozen=True, slots=True)
class _Row:
    """A turn's tokens; ``answer_at`` is the first that the model writes, the thought included."""

    ids: list[int]
    answer_at: int


class _Encoder:
    """Encodes turns with a processor's template; what does not change is encoded once."""

    def __init__(self, processor: Glm4vProcessor) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self.end_id = self._id(_END)
        self._think = [self._id(_THINK_OPEN)], [self._id(_THINK_CLOSE)]
        self._box = {text: self._id(text) for text in (BOX_OPEN, BOX_CLOSE)}
        self._frames: dict[tuple[int, bool], list[list[int]]] = {}
        self._prefixes: dict[int, NDArray[np.int32]] = {}
        wrong = [n for n in (0, 9, 10, 999) if self._tokenizer.token_to_id(str(n)) != n]
        if wrong:
            raise ValueError(
                f"the tokenizer's ids 0 .. 999 must be the numbers 0 .. 999, {wrong} are not; "
                "use one that training.vocabulary made"
            )
        texts = [self._tokenizer.id_to_token(i) or "" for i in range(self._tokenizer.vocab_size)]
        self._opening = {i for i, text in enumerate(texts) if text.endswith("[")}
        self._closing = {i for i, text in enumerate(texts) if text.startswith("]")}
        self._comma = self._id(",")

    def encode(self, turn: Turn) -> _Row:
        """Return what stands after the image, and the answer."""
        frame = self._frame(len(turn.before), thinks=turn.thought is not None)
        texts = [part for pair in turn.before for part in pair] + [turn.question]
        ids: list[int] = []
        for place, (text, literal) in enumerate(zip(texts, frame[1:], strict=True)):
            is_answer = place % 2 == 1
            ids += self._encode_answer(text) if is_answer else self._tokenizer.encode(text)
            ids += literal
        answer_at = len(ids)
        if turn.thought is None:
            return _Row(ids + self._encode_answer(turn.answer), answer_at)
        ids += self._think[0] + self._tokenizer.encode(turn.thought) + self._think[1]
        return _Row(ids + self._encode_answer("\n" + turn.answer), answer_at)

    def prefix(self, screen: Screen) -> NDArray[np.int32]:
        """Return the prompt up to the end of the image."""
        rows, columns = grid_of(screen)
        cells = rows * columns
        if cells not in self._prefixes:
            image = self._id(_IMAGE)
            ids = self._frame(0, thinks=True)[0]
            at = ids.index(image)
            whole = ids[:at] + [image] * cells + ids[at + 1 :]
            self._prefixes[cells] = np.array(whole, np.int32)
        return self._prefixes[cells]

    def find_places(self, row: _Row) -> list[tuple[int, int]]:
        """Return (first token, numbers) of each box or point of thought and answer."""
        ids, places = row.ids, []
        at = row.answer_at
        while at < len(ids):
            if ids[at] > 999 or ids[at - 1] not in self._opening:
                at += 1
                continue
            start, count = at, 1
            while at + 2 < len(ids) and ids[at + 1] == self._comma and ids[at + 2] <= 999:
                at, count = at + 2, count + 1
            at += 1
            if count in (2, 4) and at < len(ids) and ids[at] in self._closing:
                places.append((start, count))
        return places

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no token {token!r}; is it GLM-4.5V's?")
        return found

    def _encode_answer(self, text: str) -> list[int]:
        """Encode what the model wrote as the processor does, in a thirtieth of its time."""
        ids: list[int] = []
        for part in _BOX_TOKEN.split(text):
            if part in self._box:
                ids.append(self._box[part])
            elif part:
                ids += self._tokenizer.encode(part)
        return ids

    def _frame(self, earlier: int, *, thinks: bool) -> list[list[int]]:
        """Return what the template writes around the texts of a conversation, encoded."""
        key = (earlier, thinks)
        if key not in self._frames:
            names = [f"TEXT{number}TEXT" for number in range(2 * earlier + 1)]
            messages: list[dict[str, Any]] = [
                {"role": "assistant" if number % 2 else "user", "content": name}
                for number, name in enumerate(names)
            ]
            picture = {"type": "image", "image": None}
            messages[0]["content"] = [picture, {"type": "text", "text": names[0]}]
            prompt = self._processor.apply_chat_template(
                messages, enable_thinking=thinks, tokenize=False
            )
            literals = re.split("|".join(map(re.escape, names)), prompt)
            self._frames[key] = [
                self._tokenizer.encode(literal, allow_special=True) for literal in literals
            ]
        return self._frames[key]


@lru_cache(maxsize=4)
def _encoder(processor: Glm4vProcessor) -> _Encoder:
    return _Encoder(processor)
