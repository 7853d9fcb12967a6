"""The marks around replies: thought, answer, box tokens, agent sections, code.

Spans are (start, end) offsets, end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# ``start_of_box`` is a misspelling in the vendor's own pages.
_BOX_TOKEN = re.compile(r"<\|(?:(?P<open>begin_of_box|start_of_box)|end_of_box)\|>")
# A tag in inline code is spoken about, not used.
_THINK_TAG = re.compile(
    r"(?<!`)(?:<(?P<close>/)?(?:think|thinking|seed:think)>|◁(?P<kimi_close>/)?think▷)"
)
_ANSWER_TAG = re.compile(r"</?answer>")
# Tokens that start or stop a turn; present when a server keeps special tokens.
_TURN = r"<\|(?:assistant|user|observation|endoftext)\|>"
_LEADING_TURN = re.compile(rf"\s*{_TURN}")
_TRAILING_TURN = re.compile(rf"{_TURN}\s*$")
_BOX_TOKEN_TEXTS = ("<|begin_of_box|>", "<|start_of_box|>", "<|end_of_box|>")
_MARKS = (*_BOX_TOKEN_TEXTS, "\\boxed{", "<answer>", "</answer>", "◁think▷", "◁/think▷",
          *(f"<{end}{name}>" for end in ("", "/") for name in ("think", "thinking", "seed:think")),
          )  # fmt: skip
_FENCE = re.compile(r"^[ \t]{0,3}(```+|~~~+)[^\n]*$", re.MULTILINE)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(
    r"^(?:<\|[a-z_]+\|>)?[ \t*#]{0,8}(Memory(?:_Updated)?|Reason(?:ing)?|Thoughts?|Reflection"
    r"|Action_Summary|Observation|Status|Plan|Actions?|Grounded Operation)[ \t*]{0,4}[:\uff1a]",
    re.MULTILINE | re.IGNORECASE,
)
# What an agent notes down, once a heading says what it does; CogAgent's "Action" is a sentence.
_DRAFTS = ("reason", "reasoning", "thought", "thoughts", "reflection", "action_summary",
           "observation")  # fmt: skip
_COGAGENT_DRAFTS = (*_DRAFTS, "status", "plan", "action")
_BOXED = re.compile(r"\\boxed\{|\\.|[{}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the final text; ``in_tokens`` between box tokens, which are not part of it."""

    start: int
    end: int
    in_tokens: bool
    is_closed: bool = True


def split_thinking(text: str, *, is_complete: bool = True) -> tuple[str, list[tuple[int, int]]]:
    """Split a reply into its thought and the spans of the rest; either tag may be missing.

    A chat template may have opened the thought, so the text can begin inside it; a cut reply may
    never close it, and then there is no answer yet, unless it ends with one in its tag.
    """
    tags = [(tag.start(), tag.end(), _closes(tag)) for tag in _THINK_TAG.finditer(text)]
    thoughts: list[str] = []
    rest: list[tuple[int, int]] = []
    is_thinking = bool(tags) and tags[0][2]
    if tags and not tags[-1][2] and is_complete:
        answer_start = _answer_start(text, tags[-1][1])
        tags.append((answer_start, answer_start, True))
    start = 0
    for tag_start, tag_end, closes in [*tags, (len(text), len(text), True)]:
        if is_thinking:
            thoughts.append(text[start:tag_start].strip())
        else:
            rest.append((start, tag_start))
        is_thinking, start = not closes, tag_end
    thought = "\n".join(piece for piece in thoughts if piece)
    return _without_leading_turn(thought).strip(), rest


def _answer_start(text: str, start: int) -> int:
    """Where the ``<answer>`` begins that a thought from ``start`` ends with; else the text's end.

    One with more behind it, or in inline code, is spoken about.
    """
    opening = text.rfind("<answer>", start)
    if opening < 0 or text[opening - 1] == "`":
        return len(text)
    closing = text.find("</answer>", opening)
    is_last = closing < 0 or not strip_markers(text[closing:]).strip()
    return opening if is_last else len(text)


def _closes(tag: re.Match[str]) -> bool:
    return tag["close"] is not None or tag["kimi_close"] is not None


def keep_spans(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Blank everything outside the spans, keeping every offset; a blanked part ends its line."""
    pieces, end = [], 0
    for start, stop in [*spans, (len(text), len(text))]:
        if start > end:
            pieces.append(" " * (start - end - 1) + "\n")
        pieces.append(text[start:stop])
        end = stop
    return "".join(pieces)


def split_answer_tags(text: str) -> tuple[str, str, int]:
    """Split at ``<answer>`` into (what led up to it, the answer, where it begins).

    Stray tags are blanked; offsets of the answer are those of ``text``. Without an opening tag
    everything is answer.
    """
    opening = max(0, text.find("<answer>"))
    before = _ANSWER_TAG.sub("", text[:opening]).strip()
    blanked = _ANSWER_TAG.sub(lambda tag: " " * (len(tag[0]) - 1) + "\n", text)
    return before, blanked, opening


def _without_leading_turn(text: str) -> str:
    turn = _LEADING_TURN.match(text)
    return text[turn.end() :] if turn else text


def strip_markers(text: str) -> str:
    """Return the text for display: box tokens, answer tags and turn tokens go, contents stay.

    A box token cut in half at the end of a growing text goes too.
    """
    text = _ANSWER_TAG.sub("", _BOX_TOKEN.sub("", _without_leading_turn(text)))
    text = _TRAILING_TURN.sub("", text)
    return text[: _half_start(text, _BOX_TOKEN_TEXTS, shortest=2)]


def cut_half_mark(text: str) -> str:
    """Return a growing text without the mark, or what may become one, that it ends in half of."""
    return text[: _half_start(text, _MARKS, shortest=1)]


def _half_start(text: str, marks: Sequence[str], *, shortest: int) -> int:
    """Where one of the marks begins that the end of the text cuts in half; else its length."""
    for length in range(min(max(map(len, marks)) - 1, len(text)), shortest - 1, -1):
        half = text[-length:]
        if any(mark.startswith(half) and mark != half for mark in marks):
            return len(text) - length
    return len(text)


def split_box_tokens(text: str) -> list[Segment]:
    """Cut the text at its box tokens and ``\\boxed{}``: of nested pairs the outermost.

    A token without its end lasts to the end of the text, which is not closed then.
    """
    segments: list[Segment] = []
    depth = start = 0
    for token_start, token_end, opens in _box_marks(text):
        if opens and depth == 0:
            segments.append(Segment(start, token_start, in_tokens=False))
            start = token_end
        elif not opens and depth == 1:
            segments.append(Segment(start, token_start, in_tokens=True))
            start = token_end
        depth = depth + 1 if opens else max(0, depth - 1)
    segments.append(Segment(start, len(text), in_tokens=depth > 0, is_closed=depth == 0))
    return segments


def _box_marks(text: str) -> Iterator[tuple[int, int, bool]]:
    """Box tokens and the braces of ``\\boxed{}`` in order: (start, end, whether it opens)."""
    if "\\boxed{" not in text:
        yield from ((t.start(), t.end(), t["open"] is not None) for t in _BOX_TOKEN.finditer(text))
        return
    marks = [(t.start(), t.end(), t["open"] is not None) for t in _BOX_TOKEN.finditer(text)]
    opened: list[bool] = []  # braces that are open: whether each is a boxed answer's
    for brace in _BOXED.finditer(text):
        if brace[0] == "\\boxed{" or brace[0] == "{":
            opened.append(len(brace[0]) > 1)
            if opened[-1]:
                marks.append((*brace.span(), True))
        elif brace[0] == "}" and opened and opened.pop():
            marks.append((*brace.span(), False))
    yield from sorted(marks)


def blank_drafts(text: str, *, is_complete: bool = True) -> str:
    """Blank the parts of an agent's reply that are notes to itself, keeping every offset.

    ``Memory:`` may hold any numbers; ``Reason:`` and ``Thought:`` are drafts of the ``Action:``
    beside them, which may still come while the reply grows.
    """
    headings = list(_HEADING.finditer(text))
    stops = [heading.start() for heading in headings[1:]] + [len(text)]
    names = {heading[1].lower() for heading in headings}
    drafts = {"memory", "memory_updated"}
    if "grounded operation" in names or not is_complete:
        drafts |= set(_COGAGENT_DRAFTS)
    elif {"action", "actions"} & names:
        drafts |= set(_DRAFTS)
    pieces, end = [], 0
    for heading, stop in zip(headings, stops, strict=False):  # no heading: one stop too many
        if heading[1].lower() in drafts:
            pieces += [text[end : heading.start(1)], " " * (stop - heading.start(1) - 1), "\n"]
            end = stop
    return "".join([*pieces, text[end:]])


@dataclass(frozen=True, slots=True)
class Code:
    """The inside of a fenced block or of inline code; ``is_data``: the fence says JSON."""

    start: int
    end: int
    is_fence: bool
    is_closed: bool = True
    is_data: bool = False


def code_spans(text: str) -> list[Code]:
    """Insides of fenced blocks (an unclosed one runs to the end) and of inline code, in order."""
    fences: list[Code] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1].startswith(opening[1]):
            fences.append(Code(opening.end(), fence.start(), True, True, _is_json(opening)))
            opening = None
    if opening is not None:
        fences.append(Code(opening.end(), len(text), True, False, _is_json(opening)))
    spans, start = [], 0
    for inside in [*fences, Code(len(text), len(text), True)]:
        codes = _INLINE_CODE.finditer(text, start, inside.start)
        spans += [Code(*code.span(1), is_fence=False) for code in codes]
        spans.append(inside)
        start = inside.end
    spans.pop()
    # Inline code that is still being written.
    line = text.rfind("\n") + 1
    if (not spans or spans[-1].end <= max(line, text.rfind("`"))) and text.count("`", line) % 2:
        spans.append(Code(text.rfind("`") + 1, len(text), is_fence=False, is_closed=False))
    return spans


def _is_json(fence: re.Match[str]) -> bool:
    return fence[0].strip("`~ \t").lower().startswith(("json", "jsonl"))
