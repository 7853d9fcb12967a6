"""Token ids, one at a time -> text in whole characters."""

from __future__ import annotations

import codecs
from functools import cache

from model.processing.tokenizer import Glm4vTokenizer


class StreamDecoder:
    """Decodes one stream of tokens; every step costs only its own bytes.

    A character spelled by several tokens (Chinese, emoji) comes out with the last of them. Bytes
    that cannot be UTF-8 come out as U+FFFD. The pieces add up to ``tokenizer.decode`` of all ids.
    """

    def __init__(self, tokenizer: Glm4vTokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Return the text that this token completes, possibly none."""
        # an embedding has more rows than there are tokens; such ids stand for nothing
        token = self._tokenizer.id_to_token(token_id) or ""
        return self._utf8.decode(_token_bytes(token))

    def flush(self) -> str:
        """End the stream: return U+FFFD for a character that was never completed, else nothing."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return rest


def _token_bytes(token: str) -> bytes:
    """Undo the byte-level alphabet; text outside it (an added token) stands for itself."""
    table = byte_alphabet()
    if all(c in table for c in token):
        return bytes(table[c] for c in token)
    return token.encode("utf-8")


@cache
def byte_alphabet() -> dict[str, int]:
    """Map the 256 printable characters of byte-level BPE (GPT-2) to the bytes they stand for.

    Printable Latin-1 bytes are themselves; the others follow in order from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    table = {chr(b): b for b in printable}
    table.update({chr(0x100 + i): b for i, b in enumerate(others)})
    return table
