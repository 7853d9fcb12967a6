"""The marks around GLM's replies: thought, answer, box tokens, agent sections, code.

Spans are (start, end) offsets, end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# ``start_of_box`` is a misspelling in the vendor's own pages.
_BOX_TOKEN = re.compile(r"<\|(?:(?P<open>begin_of_box|start_of_box)|end_of_box)\|>")
# A tag in inline code is spoken about, not used.
_THINK_TAG = re.compile(r"(?<!`)<(?P<close>/)?think>")
_ANSWER_TAG = re.compile(r"</?answer>")
# Tokens that start or stop a turn; present when a server keeps special tokens.
_TURN = r"<\|(?:assistant|user|observation|endoftext)\|>"
_LEADING_TURN = re.compile(rf"\s*{_TURN}")
_TRAILING_TURN = re.compile(rf"{_TURN}\s*$")
_BOX_TOKEN_TEXTS = ("<|begin_of_box|>", "<|start_of_box|>", "<|end_of_box|>")
_CUT_TOKEN = re.compile(r"<\|?[a-z_]{0,12}\|?$")
_FENCE = re.compile(r"^[ \t]{0,3}(```+|~~~+)[^\n]*$", re.MULTILINE)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(
    r"^(?:<\|[a-z_]+\|>)?[ \t*#]*(Memory|Reason|Thought|Action)[ \t*]*[::]",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the final text; ``in_tokens`` between box tokens, which are not part of it."""

    start: int
    end: int
    in_tokens: bool


def split_thinking(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Split a reply into its thought and the spans of the rest; either tag may be missing.

    A chat template may have opened the thought, so the text can begin inside it; a cut reply may
    never close it, and then there is no answer yet.
    """
    tags = list(_THINK_TAG.finditer(text))
    thoughts: list[str] = []
    rest: list[tuple[int, int]] = []
    is_thinking = bool(tags) and tags[0]["close"] is not None
    start = 0
    for tag_start, tag_end, closes in [
        *((tag.start(), tag.end(), tag["close"] is not None) for tag in tags),
        (len(text), len(text), True),
    ]:
        if is_thinking:
            thoughts.append(text[start:tag_start].strip())
        else:
            rest.append((start, tag_start))
        is_thinking, start = not closes, tag_end
    thought = "\n".join(piece for piece in thoughts if piece)
    return _without_leading_turn(thought).strip(), rest


def keep_spans(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Blank everything outside the spans, keeping every offset; a blanked part ends its line."""
    pieces, end = [], 0
    for start, stop in [*spans, (len(text), len(text))]:
        if start > end:
            pieces.append(" " * (start - end - 1) + "\n")
        pieces.append(text[start:stop])
        end = stop
    return "".join(pieces)


def split_answer_tags(text: str) -> tuple[str, str]:
    """Split at ``<answer>`` into (what led up to it, the answer); stray tags are blanked.

    Offsets of the answer are those of ``text``. Without an opening tag everything is answer.
    """
    opening = text.find("<answer>")
    before = _ANSWER_TAG.sub("", text[: max(0, opening)]).strip()
    blanked = _ANSWER_TAG.sub(lambda tag: " " * len(tag[0]), text[max(0, opening) :])
    return before, " " * max(0, opening) + blanked


def _without_leading_turn(text: str) -> str:
    turn = _LEADING_TURN.match(text)
    return text[turn.end() :] if turn else text


def strip_markers(text: str) -> str:
    """Return the text for display: box tokens, answer tags and turn tokens go, contents stay.

    A box token cut in half at the end of a growing text goes too.
    """
    text = _ANSWER_TAG.sub("", _BOX_TOKEN.sub("", _without_leading_turn(text)))
    text = _TRAILING_TURN.sub("", text)
    cut = _CUT_TOKEN.search(text)
    if cut and len(cut[0]) > 1 and any(token.startswith(cut[0]) for token in _BOX_TOKEN_TEXTS):
        text = text[: cut.start()]
    return text


def split_box_tokens(text: str) -> list[Segment]:
    """Cut the text at its box tokens: of nested pairs the outermost; a missing end is the end."""
    segments: list[Segment] = []
    depth = start = 0
    for token in _BOX_TOKEN.finditer(text):
        opens = token["open"] is not None
        if opens and depth == 0:
            segments.append(Segment(start, token.start(), in_tokens=False))
            start = token.end()
        elif not opens and depth == 1:
            segments.append(Segment(start, token.start(), in_tokens=True))
            start = token.end()
        depth = depth + 1 if opens else max(0, depth - 1)
    segments.append(Segment(start, len(text), in_tokens=depth > 0))
    return segments


def blank_drafts(text: str) -> str:
    """Blank the parts of an agent's reply that are notes to itself, keeping every offset.

    ``Memory:`` may hold any numbers; ``Reason:`` and ``Thought:`` are drafts of the ``Action:``
    beside them.
    """
    headings = list(_HEADING.finditer(text))
    stops = [heading.start() for heading in headings[1:]] + [len(text)]
    drafts = {"memory"}
    if any(heading[1].lower() == "action" for heading in headings):
        drafts |= {"reason", "thought"}
    pieces, end = [], 0
    for heading, stop in zip(headings, stops, strict=False):  # no heading: one stop too many
        if heading[1].lower() in drafts:
            pieces += [text[end : heading.start(1)], " " * (stop - heading.start(1))]
            end = stop
    return "".join([*pieces, text[end:]])


def code_spans(text: str) -> list[tuple[int, int]]:
    """Contents of fenced blocks (an unclosed one runs to the end) and of inline code, in order."""
    fences: list[tuple[int, int]] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1].startswith(opening[1]):
            fences.append((opening.end(), fence.start()))
            opening = None
    if opening is not None:
        fences.append((opening.end(), len(text)))
    spans, start = [], 0
    for inside in [*fences, (len(text), len(text))]:
        spans += [code.span(1) for code in _INLINE_CODE.finditer(text, start, inside[0])]
        spans.append(inside)
        start = inside[1]
    return spans[:-1]
