"""How answers are to be made, as one person wants it: kept in their browser, never here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from model.backends.base import ChatBackend, SamplingOptions
from ui.settings import PageSettings
from ui.wiring import AT_ONCE, PRIVATE

ASSETS = Path(__file__).parents[2] / "assets"
# in this order: what is used stands before what uses it
SCRIPTS = (ASSETS / "page" / "make.js", ASSETS / "preferences" / "panel.js")
# A longer one is cut: the question needs room beside it.
MAX_SYSTEM_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Field:
    """A number of ``SamplingOptions`` that may be entered, from ``low`` to ``high``."""

    name: str
    label: str
    hint: str
    low: float
    high: float
    is_whole: bool = False

    @property
    def refusal(self) -> str:
        """What is said of anything else, with places for ``low`` and ``high``."""
        return WHOLE if self.is_whole else RANGE


RANGE = "Enter a number from {low} to {high}."
WHOLE = "Enter a whole number from {low} to {high}."
FIELDS = (
    Field("temperature", "Temperature", "0 always takes the likeliest word", 0, 2),
    Field("top_p", "Top-p", "Drops words less likely than the rest", 0.01, 1),
    Field("top_k", "Top-k", "Picks among so many words; 0 for all", 0, 1000, is_whole=True),
    Field("repetition_penalty", "Repetition penalty", "Above 1 repeats less", 0.5, 2),
    Field("seed", "Seed", "The same one repeats an answer", 0, 2**32 - 1, is_whole=True),
    Field("max_new_tokens", "Longest answer", "In tokens, thought included", 1, 131_072, True),
    Field("thinking_budget", "Longest thought", "In tokens; then it answers", 1, 131_072, True),
)
TEXTS = {
    "title": "Settings of answers",
    "changed": "(changed: {names})",
    "system": "System prompt",
    "system_example": "For example: Answer in one sentence.",
    "unknown": "the model's own",
    "reset": "Reset",
    "kept": "Empty fields are as the model has them. All of this stays in this browser.",
}
# what None means where no checkpoint says so
RANDOM, NO_LIMIT = "random", "no limit"


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


def describe_backend(backend: ChatBackend, options: SamplingOptions) -> dict[str, Any]:
    """Return what the fold shows of a backend, for the browser.

    Args:
        options: those of the page, which go before the backend's own.
    """
    defaults = {"seed": RANDOM, "thinking_budget": NO_LIMIT}
    for field in FIELDS:
        number = getattr(options, field.name)
        number = getattr(backend.defaults, field.name) if number is None else number
        if number is not None:
            defaults[field.name] = f"{number:.10g}"
    return {"defaults": defaults, "budget": backend.abilities.thinking_budget}


def build_preferences(
    backend: ChatBackend, settings: PageSettings, thinking: gr.Checkbox, own: gr.State
) -> gr.HTML:
    """Put the fold of settings on the page.

    Args:
        thinking: the switch beside the message box; it becomes part of the value.
        own: the visitor's own backend, or None in it: then ``backend`` answers.

    Returns:
        A component whose value is what was entered: see ``read_preferences``.
    """
    fixed: dict[str, Any] = {
        "texts": TEXTS,
        "fields": [{**asdict(field), "refusal": field.refusal} for field in FIELDS],
        "most": MAX_SYSTEM_CHARACTERS,
    }
    entered = gr.HTML(
        {},
        html_template="",
        js_on_load="\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS),
        apply_default_css=False,
        elem_id="preferences",
        known={},
        **fixed,
    )

    def describe(own: ChatBackend | None) -> gr.HTML:
        # all of them: while its tab has not been opened, what is told replaces what there was
        return gr.HTML(known=describe_backend(own or backend, settings.options), **fixed)

    for event in (entered.describe, own.change):
        event(describe, own, entered, **AT_ONCE)
    is_on = json.dumps(settings.thinking)
    entered.restore(
        None, entered, thinking, js=f"(entered) => entered?.thinking ?? {is_on}", **PRIVATE
    )
    thinking.input(
        None,
        [thinking, entered],
        entered,
        js="(thinking, entered) => ({...entered, thinking})",
        **PRIVATE,
    )
    return entered
