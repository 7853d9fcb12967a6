"""The answer as the page shows it: links on the words that name a target, a time or a page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grounding import strip_markers
from ui.rendering.markdown import LINK_CLOSES, LINK_OPENS, to_markdown
from ui.rendering.media_links import Mention
from ui.rendering.preview import fence_bare_page
from ui.targets.target import Target

# A link runs neither across paragraphs nor over what may be the edge of code or of a formula.
_NO_WORDS = re.compile(r"\n[ \t]*\n|[`$]|~~~")
# a model's own would be taken for ours; one character for one, so that spans stay true
_NOT_OURS = str.maketrans({LINK_OPENS: "\ufffd", LINK_CLOSES: "\ufffd"})


def to_linked_markdown(
    answer: str, targets: Sequence[Target], mentions: Sequence[Mention] = ()
) -> str:
    """Return ``answer`` as Markdown in which the coordinates of target N link to ``#target-N``.

    Args:
        answer: the model's own text, box markers included: what the targets' spans count in.
        targets: those that the page can point at.
        mentions: other words that link, in order; those that reach into a target's do not.
    """
    answer = answer.translate(_NOT_OURS)
    if (fenced := fence_bare_page(answer)) != answer:
        return to_markdown(strip_markers(fenced))
    pieces: list[str] = []
    links: list[tuple[str, str]] = []
    end = 0
    for start, stop, address in _add(mentions, _segments(targets)):
        words = strip_markers(answer[start:stop])
        if words.strip() and not _NO_WORDS.search(words):
            pieces += [answer[end:start], f"{LINK_OPENS}{len(links)}{LINK_CLOSES}"]
            links.append((words, address))
            end = stop
    return to_markdown(strip_markers("".join([*pieces, answer[end:]])), links)


def _add(mentions: Sequence[Mention], segments: Sequence[tuple[int, int, int]]) -> list[Mention]:
    """Return the segments and those mentions that keep clear of them, in order."""
    linked = [Mention(start, end, f"#target-{number}") for start, end, number in segments]
    free = [m for m in mentions if not any(m.start < s.end and s.start < m.end for s in linked)]
    return sorted([*linked, *free])


def _segments(targets: Sequence[Target]) -> list[tuple[int, int, int]]:
    """Return stretches (start, end, number) that do not overlap: of nested spans the inner wins."""
    spans = sorted(
        {(*target.span, target.number) for target in targets if target.span[0] < target.span[1]},
        key=lambda span: (span[0], -span[1], span[2]),
    )
    segments: list[tuple[int, int, int]] = []
    opened: list[list[int]] = []  # [where it goes on, end, number], the innermost last

    def close(until: int) -> None:
        while opened and opened[-1][1] <= until:
            start, stop, number = opened.pop()
            if start < stop:
                segments.append((start, stop, number))
            if opened:
                opened[-1][0] = max(opened[-1][0], stop)

    for start, stop, number in spans:
        close(start)
        if opened:
            outer = opened[-1]
            if stop > outer[1] or (stop - start, start) == (outer[1] - outer[0], outer[0]):
                continue  # it crosses the one before, or says the same
            if outer[0] < start:
                segments.append((outer[0], start, outer[2]))
            outer[0] = start
        opened.append([start, stop, number])
    close(max((stop for _, stop, _ in spans), default=0))
    return sorted(segments)
