"""The strip under the message box: what the model will see, and what it will take."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from model.processing import Choice, mixing_note
from ui.chat.attaching import Draft, Drafts
from ui.chat.estimate import Estimate
from ui.conversation import Attached, Item
from ui.language import say, say_label, say_message, say_number, say_size

TOO_LONG = (
    "That is more than the model can take in at once: remove a file, choose fewer pages or frames, "
    "or start a new conversation."
)
TOKENS = ("{number:,} token", "{number:,} tokens")
UNITS = {
    "document": ("{number:,} page", "{number:,} pages"),
    "video": ("{number:,} frame", "{number:,} frames"),
}
# what a button does to a file -> what it shows
MOVES = {"earlier": "↑", "later": "↓", "remove": "×"}
MOVE_LABELS = {
    "earlier": "Move {name} earlier",
    "later": "Move {name} later",
    "remove": "Remove {name}",
}


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
            parts.append(f'<p class="warning">{escape(say(TOO_LONG))}</p>')
        if note := mixing_note(opened):
            parts.append(f'<p class="warning">{escape(say_message(note))}</p>')
    return f'<div class="strip">{"".join(parts)}</div>'


def _draft(draft: Draft, index: int, count: int) -> str:
    """Return the section of a file: a line, its buttons, its fields, its pictures."""
    items = ""
    if draft.problem:
        line = f"<strong>{escape(say('Not sent:'))}</strong> {escape(draft.problem)}"
    elif draft.attached is None:
        line = f"<strong>{escape(draft.name)}</strong> {escape(say('is being opened'))}"
    else:
        items = "".join(_item(item, draft.attached) for item in draft.attached.items if item.png)
        notes = escape(" ".join(draft.attached.notes))
        line = f"<strong>{escape(draft.name)}</strong> {escape(_summary(draft))} "
        line += f"<small>{notes}</small>"
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
        label = escape(say(MOVE_LABELS[move], name=draft.name))
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
    if draft.problem and draft.kind == "image" and draft.choice == Choice():
        return ""  # damaged: none of them would mend it
    choice, fields = draft.choice, []
    number = f'type="number" min="0" step="any" placeholder="{escape(say("auto"))}"'
    if draft.has_pages:
        text = 'type="text" placeholder="1-5, 9"'
        fields.append(_field(draft, "pages", say("Pages"), choice.pages, text))
    if draft.is_animation:
        label = say("As a video")
        fields.append(_switch(draft, "animation_as_video", label, choice.animation_as_video))
    if draft.is_video:
        fields.append(_field(draft, "fps", say("Frames per second"), choice.fps, number))
        fields.append(_field(draft, "max_frames", say("Most frames"), choice.max_frames, number))
    if draft.kind not in ("text", "other"):
        label = say(
            "Most tokens per page"
            if draft.has_pages
            else "Most tokens per two frames"
            if draft.is_video
            else "Most tokens"
        )
        fields.append(_field(draft, "max_item_tokens", label, choice.max_item_tokens, number))
    return f'<div class="choices">{"".join(fields)}</div>' if fields else ""


def _field(draft: Draft, name: str, label: str, value: object, attributes: str) -> str:
    shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return (
        f'<label>{escape(label)} <input data-choice="{name}" value="{escape(shown)}" '
        f'aria-label="{escape(label)}: {escape(draft.name)}" autocomplete="off" {attributes}>'
        "</label>"
    )


def _switch(draft: Draft, name: str, label: str, value: bool) -> str:
    return (
        f'<label><input type="checkbox" data-choice="{name}" '
        f'aria-label="{escape(label)}: {escape(draft.name)}"{" checked" if value else ""}>'
        f"{escape(label)}</label>"
    )


def _summary(draft: Draft) -> str:
    attached = draft.attached
    assert attached is not None
    facts = [say_number(attached.tokens, *TOKENS)]
    if attached.kind in UNITS:
        facts.insert(0, say_number(len(attached.items), *UNITS[attached.kind]))
    if not draft.is_complete:
        opened = sum(bool(item.png) for item in attached.items)
        facts.append(say("{number:,} opened", number=opened))
    return say(", ").join(facts)


def _item(item: Item, attached: Attached) -> str:
    """Return a picture that opens at its full size, and what becomes of it."""
    label = f"<span>{escape(say_label(item.label))}</span>" if item.label else ""
    sizes = (
        f"{say_size(item.size)} → {say_size(item.sent_size)}"
        if item.size and item.sent_size
        else ""
    )
    facts = say(", ").join(filter(None, [sizes, say_number(item.tokens, *TOKENS)]))
    address = "gradio_api/file=" + quote(item.png)
    alt = escape(say(", ").join(filter(None, [attached.name, say_label(item.label)])))
    return (
        f'<li><a href="{address}" target="_blank" rel="noopener"><img src="{address}" alt="{alt}" '
        f'loading="lazy"></a>{label}<small>{escape(facts)}</small></li>'
    )


def _total(total: Estimate, *, is_complete: bool) -> str:
    facts = [
        say(
            "{tokens:,} tokens attached" if is_complete else "{tokens:,} tokens attached until now",
            tokens=total.attached,
        )
    ]
    if total.before:
        facts.append(say("about {tokens:,} with the conversation so far", tokens=total.total))
    if total.context is not None:
        facts.append(say("the model takes in {tokens:,} at once", tokens=total.context))
    text = say("{facts}.", facts=say("; ").join(facts))
    if total.first_word_s is None:
        return text
    seconds = max(1, round(total.first_word_s))
    begins = say(
        "Judging by the answers above, this one begins after about {seconds:,} s.", seconds=seconds
    )
    return f"{text} {begins}"
