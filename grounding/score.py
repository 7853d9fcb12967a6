"""How sure the model was of what it points at, from the probabilities of the tokens it wrote."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from dataclasses import replace

from grounding.result import Result


def add_scores(result: Result, text: str, tokens: Iterable[tuple[str, float]]) -> Result:
    """Give each box and point the confidence of its coordinates.

    The score is the lowest probability of the tokens with a digit in them: a box is as sure as the
    least sure of its numbers. It ranks answers of one model; it is no probability of being right.

    Args:
        result: what ``parse`` read in ``text``.
        text: the answer.
        tokens: (text, natural logarithm of the probability) of what was generated, in order; their
            texts end with the answer. If they do not, nothing has a score.

    Returns:
        A copy of ``result`` with scores from 0 to 1.
    """
    pieces = list(tokens)
    joined = "".join(piece for piece, _ in pieces)
    if not (pieces and text and joined.endswith(text)):
        return result
    starts, offset = [], len(text) - len(joined)  # negative: before the answer
    for piece, _ in pieces:
        starts.append(offset)
        offset += len(piece)

    def score(span: tuple[int, int]) -> float | None:
        first = bisect.bisect_right(starts, span[0]) - 1
        last = bisect.bisect_left(starts, span[1])
        logprobs = []
        for index in range(max(first, 0), last):
            piece, logprob = pieces[index]
            inside = piece[max(span[0] - starts[index], 0) : span[1] - starts[index]]
            if any(character.isdigit() for character in inside):
                logprobs.append(logprob)
        return math.exp(min(logprobs)) if logprobs else None

    return replace(
        result,
        boxes=[replace(box, score=score(box.span)) for box in result.boxes],
        points=[replace(point, score=score(point.span)) for point in result.points],
    )
