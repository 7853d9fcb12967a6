"""What a run says while it goes on, and what its card says of data and machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from training.evaluation import Score
from training.materials import packages
from training.schedule import Schedule
from training.trainer import Trainer

# What a line shows of a log's many figures, if they are there.
SHOWN = (
    "loss",
    "difficulty",
    "characters",
    "pointer_hit",
    "near/text",
    "near/icon",
    "coordinate_error",
    "text_loss",
)


def tell(text: str) -> None:
    """Print a line at once."""
    print(text, file=sys.stderr, flush=True)


def say(entry: Mapping[str, Any], *, steps: int) -> None:
    """Print a line of the log in short."""
    shown = [f"{name} {entry[name]:.3g}" for name in SHOWN if name in entry]
    if "screens_per_second" in entry:
        shown.append(f"{entry['screens_per_second']:.1f} screens/s")
    else:  # of an evaluation all
        shown = [f"{name} {value:.0%}" for name, value in entry.items() if "right" in name]
    tell(
        f"{entry['seconds']:7.0f} s  {entry['step']:6d} of {steps}  {entry['phase']}:  "
        + "  ".join(shown)
    )


def describe(schedule: Schedule, trainer: Trainer) -> str:
    """Return what is about to be trained, and in how many steps."""
    model = trainer.model
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    vision = sum(parameter.numel() for parameter in model.model.visual.parameters()) / 1e6
    return (
        f"{millions:.2f} million parameters, {vision:.2f} of them the vision tower's; "
        f"{schedule.reading_steps} steps of reading and {schedule.grounding_steps} of grounding, "
        f"screens up to {schedule.largest}"
    )


def describe_pace(pace: Mapping[str, float], measuring: float) -> str:
    """Return what was timed."""
    times = ", ".join(f"{level} {seconds:.2f} s" for level, seconds in pace.items())
    return f"a step takes: {times}; measuring takes {measuring:.0f} s in all"


def as_figures(scores: Sequence[Score]) -> dict[str, float]:
    """Return the rates of an evaluation, as a log has them."""
    return {score.name: score.rate for score in scores}


def describe_data(web_share: float = 0.0) -> str:
    """Return what the screens are made of, with licences, in Markdown.

    Args:
        web_share: part of the batches that were web pages.
    """
    used = [p for p in packages() if not p.held_out and (web_share or p.use != "CSS kit")]
    lines = []
    for use in dict.fromkeys(package.use for package in used):
        named = [f"{p.name} {p.version} ({p.licence})" for p in used if p.use == use]
        lines.append(f"- {use}: {', '.join(named)}")
    pages = (
        f" {web_share:.0%} of the batches were web pages in the looks of open CSS kits, written "
        "for the purpose and rendered by Chromium (`training/web`)."
        if web_share
        else ""
    )
    return (
        "Screens drawn for the purpose (`training/screens`): app-like pages with forms, lists, "
        "dialogs, tables and toolbars, light and dark, and pages of text; questions and answers "
        f"about them by rules (`training/tasks`), in English.{pages} No picture, text or answer "
        "comes from a person's data or from another model. They are made of\n\n"
    ) + "\n".join(lines)


def describe_machine(device: torch.device) -> str:
    """Return what it was trained on."""
    if device.type == "cuda":
        return f"one {torch.cuda.get_device_name(device)}"
    cores = torch.get_num_threads()
    return f"{cores} threads of {_processor()} ({os.cpu_count()} cores)"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
