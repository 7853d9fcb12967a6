"""The strip under the message box: what the model will see, and what it will take."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from model.processing import mixing_note
from ui.attaching import Draft, Drafts
from ui.conversation import Attached, Item
from ui.estimate import Estimate

TOO_LONG = (
    "That is more than the model can take in at once: remove a file, choose fewer pages or frames, "
    "or start a new conversation."
)
UNITS = {"document": ("page", "pages"), "video": ("frame", "frames")}


def to_html(drafts: Drafts, total: Estimate, *, opening: Sequence[str] = ()) -> str:
    """Return the strip as HTML, names escaped; "" where nothing is attached.

    Args:
        opening: names of the files that are still being opened.
    """
    if not drafts and not opening:
        return ""
    parts = [_draft(draft) for draft in drafts]
    parts += [_section(f"<strong>{escape(name)}</strong> is being opened") for name in opening]
    opened = [draft.opened for draft in drafts if draft.opened is not None]
    if opened and not opening:
        parts.append(f'<p class="total">{_total(total)}</p>')
        if total.is_too_long:
            parts.append(f'<p class="warning">{TOO_LONG}</p>')
        if note := mixing_note(opened):
            parts.append(f'<p class="warning">{escape(note)}</p>')
    return f'<div class="strip">{"".join(parts)}</div>'


def _draft(draft: Draft) -> str:
    if draft.attached is None:
        return _section(f"<strong>Not sent:</strong> {escape(draft.problem)}", "attached refused")
    items = "".join(_item(item, draft.attached) for item in draft.attached.items if item.png)
    line = f"<strong>{escape(draft.attached.name)}</strong> {_summary(draft.attached)}"
    notes = escape(" ".join(draft.attached.notes))
    return _section(f"{line} <small>{notes}</small>", items=items)


def _section(line: str, classes: str = "attached", items: str = "") -> str:
    return f'<section class="{classes}"><p>{line}</p><ol>{items}</ol></section>'


def _summary(attached: Attached) -> str:
    tokens = f"{attached.tokens:,} tokens"
    if attached.kind not in UNITS:
        return tokens
    count = len(attached.items)
    return f"{count:,} {UNITS[attached.kind][count != 1]}, {tokens}"


def _item(item: Item, attached: Attached) -> str:
    """Return a picture that opens at its full size, and what becomes of it."""
    label = f"<span>{escape(item.label)}</span>" if item.label else ""
    sizes = f"{_size(item.size)} → {_size(item.sent_size)}" if item.size and item.sent_size else ""
    facts = ", ".join(filter(None, [sizes, f"{item.tokens:,} tokens"]))
    address = "gradio_api/file=" + quote(item.png)
    alt = escape(f"{attached.name}, {item.label}" if item.label else attached.name)
    return (
        f'<li><a href="{address}" target="_blank" rel="noopener"><img src="{address}" alt="{alt}" '
        f'loading="lazy"></a>{label}<small>{facts}</small></li>'
    )


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _total(total: Estimate) -> str:
    text = f"{total.attached:,} tokens attached"
    if total.before:
        text += f", about {total.total:,} with the conversation so far"
    if total.context is not None:
        text += f"; the model takes in {total.context:,} at once"
    text += "."
    if total.first_word_s is not None:
        seconds = max(1, round(total.first_word_s))
        text += f" Judging by the answers above, this one begins after about {seconds:,} s."
    return text
