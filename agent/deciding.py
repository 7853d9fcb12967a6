"""One step: what is on the screen -> the model -> what to do. By hand and on a live page alike."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image

from agent.marks import Mark, draw_marks
from agent.plan import Instruction
from agent.prompts import Message, build_messages
from agent.steps import Run, Step, read_reply


@dataclass(frozen=True, slots=True)
class Screen:
    """What the agent sees.

    Attributes:
        image: RGB; one pixel for each of the page's, where it is a live one.
        address: of the page; "" where it is not known.
        marks: what on it can be used, where that is known.
        elements: the same in words, if the image came with numbers on it already.
        notes: what happened since the screen before, in sentences.
    """

    image: Image.Image
    address: str = ""
    marks: tuple[Mark, ...] = ()
    elements: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What the model has said so far, and what the person should know about it."""

    thinking: str
    answer: str
    notes: tuple[str, ...] = ()


# asks the model; yields the growing reply, and returns the whole
Ask: TypeAlias = Callable[[list[Message]], Generator[Said, None, Said]]


def decide(
    run: Run, screen: Screen, ask: Ask, line: Instruction | None = None
) -> Generator[Said, None, Step]:
    """Ask the model what to do with the screen; yield its growing reply, return the step.

    Args:
        line: the instruction of a plan that is next; one that needs no model is not asked about.
    """
    if line is not None and line.action is not None:
        action = line.action
        return Step(screen.image, "", "", action, "", instruction=line.text, address=screen.address)
    # a plan's line is about what is seen, and numbers would hide some of it
    marks = screen.marks if run.platform == "web" and line is None else ()
    image = draw_marks(screen.image, marks) if marks else screen.image
    said = yield from ask(
        build_messages(
            run,
            image,
            instruction=line.text if line else "",
            elements=screen.elements or marks,
            address=screen.address,
        )
    )
    reply = read_reply(
        run.platform, said.answer, image.size, by_instruction=line is not None, marks=marks
    )
    return Step(
        image,
        reply.memory,
        reply.reason,
        reply.action,
        said.answer,
        thinking=said.thinking or reply.thinking,
        boxes=reply.boxes,
        instruction=line.text if line else "",
        address=screen.address,
        notes=(*said.notes, *reply.notes),
    )
