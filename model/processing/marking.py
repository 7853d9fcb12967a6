"""Keep people's text apart from the template's: a marker before whatever looks like a token.

A chat template turns a conversation into one string, in which a typed ``<|user|>`` and the
template's own look the same. So before rendering, one character that occurs nowhere in the
conversation is put *before* each look-alike: templates still find what they search for (a text
ending in ``/nothink``, a ``</think>``), and ``encode_marked`` can tell which ones are typed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

from model.characters import whole_characters
from model.processing.messages import map_text

# Printable, so that a template that prints a Python repr leaves it alone; no letters or spaces.
CANDIDATES = [chr(c) for c in (*range(0x2800, 0x2900), *range(0x2500, 0x2600))]


class TextMarker:
    """Marks look-alikes of added tokens in the texts of one conversation.

    Args:
        added_tokens: every string that the tokenizer would turn into one added token.
        texts: all texts in which the marker must not occur: conversation, tools, template.

    Raises:
        ValueError: the texts use every candidate, so no marker is left.
    """

    def __init__(self, added_tokens: Collection[str], texts: Iterable[Any]) -> None:
        used: set[str] = set()

        def collect(text: str) -> str:
            used.update(text)
            return text

        map_text(list(texts), collect)
        marker = next((c for c in CANDIDATES if c not in used), None)
        if marker is None:
            raise ValueError("the conversation uses every Braille and box-drawing character")
        self.marker = marker
        self._added_tokens = added_tokens

    def mark(self, value: Any, *, keep: Collection[str] = ()) -> Any:
        """Mark every string in nested lists and mappings, and make it valid Unicode.

        Args:
            value: a text, or messages or tools made of them.
            keep: tokens that stay tokens in this value.
        """
        pattern = _look_alikes(frozenset(self._added_tokens).difference(keep))
        return map_text(value, lambda text: pattern.sub(self.marker, whole_characters(text)))

    def remove(self, text: str) -> str:
        """Return a rendered prompt as people may see it."""
        return text.replace(self.marker, "")


@lru_cache(maxsize=64)
def _look_alikes(tokens: frozenset[str]) -> re.Pattern[str]:
    """Return what matches, without its characters, in front of each token or beginning of one.

    A look-ahead finds overlapping ones too. A beginning counts at the very end of a text: the next
    part of the message could complete it.
    """
    beginnings = {t[:n] for t in tokens for n in range(1, len(t))}
    whole = "|".join(map(re.escape, tokens))
    partial = "|".join(map(re.escape, beginnings))
    first = "".join(re.escape(c) for c in {t[0] for t in tokens})
    # the class comes first because the alternatives are slow to rule out one by one
    return re.compile(rf"(?=[{first}])(?=(?:{whole}|(?:{partial})\Z))")
