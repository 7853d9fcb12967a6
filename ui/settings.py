"""What the page is told when it is built."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.backends.base import SamplingOptions
from model.processing import Limits


@dataclass(frozen=True, slots=True)
class Example:
    """A screenshot to try, and what to ask about it.

    Attributes:
        answered: whether the bundled model is known to get it right.
    """

    file: str
    instruction: str
    answered: bool


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Settings of a page.

    Attributes:
        summary: what the model can do, in one line.
        about: more about it, and what else could be connected, in Markdown; "" for nothing.
        examples: screenshots to try.
        thinking: whether thinking is on until somebody switches it off.
        look_twice: whether grounding asks again about the part around its first answer, until
            somebody switches that off.
        max_conversations: how many answers may be computed at the same time.
        max_waiting: how many more questions may wait; others are turned away.
        max_per_minute: how many questions one visitor may ask within a minute; 0 for no limit.
        options: how tokens are picked.
        limits: what may be attached.
        caution: what to expect of documents and videos, where that is less than one would think.
        agent_by_instruction: whether the agent begins with one instruction a step: for a model that
            finds what it is told, and does not plan.
        browser_origins: servers that the agent may use live, as ``agent.origins`` spells them; none
            leaves live runs out.
        visitor_endpoints: addresses of servers that visitors may have answer with keys of their
            own; none leaves that out.
    """

    summary: str = ""
    about: str = ""
    examples: Sequence[Example] = ()
    thinking: bool = True
    look_twice: bool = False
    max_conversations: int = 1
    max_waiting: int = 64
    max_per_minute: int = 0
    options: SamplingOptions = SamplingOptions()
    limits: Limits = Limits()
    caution: str = ""
    agent_by_instruction: bool = False
    browser_origins: Sequence[str] = ()
    visitor_endpoints: Sequence[str] = ()


def read_examples(folder: Path) -> list[Example]:
    """Return the examples that ``examples.json`` in ``folder`` lists."""
    raw = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    return [
        Example(str(folder / entry["file"]), entry["instruction"], entry["answered"] == "right")
        for entry in raw
    ]
