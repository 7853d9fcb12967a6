"""How an engine's time is shared between prompts that are read and answers that are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from model.config import Glm4vMoeTextConfig
from model.request import Request

# Pieces of a prompt: long enough for the matrix products, short enough to stop in a moment.
FIRST_PIECE_TOKENS = 512
MAX_PIECE_TOKENS = 4096
MIN_PIECE_TOKENS = 64  # of fewer, most is the time to read all weights,
MIN_LATE_PIECE_TOKENS = 4  # unless attention to what came before takes longer than that
TELLING_TOKENS = 16  # of fewer, what was left of a prompt, nothing is learned
# Without a pause a prompt is read so long while nobody is being answered ...
PIECE_S = 0.5
# ... and while somebody is, so many times what a token takes: tokens come at a quarter of their
# speed then. A gap as short as this disturbs nobody.
READING_ANSWERS = 3
MIN_READING_S = 0.1
# A piece pauses between two layers. Where it can, it lasts for one turn per so many layers, and for
# so many turns at most: longer pieces are faster, but keep who comes meanwhile waiting.
LAYERS_PER_TURN = 4
MAX_TURNS = 8
# Of the time in which somebody is being answered, so much goes to reading prompts.
READING_SHARE = 0.75
# Of what was measured before, so much stays in an average.
KEPT_SHARE = 0.75
# One piece in so many is of the prompt that came first, however long it is.
OLDEST_EVERY = 4


def even_context(config: Glm4vMoeTextConfig) -> float:
    """Return how many tokens before it make a token's attention as costly as its weights.

    In multiplications: two for each weight of a token's way through the layers, four for each
    number that one of its heads sees of an earlier token.
    """
    assert config.head_dim is not None
    hidden, layers = config.hidden_size, config.num_hidden_layers
    heads_size = config.num_attention_heads * config.head_dim
    kv_size = config.num_key_value_heads * config.head_dim
    dense = min(config.first_k_dense_replace, layers)
    experts = config.num_experts_per_tok + config.n_shared_experts
    inner = dense * config.intermediate_size
    inner += (layers - dense) * experts * config.moe_intermediate_size
    weights = hidden * (layers * 2 * (heads_size + kv_size) + 3 * inner)
    return weights / (2 * layers * heads_size)


class Pacing:
    """Decides who reads, how much at once, and when answers are due.

    Args:
        in_pieces: False reads every prompt as a whole.
        even_context: as the function of this name.
        layers: of the decoder, if a piece can pause between two of them; else 0.
    """

    def __init__(
        self, *, in_pieces: bool = True, even_context: float = math.inf, layers: int = 0
    ) -> None:
        self._in_pieces = in_pieces
        self._turns = min(max(layers // LAYERS_PER_TURN, 1), MAX_TURNS)
        self._even_context = even_context
        self._pieces = 0  # of prompts, read so far
        self._owed_s = 0.0  # for answers, before the next piece of a prompt is read
        self._token_s = 0.0  # what a token of a prompt took lately
        self._answer_s = 0.0  # what a turn for answers takes, on average

    @property
    def may_read(self) -> bool:
        """Whether answers have had their share of the time since the last piece."""
        return self._owed_s <= 0

    def next_to_read(self, reading: Sequence[Request], *, paused: Request | None = None) -> Request:
        """Whoever is through soonest, so that most wait least; now and then the oldest.

        Args:
            reading: whose prompts are not read, the oldest first.
            paused: who has a piece at hand already.
        """
        chosen = reading[0]
        if (self._pieces + 1) % OLDEST_EVERY:
            chosen = min(reading, key=lambda request: request.prompt.length - request.read_soon)
        if chosen is not paused:
            self._pieces += 1
        return chosen

    @property
    def reading_s(self) -> float:
        """How long a prompt is read without a pause while somebody is answered, in seconds."""
        return max(READING_ANSWERS * self._answer_s, MIN_READING_S)

    def piece_tokens(self, *, alone: bool, context: int = 0, is_inside: bool = False) -> int:
        """Return how many tokens of a prompt are read at once.

        Args:
            alone: nobody is answered.
            context: tokens before them.
            is_inside: while the piece of another prompt pauses; this one can't.
        """
        if not self._in_pieces:
            return MAX_PIECE_TOKENS**2
        if not self._token_s:
            return FIRST_PIECE_TOKENS
        alone, turns = alone and not is_inside, 1 if is_inside else self._turns
        seconds = turns * (PIECE_S if alone else self.reading_s)
        # a prompt of this size is one piece when nobody is disturbed, however busy the machine is
        late = int(turns * MIN_PIECE_TOKENS / (1 + context / self._even_context))
        least = FIRST_PIECE_TOKENS if alone else max(late, MIN_LATE_PIECE_TOKENS)
        return min(max(int(seconds / self._token_s), least), MAX_PIECE_TOKENS)

    def time_tokens(self, tokens: int, seconds: float, *, is_rest: bool = False) -> None:
        """Learn what ``tokens`` of a prompt took; the rest of one may be less than a piece."""
        if tokens >= TELLING_TOKENS or not is_rest:
            self._token_s = seconds / tokens

    def time_reading(self, seconds: float, *, alone: bool) -> None:
        """Learn what a turn for a prompt took; answers that waited get their share now."""
        self._owed_s = 0.0 if alone else seconds * (1 - READING_SHARE) / READING_SHARE

    def time_answering(self, seconds: float) -> None:
        """Learn what a turn for answers took."""
        self._owed_s = max(self._owed_s - seconds, 0.0)
        before = self._answer_s or seconds
        self._answer_s = KEPT_SHARE * before + (1 - KEPT_SHARE) * seconds
