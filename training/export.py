"""A trained model as a checkpoint folder that this engine and transformers load, with its card."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.processing.checkpoint_files import SMALL_FILES
from training.evaluation import Score
from training.run import replacing
from training.trainer import with_dtype

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Story:
    """How a model came to be, as its card tells it.

    Attributes:
        command: the command line that makes it again.
        start: what it began from: ``"random weights"``, or a checkpoint's name.
        data: a sentence or more on what it was shown, with licences of what that is made of.
        screens: that were shown, over all steps.
        questions: that were answered, over all steps.
        steps: of training.
        hours: that they took, evaluations included.
        machine: on what.
        accuracy: measured at the end.
        measured_on: what the questions of ``accuracy`` were about.
    """

    command: str
    start: str
    data: str
    screens: int
    questions: int
    steps: int
    hours: float
    machine: str
    accuracy: Sequence[Score]
    measured_on: str


def export(
    model: Glm4vMoeForConditionalGeneration, folder: Path, *, processor_folder: Path, story: Story
) -> None:
    """Write a checkpoint in the Hugging Face layout; an older one there is replaced as a whole.

    Args:
        model: its parameters are written in bfloat16, its routers' biases as they are.
        folder: config.json, generation_config.json, model.safetensors, the files of tokenizer and
            processors, README.md.
        processor_folder: whose tokenizer and processor settings the model was trained with.
        story: what the card says.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        exported = with_dtype(copy.deepcopy(model).cpu(), torch.bfloat16)
        exported.eval().save_pretrained(staging)
        copy_small_files(processor_folder, staging)
        with replacing(staging / CARD) as stream:
            stream.write(write_card(model, story).encode())
        staging.chmod(0o755)  # temporary folders are private, and some files in them
        for file in staging.iterdir():
            file.chmod(0o644)
        if folder.exists():
            old = staging.with_name(f"{staging.name}-old")
            os.replace(folder, old)
            os.replace(staging, folder)
            shutil.rmtree(old)
        else:
            os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def copy_small_files(folder: Path, to: Path) -> None:
    """Copy the files of a checkpoint's tokenizer and processors."""
    for name in SMALL_FILES:
        if name != "config.json" and (folder / name).exists():
            shutil.copyfile(folder / name, to / name)


def write_card(model: Glm4vMoeForConditionalGeneration, story: Story) -> str:
    """Return the card: what it is, how often it is right, what it was shown, what that took."""
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    named = {(score.task, score.thinking): score for score in story.accuracy}
    text, icon = named.get(("text", False)), named.get(("icon", False))
    summary = f"A demonstration with {millions:.0f} million parameters"
    if text is not None and icon is not None:
        summary += f": finds {text.rate:.0%} of texts and {icon.rate:.0%} of icons"
        summary += " on drawn screens of words and fonts that it has not seen"
    how_long = f"{story.hours:.1f} hours" if story.hours >= 1 else f"{story.hours * 60:.0f} minutes"
    return f"""# A small GLM-4.5V for screens

{summary}

The architecture is that of GLM-4.5V (vision tower, mixture of experts, M-RoPE, thinking); the size
is not. It is meant to show how everything works, and is often wrong.

## How often it is right

{accuracy_table(story.accuracy)}

Measured on {story.measured_on}, always taking the likeliest token. Of a place: the middle of the
answered box lies in the true one. The range is the 95 % interval.

## What it was shown

{story.data}

It knows nothing else: no photographs, no documents, no other languages.

## What it took

It began from {story.start} and saw {story.screens:,} screens with {story.questions:,} questions in
{story.steps:,} steps; {how_long} on {story.machine}.

```
{story.command}
```
"""


def accuracy_table(scores: Sequence[Score]) -> str:
    """Return the scores as a Markdown table, a row for each task."""
    lines = [
        "| task | asked | right | right, thinking first | boxes with IoU >= 0.5 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for task in dict.fromkeys(score.task for score in scores):
        plain, thinking = (
            next((s for s in scores if s.task == task and s.thinking is flag), None)
            for flag in (False, True)
        )
        count = next(s.count for s in (plain, thinking) if s is not None)
        overlap = plain.iou_50 if plain is not None else None
        lines.append(
            f"| {task} | {count} | {_rate(plain)} | {_rate(thinking)} | "
            f"{'' if overlap is None else f'{overlap:.0%}'} |"
        )
    return "\n".join(lines)


def _rate(score: Score | None) -> str:
    if score is None:
        return ""
    low, high = score.interval
    return f"{score.rate:.0%} ({low:.0%} to {high:.0%})"
