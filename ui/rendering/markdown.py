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

from ui.rendering.fences import TAB, Block, quote_of, split_blocks
from ui.rendering.tables import split_tables

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

_BLANK = r"\n[ \t]*\n"
_NO_BLANK_LINE = rf"(?:(?!{_BLANK})[\s\S])+?"


def _formula(opens: str, closes: str) -> str:
    """Return what finds a formula: no blank line in it, and nothing that opens another one.

    The latter keeps the time proportional to the text: of many openings that are never closed, each
    is followed to the next one only. A backslash after another one is a line break (``\\\\[2pt]``).
    """
    opens_another = rf"(?<!\\)(?:\\\\)*{opens}"
    return rf"{opens}(?:(?!{_BLANK}|{opens_another})[\s\S])+?{closes}"


_IN_BRACKETS, _IN_PARENS = _formula(r"\\\[", r"\\\]"), _formula(r"\\\(", r"\\\)")


def _special(code: str) -> re.Pattern[str]:
    """Return what finds that which is not plain text.

    Args:
        code: what a span of code may be of.
    """
    return re.compile(
        rf"(?P<link>{LINK_OPENS}[0-9]+{LINK_CLOSES})"
        rf"|(?P<display>\$\$(?!\$){_NO_BLANK_LINE}\$\$|{_IN_BRACKETS})"
        rf"|(?P<paren>{_IN_PARENS})"
        # pandoc's rule, which leaves "$5 and $10" and "$HOME" alone
        r"|(?P<dollar>\$(?=[^\s$])[^$\n]*?(?<=[^\s\\])\$(?!\d))"
        rf"|(?P<code>(?P<ticks>`+)(?!`){code}(?P=ticks)(?!`))"
        rf"|(?P<bracket>\\[()\[\]])|(?P<before_link>[\\!](?={LINK_OPENS}))"
        r"|(?P<escaped>\\.)|(?P<lone_ticks>`+)"
        # a definition, which would be shown nowhere; only one way to share the spaces between ">"
        r"|(?P<definition>(?<![^\n])(?: {0,3}>(?: {0,4}>)* {0,4}| {0,3})\[(?=[^\]\n]+\]:))"
        r"|(?P<html><(?=[A-Za-z/!?])|&(?=\#?\w+;)|!(?=\[))"
    )


# on one line
_SPECIAL = _special(r"[^\n]*?[^`\n]")
# and without "|", which ends a cell
_SPECIAL_IN_TABLE = _special(r"(?:\\\||[^\n|])*?(?:\\\||[^`\n|])")
_HTML = re.compile(r"(?<!\\)(?:<(?=[A-Za-z/!?])|&(?=#?\w+;))")
_BLANK_LINE = re.compile(_BLANK)


def to_markdown(text: str, links: Links = ()) -> str:
    """Escape what is not Markdown in ``text``: tags, entities and images stay literal.

    Images are literal because the browser would fetch them from wherever the text says.

    Args:
        links: the words that were taken out of ``text``; the number of each is between
            ``LINK_OPENS`` and ``LINK_CLOSES`` in their place. In code they come back as they were.
    """
    parts: list[str] = []
    for block in split_blocks(text.replace(MARK, "")):
        if block.info is None:
            lines = "".join(block.lines)
            parts += [_escape(part, links, is_table) for part, is_table in split_tables(lines)]
        else:
            # a blank line before it, so that the fence cannot belong to the text above
            parts.append(f"{block.quote.rstrip()}\n" if parts else "")
            parts += [_keep_tabs(block, _put_back(line, links)) for line in block.lines]
    return "".join(parts)


def _keep_tabs(block: Block, line: str) -> str:
    """Return a line of code in which a mark keeps the tabs at its beginning.

    The browser's parser would make spaces of them; ``assets/media/tabs.js`` takes the mark out.
    """
    if "\t" not in line:
        return line
    quote = quote_of(line)[0] if block.quote else ""
    rest, column = line[len(quote) :], 0
    while rest[:1] in (" ", "\t") and column < block.indent:
        column += TAB - column % TAB if rest[0] == "\t" else 1
        rest = rest[1:]
    spaces = rest[: len(rest) - len(rest.lstrip(" "))]
    mark = MARK if rest[len(spaces) :].startswith("\t") else ""
    return f"{quote}{' ' * column}{spaces}{mark}{rest[len(spaces) :]}"


def _put_back(text: str, links: Links) -> str:
    return _LINK.sub(lambda found: links[int(found[1])][0], text) if links else text


def _link(mark: str, links: Links) -> str:
    if not links:
        return mark  # somebody's own characters
    words, address = links[int(mark[1:-1])]
    shown = _IN_WORDS.sub(r"\\\g<0>", " ".join(words.split()))
    return f"[{shown}]({address})"


def _escape(text: str, links: Links, is_table: bool) -> str:
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
                if match.end() > code_is_certain_from:
                    blank = _BLANK_LINE.search(text, match.end())
                    code_is_certain_from = blank.end() if blank else len(text)
                return found
            case "bracket" | "before_link":
                return "\\" + found
            case "definition":
                return found[:-1] + "\\["
            case "html":
                # a lone "!" must not be escaped before it, but between it and the bracket
                return "!\\" if found == "!" else "\\" + found
            case _:
                return found

    return (_SPECIAL_IN_TABLE if is_table else _SPECIAL).sub(escape, text)
