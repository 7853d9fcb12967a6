"""A backend that says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from opens_files import OpensFiles

from model.backends.base import AnswerDelta, Event, Finished, Message, SamplingOptions, Status

END = Finished("stop", prompt_tokens=9, new_tokens=3, first_token_s=0.1, total_s=0.2)
BOX = "<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"
BOXED = AnswerDelta(f"Here: {BOX}")


@dataclass
class ScriptedBackend(OpensFiles):
    """Plays ``script`` for every question; an exception in it is raised in its place."""

    script: Sequence[Event | Exception] = ()
    name: str = "Scripted"
    state: Status = Status("ready", "Ready")
    questions: list[list[Message]] = field(default_factory=list)
    closed: int = 0  # streams that have ended, however they did

    def status(self) -> Status:
        return self.state

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        self.questions.append(messages)
        try:
            for event in self.script:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed += 1
