"""An answer that ended early -> the tokens that it goes on from.

Text does not tell the tokens that it was written in: "he" and "llo" become "hello". So the tokens
of answers are kept for a while, and the place in them where a text ends is looked up: there, the
answer goes on as if it had never been cut. A text that was never written here, or was changed
since, is turned into tokens as any text is; then the model goes on from another spelling where the
cut is inside of a word, or where blanks stood around the thought.
"""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from model.backends.answer_reader import AnswerReader
from model.backends.base import Message, Reply
from model.backends.thinking import CLOSING_TAG, OPENING_TAG

if TYPE_CHECKING:
    from model.processing import Glm4vProcessor

MAX_WRITTEN_BYTES = 8 * 2**20
# Of an answer, beside its tokens: digest, array, places in the list (sys.getsizeof: 49 + 80 + 56).
ENTRY_BYTES = 200


class WrittenAnswers:
    """Tokens of answers, found by the prompt that they were written to; the oldest go.

    Holds no text, and of a prompt its digest only: who finds an answer's tokens has its text.
    """

    def __init__(self, max_bytes: int = MAX_WRITTEN_BYTES) -> None:
        self.max_bytes = max_bytes
        self._answers: deque[tuple[bytes, array[int]]] = deque()  # newest first
        self._nbytes = 0
        self._lock = threading.Lock()

    def put(self, prompt: Sequence[int], tokens: Sequence[int]) -> None:
        """Keep the tokens of an answer, the stop token left out."""
        entry = (_digest(prompt), array("i", tokens))
        with self._lock:
            self._answers.appendleft(entry)
            self._nbytes += _nbytes(entry[1])
            while self._nbytes > self.max_bytes:
                self._nbytes -= _nbytes(self._answers.pop()[1])

    def find(self, prompt: Sequence[int]) -> Iterator[list[int]]:
        """Yield the answers to a prompt, the newest first."""
        digest = _digest(prompt)
        with self._lock:
            found = [tokens for known, tokens in self._answers if known == digest]
        return (tokens.tolist() for tokens in found)


def _nbytes(tokens: array[int]) -> int:
    return ENTRY_BYTES + tokens.itemsize * len(tokens)


def _digest(prompt: Sequence[int]) -> bytes:
    return hashlib.blake2b(array("i", prompt).tobytes(), digest_size=16).digest()


def shown_of(message: Message) -> Reply:
    """Return what an assistant's message shows."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part.get("text", "") for part in content)
    return Reply(thinking=message.get("reasoning_content") or "", answer=content)


def find_cut(tokens: list[int], shown: Reply, reader: AnswerReader) -> int | None:
    """Return after how many of ``tokens`` an answer shows that, blanks at its ends aside.

    None if it never does. Of several places the last: what is between them shows nothing.
    """
    wanted = (shown.thinking.strip(), shown.answer.strip())
    reply, cut = Reply(), None
    for count, token in enumerate(tokens, start=1):
        for event in reader.push(token)[1]:
            reply.add(event)
        if len(reply.thinking) + len(reply.answer) < len(wanted[0]) + len(wanted[1]):
            continue
        if (reply.thinking.strip(), reply.answer.strip()) == wanted:
            cut = count
        elif cut is not None:
            return cut
    for event in reader.end(is_complete=False)[1]:
        reply.add(event)
    if (reply.thinking.strip(), reply.answer.strip()) == wanted:
        cut = len(tokens)
    return cut


def spell(processor: Glm4vProcessor, shown: Reply, prompt_end: str) -> list[int]:
    """Return tokens of an answer's text, as the model might have written it.

    Blanks at the end are left out: most tokens bring the blank before them along.

    Args:
        processor: of the model.
        shown: the answer so far.
        prompt_end: the end of the prompt that it answers, without blanks.
    """
    if not (shown.thinking or shown.answer):
        return []
    answer = processor.encode_answer(shown.answer.rstrip())
    has_thought = bool(shown.thinking) or processor.chat_template.knows_reasoning
    if prompt_end.endswith(CLOSING_TAG) or not has_thought:
        return answer
    opening = "" if prompt_end.endswith(OPENING_TAG) else OPENING_TAG
    closing = f"{CLOSING_TAG}\n" if answer else ""
    encode = processor.tokenizer.encode
    thought = processor.encode_answer(shown.thinking.rstrip())
    return [*encode(opening, True), *thought, *encode(closing, True), *answer]
