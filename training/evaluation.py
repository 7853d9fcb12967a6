"""How often a model is right about screens that training never shows: new words, fonts and seeds.

The model answers by its own `generate`, the prompt made by its own processor, always taking the
likeliest token. Places are judged as `grounding.evaluate` judges them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from grounding import parse
from grounding.evaluation.metrics import (
    MIN_IOU,
    iou,
    is_right,
    overlap,
    read_prediction,
    wilson_interval,
)
from grounding.geometry import Box
from model.backends.base import Message
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing import Glm4vProcessor
from training.held_out import BOXES, ask_about, draw_screens
from training.materials import Materials
from training.schedule import mixture
from training.screens import Screen
from training.tasks import TASKS, Turn
from training.tasks.turn import BOX_OPEN, CANNOT, NOT_THERE

PLACES = (*BOXES, "agent")
# of the rest, those whose answer is one short text
TEXTS = ("reading", "role", "icon name", "absent")
WITH_THINKING = (*BOXES, "absent")
# Far above a place's 13 tokens and the longest name's; a thought takes about twenty more.
MAX_NEW_TOKENS, MAX_NEW_TOKENS_THINKING = 48, 96
PROMPTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Question:
    """A turn that a model is asked, with a thought first or without."""

    screen: Screen
    turn: Turn
    thinking: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A question and what came.

    Attributes:
        answer: the model's whole text.
        box: what it points at, pixels of the screen; None for a point or nothing.
        right: by the task's rule.
        iou: of the box with the true one; None where no box is asked for.
    """

    question: Question
    answer: str
    box: tuple[float, float, float, float] | None
    right: bool
    iou: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """How many questions of a task were answered rightly.

    Attributes:
        task: a name of `training.tasks.TASKS`.
        thinking: the model thought first.
        count: questions.
        right: of them.
        iou_50: rate of boxes with an IoU of at least 0.5; None where no box is asked for.
    """

    task: str
    thinking: bool
    count: int
    right: int
    iou_50: float | None

    @property
    def rate(self) -> float:
        """Part of the questions that were answered rightly."""
        return self.right / max(self.count, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate."""
        return wilson_interval(self.right, self.count)

    @property
    def name(self) -> str:
        """What a log calls it."""
        return f"{self.task} right{', thinking' if self.thinking else ''}"


def held_out_questions(
    count: int, level: str, *, materials: Materials, seed: int = 0, thinking: bool = True
) -> list[Question]:
    """Return questions about ``count`` drawn screens of held-out words and fonts.

    Args:
        level: sizes of the screens, as `training.schedule.mixture` takes it; used in turn.
        seed: the same one gives the same screens and questions.
        thinking: ask about places twice, also with a thought first.
    """
    screens = dict(draw_screens(count, mixture(level), materials=materials, seed=seed))
    questions = []
    for picture, turn in ask_about(list(screens.items()), seed=seed):
        if turn.task in PLACES + TEXTS:
            questions.append(Question(screens[picture], turn, thinking=False))
            if thinking and turn.task in WITH_THINKING:
                questions.append(Question(screens[picture], turn, thinking=True))
    return questions


def ask(
    model: Glm4vMoeForConditionalGeneration,
    processor: Glm4vProcessor,
    questions: Sequence[Question],
) -> list[Answered]:
    """Ask every question; the model is in evaluation mode meanwhile.

    Args:
        model: on any device.
        processor: whose tokenizer it was trained with.
    """
    was_training = model.training
    model.eval()
    answered: dict[int, Answered] = {}
    for indices in _alike(questions):
        group = [questions[index] for index in indices]
        for index, text in zip(indices, _generate(model, processor, group), strict=True):
            answered[index] = judge(questions[index], text)
    model.train(was_training)
    return [answered[index] for index in range(len(questions))]


def judge(question: Question, text: str) -> Answered:
    """Say whether an answer is right.

    A place is right if the middle of its box, or its point, lies in the element; that something is
    not there, if it says so and gives no place; several things, if each of them has a box with an
    IoU of at least 0.5 and there is no other box; any other answer, if it is the true one, letter
    by letter. A second question of a chat is judged by what it asks for.
    """
    screen, turn = question.screen, question.turn
    result = parse(text, [(screen.width, screen.height)])
    prediction = read_prediction(result)
    box = None if prediction is None else prediction.box
    has_place = BOX_OPEN in turn.answer and turn.element is not None
    if turn.task in PLACES or (turn.task == "chat" and has_place):
        assert turn.element is not None
        target = turn.element.box
        overlapping = None if turn.task == "agent" else overlap(prediction, target)
        return Answered(question, text, box, is_right(prediction, target, "click"), overlapping)
    if turn.task == "absent":
        says_so = NOT_THERE in text or CANNOT in text
        return Answered(question, text, box, says_so and prediction is None, None)
    if turn.task in ("several", "listing"):
        true_boxes = parse(turn.answer, [(screen.width, screen.height)]).boxes
        return Answered(question, text, box, _are_all_found(true_boxes, result.boxes), None)
    return Answered(question, text, box, result.answer.strip() == turn.answer, None)


def _are_all_found(true_boxes: Sequence[Box], boxes: Sequence[Box]) -> bool:
    found = all(any(iou(t.xyxy, b.xyxy) >= MIN_IOU for b in boxes) for t in true_boxes)
    return found and len(boxes) == len(true_boxes)


def conversation(turn: Turn, picture: list[dict[str, Any]]) -> list[Message]:
    """Return the messages of a turn and of those before it; the picture is in the first.

    Args:
        picture: the parts of a message that it becomes.
    """
    texts = [text for pair in turn.before for text in pair] + [turn.question]
    messages: list[Message] = [
        {"role": ("user", "assistant")[index % 2], "content": [{"type": "text", "text": text}]}
        for index, text in enumerate(texts)
    ]
    messages[0]["content"] = [*picture, *messages[0]["content"]]
    return messages


def scores(answered: Sequence[Answered]) -> list[Score]:
    """Count answers by task, those after a thought apart; in the order of tasks."""
    groups: dict[tuple[str, bool], list[Answered]] = {}
    for each in answered:
        groups.setdefault((each.question.turn.task, each.question.thinking), []).append(each)
    found = []
    for (task, thinking), group in groups.items():
        overlaps = [each.iou for each in group if each.iou is not None]
        iou_50 = sum(value >= MIN_IOU for value in overlaps) / len(overlaps) if overlaps else None
        found.append(Score(task, thinking, len(group), sum(e.right for e in group), iou_50))
    return sorted(found, key=lambda score: (TASKS.index(score.task), score.thinking))


def _alike(questions: Sequence[Question]) -> Iterator[list[int]]:
    """Yield indices of questions that are asked at once: of equal size, all thinking or none."""
    groups: dict[Any, list[int]] = {}
    for index, question in enumerate(questions):
        key = (question.screen.width, question.screen.height, question.thinking)
        groups.setdefault(key, []).append(index)
    for indices in groups.values():
        for start in range(0, len(indices), PROMPTS_AT_ONCE):
            yield indices[start : start + PROMPTS_AT_ONCE]


def _generate(
    model: Glm4vMoeForConditionalGeneration,
    processor: Glm4vProcessor,
    questions: Sequence[Question],
) -> list[str]:
    """Return the answers to questions that are alike."""
    thinking = questions[0].thinking
    inputs = processor.apply_chat_template(
        [
            conversation(each.turn, [{"type": "image", "image": each.screen.image}])
            for each in questions
        ],
        enable_thinking=thinking,
    )
    device = next(model.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    prompt = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        ids = model.generate(
            **inputs,
            max_new_tokens=MAX_NEW_TOKENS_THINKING if thinking else MAX_NEW_TOKENS,
            do_sample=False,
        )
    stop = set(model.generation_config.eos_token_id)
    return [processor.decode(_until(row, stop)) for row in ids[:, prompt:].tolist()]


def _until(ids: Sequence[int], stop: set[int]) -> list[int]:
    for index, token in enumerate(ids):
        if token in stop:
            return list(ids[:index])
    return list(ids)
