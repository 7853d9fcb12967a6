"""Text of a model or a user -> Markdown that the chat shows without ever taking it for HTML.

Gradio's chat renders Markdown in the browser and passes raw HTML through a sanitizer, which drops
what it does not know: ``a <b> c`` would lose its middle. Here every ``<`` that could begin a tag is
escaped, except in code, where an escape would be shown. Where it is not certain that the browser
will see code, it is not treated as code: the worst case is a visible backslash, never a tag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

# words of the text, and the address on this page that they link to
Links: TypeAlias = Sequence[tuple[str, str]]

# Private characters: between them stands the number of a link.
LINK_OPENS, LINK_CLOSES = "\ue000", "\ue001"
_LINK = re.compile(f"{LINK_OPENS}([0-9]+){LINK_CLOSES}")
# what means something inside of a link's words; they are on one line, so nothing begins a block
_IN_WORDS = re.compile(r"[\\`*_{}\[\]<>!|~&$]")

# Gradio looks for formulas everywhere, in code too. So the delimiters it is told carry an invisible
# mark that only formulas outside code receive here; text copied from the page still reads right.
MARK = "\u2063"
_DELIMITERS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))
LATEX_DELIMITERS: list[dict[str, str | bool]] = [
    {"left": left + MARK, "right": MARK + right, "display": left in ("$$", "\\[")}
    for left, right in _DELIMITERS
]

# As in the browser's parser: an opening fence, and what ends it. Only fences that are not indented
# count: whether an indented one is a fence depends on the list around it.
_FENCE = re.compile(r"(`{3,})[^`\n]*$|(~{3,})[^\n]*$")
_NO_BLANK_LINE = r"(?:(?!\n[ \t]*\n)[\s\S])+?"
_SPECIAL = re.compile(
    rf"(?P<link>{LINK_OPENS}[0-9]+{LINK_CLOSES})"
    rf"|(?P<display>\$\$(?!\$){_NO_BLANK_LINE}\$\$|\\\[{_NO_BLANK_LINE}\\\])"
    rf"|(?P<paren>\\\({_NO_BLANK_LINE}\\\))"
    # pandoc's rule, which leaves "$5 and $10" and "$HOME" alone
    r"|(?P<dollar>\$(?=[^\s$])[^$\n]*?(?<=[^\s\\])\$(?!\d))"
    # on one line and without "|", which would end a table cell
    r"|(?P<code>(?P<ticks>`+)(?!`)[^\n|]*?[^`\n|](?P=ticks)(?!`))"
    rf"|(?P<bracket>\\[()\[\]])|(?P<before_link>[\\!](?={LINK_OPENS}))"
    r"|(?P<escaped>\\.)|(?P<lone_ticks>`+)"
    r"|(?P<html><(?=[A-Za-z/!?])|&(?=\#?\w+;)|!(?=\[))"
)
_HTML = re.compile(r"(?<!\\)(?:<(?=[A-Za-z/!?])|&(?=#?\w+;))")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def to_markdown(text: str, links: Links = ()) -> str:
    """Escape what is not Markdown in ``text``: tags, entities and images stay literal.

    Images are literal because the browser would fetch them from wherever the text says.

    Args:
        links: the words that were taken out of ``text``; the number of each is between
            ``LINK_OPENS`` and ``LINK_CLOSES`` in their place. In code they come back as they were.
    """
    parts: list[str] = []
    prose: list[str] = []
    closing: re.Pattern[str] | None = None
    for line in text.replace(MARK, "").splitlines(keepends=True):
        opening = _FENCE.match(line.rstrip("\n")) if closing is None else None
        if opening:
            run = opening[1] or opening[2]
            closing = re.compile(rf" {{0,3}}{run}[~`]* *$")
            # a blank line before it, so that the fence cannot belong to the text above
            parts += [_escape_prose("".join(prose), links), "\n" if prose else "", line]
            prose = []
        elif closing is not None:
            parts.append(_put_back(line, links))
            closing = None if closing.match(line.rstrip("\n")) else closing
        else:
            prose.append(line)
    return "".join([*parts, _escape_prose("".join(prose), links)])


def _put_back(text: str, links: Links) -> str:
    return _LINK.sub(lambda found: links[int(found[1])][0], text) if links else text


def _link(mark: str, links: Links) -> str:
    if not links:
        return mark  # somebody's own characters
    words, address = links[int(mark[1:-1])]
    shown = _IN_WORDS.sub(r"\\\g<0>", " ".join(words.split()))
    return f"[{shown}]({address})"


def _escape_prose(text: str, links: Links) -> str:
    code_is_certain_from = 0

    def escape(match: re.Match[str]) -> str:
        nonlocal code_is_certain_from
        found = match[0]
        if match.lastgroup == "link":
            return _link(found, links)
        found = _put_back(found, links)  # in code or a formula
        match match.lastgroup:
            case "display" | "paren":
                return found[:2] + MARK + found[2:-2] + MARK + found[-2:]
            case "dollar":
                return "$" + MARK + found[1:-1] + MARK + "$"
            case "code":
                if match.start() >= code_is_certain_from:
                    return found
                return _HTML.sub(r"\\\g<0>", found)
            case "lone_ticks":
                # may pair with ticks of another line of this paragraph
                blank = _BLANK_LINE.search(text, match.end())
                code_is_certain_from = blank.end() if blank else len(text)
                return found
            case "bracket" | "before_link":
                return "\\" + found
            case "html":
                # a lone "!" must not be escaped before it, but between it and the bracket
                return "!\\" if found == "!" else "\\" + found
            case _:
                return found

    return _SPECIAL.sub(escape, text)
