"""A conversation as a Markdown file to read, with its pictures in it."""

from __future__ import annotations

import base64
from pathlib import Path

from grounding import strip_markers
from ui.chat.dialogue import Dialogue
from ui.chat.records import make_title
from ui.conversation import Attached
from ui.language import say


def to_file(dialogue: Dialogue) -> str:
    """Return what is on the page of a conversation as Markdown that needs no other file.

    Of a document or a video, the first page or frame is in it, and those with targets, drawn.
    """
    parts = [f"# {make_title(dialogue)}"]
    for turn in dialogue.path:
        parts.append(f"## {say('Question')}")
        parts += [_write_attached(attached) for attached in turn.attachments]
        parts += filter(None, [turn.text])
        parts.append(f"## {say('Answer')}")
        parts += filter(None, [strip_markers(turn.answer)])
        parts += [_write_picture(say("Targets"), path) for path in turn.shown.drawings if path]
        parts += [f"*{note}*" for note in turn.notes]
    return "\n\n".join(parts) + "\n"


def _write_attached(attached: Attached) -> str:
    lines = [_write_picture(picture.name, picture.png) for picture in attached.pictures[:1]]
    if attached.kind != "image" or not lines:
        lines.append(attached.name)
    return "\n\n".join(lines)


def _write_picture(name: str, path: str) -> str:
    name = "".join("\\" + c if c in "\\[]" else c for c in name)
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return f"![{name}](data:image/png;base64,{data})"
