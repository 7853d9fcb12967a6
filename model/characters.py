"""Halves of characters, which JSON can carry and UTF-8 cannot: lone surrogates."""

from __future__ import annotations


def whole_characters(text: str) -> str:
    """Join the halves of characters that stand side by side; replace those that stand alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class CharacterJoiner:
    """Makes the characters whole of a text that arrives in pieces."""

    def __init__(self) -> None:
        self._held = ""  # the first half of a character at the end

    def push(self, text: str) -> str:
        """Take the next piece; return what is certain by now."""
        text = self._held + text
        self._held = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return whole_characters(text.removesuffix(self._held))

    def flush(self) -> str:
        """Return what takes the place of a half that was held back; "" if none was."""
        held, self._held = self._held, ""
        return whole_characters(held)
