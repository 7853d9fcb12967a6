"""A GUI agent: screenshot and goal -> prompt -> reply -> action; by hand, or on a live page."""

from agent.plan import Instruction, read_plan
from agent.prompts import PLATFORMS, build_messages
from agent.report import to_html, to_json
from agent.steps import Run, Step, read_reply

__all__ = [
    "PLATFORMS",
    "Instruction",
    "Run",
    "Step",
    "build_messages",
    "read_plan",
    "read_reply",
    "to_html",
    "to_json",
]
