"""The strip under the message box: what the model will see, and what it will take."""

from __future__ import annotations

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
# what a button does to a file -> what it shows
MOVES = {"earlier": "↑", "later": "↓", "remove": "×"}
MOVE_LABELS = {"earlier": "Move {} earlier", "later": "Move {} later", "remove": "Remove {}"}


def to_html(drafts: Drafts, total: Estimate, problem: str = "") -> str:
    """Return the strip as HTML, names escaped; "" where nothing is attached.

    Sections have the file (data-file) and its place (data-index); buttons what they do to it
    (data-move); fields which part of ``Choice`` they are (data-choice).

    Args:
        problem: why the files cannot be sent together, in a sentence.
    """
    if not drafts:
        return ""
    parts = [_draft(draft, index, len(drafts)) for index, draft in enumerate(drafts)]
    opened = [draft.opened for draft in drafts if draft.opened is not None]
    if opened:
        is_complete = all(draft.is_complete for draft in drafts)
        parts.append(f'<p class="total">{_total(total, is_complete=is_complete)}</p>')
        if problem:
            parts.append(f'<p class="warning">{escape(problem)}</p>')
        elif total.is_too_long:
            parts.append(f'<p class="warning">{TOO_LONG}</p>')
        if note := mixing_note(opened):
            parts.append(f'<p class="warning">{escape(note)}</p>')
    return f'<div class="strip">{"".join(parts)}</div>'


def _draft(draft: Draft, index: int, count: int) -> str:
    """Return the section of a file: a line, its buttons, its fields, its pictures."""
    items = ""
    if draft.problem:
        line = f"<strong>Not sent:</strong> {escape(draft.problem)}"
    elif draft.attached is None:
        line = f"<strong>{escape(draft.name)}</strong> is being opened"
    else:
        items = "".join(_item(item, draft.attached) for item in draft.attached.items if item.png)
        notes = escape(" ".join(draft.attached.notes))
        line = f"<strong>{escape(draft.name)}</strong> {_summary(draft)} <small>{notes}</small>"
    return (
        f'<section class="attached{" refused" if draft.problem else ""}" '
        f'data-file="{escape(draft.path)}" data-index="{index}">'
        f'<div class="head"><p>{line}</p>{_buttons(draft, index, count)}</div>'
        f"{_fields(draft)}<ol>{items}</ol></section>"
    )


def _buttons(draft: Draft, index: int, count: int) -> str:
    useless = {"earlier": index == 0, "later": index == count - 1}
    buttons = []
    for move, sign in MOVES.items():
        if move != "remove" and count == 1:
            continue
        label = escape(MOVE_LABELS[move].format(draft.name))
        disabled = " disabled" if useless.get(move) else ""
        buttons.append(
            f'<button type="button" data-move="{move}" aria-label="{label}" title="{label}"'
            f"{disabled}>{sign}</button>"
        )
    return f'<div class="moves">{"".join(buttons)}</div>'


def _fields(draft: Draft) -> str:
    """Return the fields by which a part of the file is chosen, those that apply to it."""
    if draft.opened is None and not draft.problem:
        return ""
    choice, fields = draft.choice, []
    if draft.has_pages:
        fields.append(
            _field(draft, "pages", "Pages", choice.pages, 'type="text" placeholder="1-5, 9"')
        )
    if draft.is_animation:
        fields.append(_switch(draft, "animation_as_video", "As a video", choice.animation_as_video))
    if draft.is_video:
        number = 'type="number" min="0" step="any" placeholder="auto"'
        fields.append(_field(draft, "fps", "Frames per second", choice.fps, number))
        number = 'type="number" min="0" placeholder="auto"'
        fields.append(_field(draft, "max_frames", "Most frames", choice.max_frames, number))
    if draft.kind not in ("text", "other"):
        each = " per page" if draft.has_pages else " per two frames" if draft.is_video else ""
        number = 'type="number" min="0" placeholder="auto"'
        label = f"Most tokens{each}"
        fields.append(_field(draft, "max_item_tokens", label, choice.max_item_tokens, number))
    return f'<div class="choices">{"".join(fields)}</div>' if fields else ""


def _field(draft: Draft, name: str, label: str, value: object, attributes: str) -> str:
    shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return (
        f'<label>{label} <input data-choice="{name}" value="{escape(shown)}" '
        f'aria-label="{label}: {escape(draft.name)}" autocomplete="off" {attributes}></label>'
    )


def _switch(draft: Draft, name: str, label: str, value: bool) -> str:
    return (
        f'<label><input type="checkbox" data-choice="{name}" '
        f'aria-label="{label}: {escape(draft.name)}"{" checked" if value else ""}>{label}</label>'
    )


def _summary(draft: Draft) -> str:
    attached = draft.attached
    assert attached is not None
    text = f"{attached.tokens:,} tokens"
    if attached.kind in UNITS:
        count = len(attached.items)
        text = f"{count:,} {UNITS[attached.kind][count != 1]}, {text}"
    if not draft.is_complete:
        text += f", {sum(bool(item.png) for item in attached.items):,} opened"
    return text


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


def _total(total: Estimate, *, is_complete: bool) -> str:
    text = f"{total.attached:,} tokens attached"
    if not is_complete:
        text += " until now"
    if total.before:
        text += f", about {total.total:,} with the conversation so far"
    if total.context is not None:
        text += f"; the model takes in {total.context:,} at once"
    text += "."
    if total.first_word_s is not None:
        seconds = max(1, round(total.first_word_s))
        text += f" Judging by the answers above, this one begins after about {seconds:,} s."
    return text
