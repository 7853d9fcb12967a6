"""Logits to the next token: repetition penalty, temperature, top-k, top-p, one draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is picked; the defaults are greedy.

    Attributes:
        do_sample: draw; otherwise the most likely token is taken.
        temperature: divides the logits; > 0.
        top_k: only the so many likeliest tokens may be drawn; 0 for all.
        top_p: only the likeliest tokens whose probabilities reach this sum may be drawn; 1 for all.
        repetition_penalty: logits of tokens already in the text are divided (positive) or
            multiplied (negative) by it (CTRL, arXiv 1909.05858, section 4.1); 1 for none.
    """

    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(
                f"temperature must be above 0, got {self.temperature}; use do_sample=False for the "
                "most likely token"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (off) or more, got {self.top_k}")
        if self.repetition_penalty <= 0:
            raise ValueError(f"repetition_penalty must be above 0, got {self.repetition_penalty}")


def penalize_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Return (B, V) logits with those of the tokens ``seen`` (B, T) made less likely."""
    values = logits.gather(-1, seen)
    values = torch.where(values < 0, values * penalty, values / penalty)
    return logits.scatter(-1, seen, values)


def keep_top_k(logits: Tensor, top_k: int) -> Tensor:
    """Return (B, V) logits, -inf below the ``top_k``-th of a row; ties with it stay."""
    threshold = logits.topk(min(top_k, logits.shape[-1]), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < threshold, float("-inf"))


def keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """Return (B, V) logits, -inf outside the smallest likeliest set that reaches ``top_p``.

    Of equal ones, those of higher ids stay.
    """
    ordered, order = logits.sort(dim=-1, stable=True)
    # from the least likely up: what sums to 1 - top_p goes, but never the likeliest
    dropped = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    dropped[..., -1] = False
    return logits.masked_fill(dropped.scatter(-1, order, dropped), float("-inf"))


def likely_tokens(logits: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """Return what `keep_top_k` and then `keep_top_p` leave, without sorting the vocabulary.

    Sorting 151,552 logits takes 10 ms on a CPU core, a third of a token of a 0.9 B model. Waits for
    the device.

    Args:
        logits: (V,) float32.
        top_k: 0 for all.
        top_p: 1 for all.

    Returns:
        tokens: (n,) int64, ascending.
        probabilities: (n,) float32, above 0; their sum is not 1.
    """
    if top_k:
        tokens = (logits >= logits.topk(min(top_k, len(logits))).values[-1]).nonzero()[:, 0]
        probabilities = logits[tokens].softmax(dim=-1)
        rest = logits.new_zeros(())
    else:
        everything = logits.softmax(dim=-1)
        # all below this together have half of what is dropped, so they are dropped
        least = (1 - top_p) / (2 * len(logits))
        tokens = (everything >= least).nonzero()[:, 0]
        probabilities = everything[tokens]
        rest = everything.double().sum() - probabilities.double().sum()
    order = logits[tokens].sort(stable=True).indices
    dropped = probabilities[order].cumsum(dim=-1) + rest <= 1 - top_p
    dropped[-1] = False
    kept = order[~dropped].sort().values
    return tokens[kept], probabilities[kept]


def draw(probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw one of (n,) shares of their sum; returns its index, (1,) int64.

    By one random number, held against the running sum: rounding that makes another choice of what
    is hardly probable, or another order of equals, does not make another draw.
    """
    sums = probabilities.double().cumsum(dim=-1)
    at = torch.rand(1, generator=generator, dtype=torch.float64) * sums[-1]
    return torch.searchsorted(sums, at, right=True).clamp(max=len(sums) - 1)


def pick(
    logits: Tensor, sampling: Sampling, seen: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Choose each row's next token.

    Args:
        logits: (B, V), any float dtype; computed in float32.
        sampling: how.
        seen: (B, T) int64, the text so far, for the repetition penalty.
        generator: source of randomness; needed if sampling draws.

    Returns:
        (B,) int64.
    """
    logits = logits.float()
    if sampling.repetition_penalty != 1:
        logits = penalize_repetition(logits, seen, sampling.repetition_penalty)
    if not sampling.do_sample:
        return logits.argmax(dim=-1)
    logits = logits / sampling.temperature
    if logits.is_cpu and (sampling.top_k or sampling.top_p < 1):
        drawn = []
        for row in logits:
            tokens, probabilities = likely_tokens(row, sampling.top_k, sampling.top_p)
            drawn.append(tokens[draw(probabilities, generator)])
        return torch.cat(drawn)
    if sampling.top_k:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
