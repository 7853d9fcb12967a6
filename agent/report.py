"""A run as JSON, and as one HTML page that needs nothing else: screenshots inside, no scripts."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from typing import Any

from PIL import Image

from agent.prompts import PLATFORMS
from agent.steps import Run, Step, describe_action, describe_args
from grounding import Action

_COLOUR = "#d6203a"
_STATES = {
    "open": "Not finished",
    "done": "Done",
    "failed": "Failed",
    "stopped": "Stopped",
}
_STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif;
       color: #1b1b1f; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 0 0 .5rem }
section { border-top: 1px solid #d5d5dc; padding: 1rem 0 }
.screen { position: relative; border: 1px solid #d5d5dc }
.screen img { display: block; width: 100%; height: auto }
.screen svg { position: absolute; inset: 0; width: 100%; height: 100% }
dt { font-weight: 600 } dd { margin: 0 0 .5rem; white-space: pre-wrap; overflow-wrap: anywhere }
code, dd.call { font-family: ui-monospace, monospace }
@media (prefers-color-scheme: dark) { body { background: #17171a; color: #eee } }
"""


def to_json(run: Run) -> str:
    """Return a run without its pictures; places in pixels ("target") and thousandths ("norm")."""
    described = {
        "platform": run.platform,
        "goal": run.goal,
        "one_instruction_a_step": run.by_instruction,
        "state": run.state,
        "notes": list(run.notes),
        "steps": [_describe(number, step) for number, step in enumerate(run.steps, 1)],
    }
    return json.dumps(described, ensure_ascii=False, indent=2)


def to_html(run: Run) -> str:
    """Return the report; all texts of the run are escaped, and the page may load nothing."""
    facts = f"{PLATFORMS[run.platform]}. {_STATES[run.state]}. Steps: {len(run.steps)}."
    steps = "".join(_step(number, step) for number, step in enumerate(run.steps, 1))
    last = ""
    if run.last_screen is not None:
        last = f"<section><h2>After the last step</h2>{_screen(run.last_screen, '')}</section>"
    notes = "".join(f"<p>{escape(note)}</p>" for note in run.notes)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>Run of the agent</title><style>{_STYLE}</style></head><body>"
        f"<h1>Run of the agent</h1><dl><dt>Goal</dt><dd>{escape(run.goal)}</dd></dl>"
        f"<p>{escape(facts)}</p>{notes}{steps}{last}</body></html>"
    )


def _describe(number: int, step: Step) -> dict[str, Any]:
    action = step.action
    return {
        "number": number,
        "instruction": step.instruction,
        "address": step.address,
        "size": list(step.size),
        "thinking": step.thinking,
        "memory": step.memory,
        "reason": step.reason,
        "action": action
        and {
            "type": action.type,
            "args": describe_args(action),
            "target": _round(action.target),
            "target_norm": _norm(action.target, step.size),
            "end": _round(action.end),
            "end_norm": _norm(action.end, step.size),
        },
        "boxes": [
            {"xyxy": _round(box.xyxy), "norm": _norm(box.xyxy, step.size), "label": box.label}
            for box in step.boxes
        ],
        "reply": step.text,
        "notes": list(step.notes),
    }


def _round(numbers: Sequence[float] | None) -> list[float] | None:
    return None if numbers is None else [round(number, 2) for number in numbers]


def _norm(numbers: Sequence[float] | None, size: tuple[int, int]) -> list[int] | None:
    if numbers is None:
        return None
    return [round(number / size[i % 2] * 1000) for i, number in enumerate(numbers)]


def _step(number: int, step: Step) -> str:
    call = describe_action(step.action) if step.action else "none"
    if step.action and step.action.target:
        call += " at {:.0f}, {:.0f}".format(*step.action.target)
    # with white-space kept, an empty part would show as an empty line
    parts = [
        ("Address", step.address, ""),
        ("Memory", step.memory, ""),
        ("Reason", step.reason, ""),
        ("Action", call, ' class="call"'),
        ("Thought", step.thinking, ""),
        ("Notes", "\n".join(step.notes), ""),
    ]
    facts = "".join(
        f"<dt>{name}</dt><dd{kind}>{escape(text)}</dd>" for name, text, kind in parts if text
    )
    title = f"Step {number}" + (f": {step.instruction}" if step.instruction else "")
    shapes = "".join(_rectangle(box.xyxy) for box in step.boxes)
    shapes += _shape(step.action, step.size) if step.action else ""
    return (
        f"<section><h2>{escape(title)}</h2>{_screen(step.screenshot, shapes)}"
        f"<dl>{facts}</dl></section>"
    )


def _screen(image: Image.Image, shapes: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = image.size
    return (
        # as wide as the page, and not higher than the window
        f'<div class="screen" style="max-width:min(40rem,calc(85vh*{width}/{height}))">'
        f'<img alt="Screenshot" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}">'
        f'<svg viewBox="0 0 {width} {height}" fill="none" stroke="{_COLOUR}">{shapes}</svg></div>'
    )


def _rectangle(xyxy: tuple[float, float, float, float]) -> str:
    x0, y0, x1, y1 = xyxy
    return (
        f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
        'stroke-width="2" vector-effect="non-scaling-stroke"/>'
    )


def _shape(action: Action, size: tuple[int, int]) -> str:
    """Return the place of an action: a ring with a dot, and a line to where a drag ends."""
    if action.target is None:
        return ""
    (x, y), radius = action.target, max(6.0, max(size) / 60)
    line = ""
    if action.end is not None:
        ex, ey = action.end
        line = (
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{ex:.1f}" y2="{ey:.1f}" stroke-width="3" '
            f'vector-effect="non-scaling-stroke"/><circle cx="{ex:.1f}" cy="{ey:.1f}" '
            f'r="{radius / 2:.1f}" fill="{_COLOUR}"/>'
        )
    return (
        f'{line}<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" stroke-width="3" '
        f'vector-effect="non-scaling-stroke"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius / 5:.1f}" fill="{_COLOUR}"/>'
    )
