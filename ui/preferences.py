"""How answers are to be made, as one person wants it: kept in their browser, never here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from model.backends.base import ChatBackend, SamplingOptions
from ui.settings import PageSettings
from ui.wiring import PRIVATE

# A longer one is cut: the question needs room beside it.
MAX_SYSTEM_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Field:
    """A number of ``SamplingOptions`` that may be entered.

    Attributes:
        low: the least that makes sense; ``high`` is the most.
    """

    name: str
    label: str
    low: float
    high: float
    is_whole: bool = False


FIELDS = (
    Field("temperature", "Temperature", 0, 2),
    Field("top_p", "Top-p", 0.01, 1),
    Field("top_k", "Top-k", 0, 1000, is_whole=True),
    Field("repetition_penalty", "Repetition penalty", 0.5, 2),
    Field("seed", "Seed", 0, 2**32 - 1, is_whole=True),
    Field("max_new_tokens", "Longest answer in tokens", 1, 131_072, is_whole=True),
    Field("thinking_budget", "Longest thought in tokens", 1, 131_072, is_whole=True),
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """How answers are to be made.

    Attributes:
        system: what the model is told before the conversation; "" for nothing.
        thinking: whether it thinks first.
        options: how tokens are picked; None in it means the backend's own default.
    """

    system: str = ""
    thinking: bool = True
    options: SamplingOptions = SamplingOptions()


def read_preferences(entered: object, settings: PageSettings) -> Preferences:
    """Return what the browser sent, a mapping from names; None for nothing.

    Nothing of it is trusted: a number outside of what makes sense becomes the closest that does,
    and what is no number counts as not entered. What is not entered is as ``settings`` have it.
    """
    if not isinstance(entered, Mapping):
        return Preferences(thinking=settings.thinking, options=settings.options)
    system, thinking = entered.get("system"), entered.get("thinking")
    numbers = {field.name: _read_number(entered.get(field.name), field) for field in FIELDS}
    return Preferences(
        system.strip()[:MAX_SYSTEM_CHARACTERS] if isinstance(system, str) else "",
        thinking if isinstance(thinking, bool) else settings.thinking,
        replace(settings.options, **{n: v for n, v in numbers.items() if v is not None}),
    )


def _read_number(entered: Any, field: Field) -> Any:
    """Return an int, a float or None."""
    if entered is None or isinstance(entered, bool):
        return None
    try:
        number = float(entered)
    except (TypeError, ValueError, OverflowError):
        return None
    if math.isnan(number):
        return None
    number = min(max(number, field.low), field.high)
    return round(number) if field.is_whole else number


def build_preferences(
    backend: ChatBackend, settings: PageSettings, thinking: gr.Checkbox, own: gr.State
) -> gr.JSON:
    """Put the fold of settings on the page.

    Args:
        thinking: the switch beside the message box; it becomes part of the value.
        own: the visitor's own backend, or None in it: then ``backend`` answers.

    Returns:
        What was entered, an input of the handlers that ask the model: see ``read_preferences``.
    """
    entered = gr.JSON(visible="hidden")
    thinking.change(
        None,
        [thinking, entered],
        entered,
        js="(thinking, entered) => ({...entered, thinking})",
        **PRIVATE,
    )
    return entered
