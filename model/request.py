"""One answer in the engine: its prompt, its cache, its sampling, and who waits for its tokens."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor

from model.cache import KVCache
from model.config import Glm4vMoeConfig
from model.generate import EXPECTED_NEW_TOKENS
from model.generation_config import Plan
from model.prompt import Prompt
from model.sampling import pick

# Of thousandths: two corners so far apart point at the same thing, mostly.
CLOSE = 50
# Tokens computed ahead of a reader; then the request waits for it.
MAX_BACKLOG = 64


class Token(NamedTuple):
    """A token that was generated.

    Attributes:
        id: the token; the one that ends the answer is yielded too.
        logprob: natural logarithm of the probability that the network gave it, before penalties
            and temperature; so too where another one was picked and this one closes a thought.
        close_logprob: if it is a number, that of it or a number at most `CLOSE` away; else
            ``logprob``.
    """

    id: int
    logprob: float
    close_logprob: float


class Request:
    """One answer being computed.

    The engine's thread computes; another thread iterates over the tokens as they come, inside
    ``with``: leaving the block cancels what is still to be computed.

    Args:
        prompt: what is asked.
        plan: how it is answered.
        wake: tells the engine that something has changed.
        numbers: (N,) int64, the tokens that mean 0 to N - 1; None if it does not matter.

    Attributes:
        place: in the queue, 1 for the next; 0 once it is computed.
        began: when computing began, in seconds of ``time.perf_counter``; 0 before.
    """

    def __init__(
        self, prompt: Prompt, plan: Plan, wake: Callable[[], None], numbers: Tensor | None = None
    ) -> None:
        self.prompt = prompt
        self.plan = plan
        self.numbers = numbers
        self.ids = prompt.ids
        self.cache: KVCache | None = None
        self.read = 0  # tokens of the prompt that are in the cache
        self.read_soon = 0  # that will be, when the piece at hand is complete
        self.place = 0
        self.began = 0.0
        self.is_cancelled = False
        self._wake = wake
        self._generator = plan.generator(prompt.ids.device)
        self._thought = plan.thought(prompt.ids[0])
        self._out: queue.SimpleQueue[Token | Exception | None] = queue.SimpleQueue()
        self._has_output = threading.Event()  # since the first token, or the end

    def __enter__(self) -> Request:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[Token]:
        """Yield the tokens as they come, the stop token included.

        Raises:
            Exception: whatever went wrong with this request.
        """
        while True:
            token = self.next_token()
            if token is None:
                return
            yield token

    def wait(self, timeout_s: float) -> bool:
        """Wait until a token or the end is there, or ``timeout_s`` is over; whether it is."""
        return self._has_output.wait(timeout_s)

    def next_token(self, timeout_s: float | None = None) -> Token | None:
        """Wait for the next token; None after the last.

        Raises:
            queue.Empty: there was none within ``timeout_s``.
            Exception: whatever went wrong with this request.
        """
        item = self._out.get(timeout=timeout_s)
        # looked at after the get: before it, the engine could fill the queue unseen and wait for us
        if self._out.qsize() >= MAX_BACKLOG - 1:
            self._wake()
        if item is None or isinstance(item, Exception):
            self._out.put(item)  # the end stays the end
        if isinstance(item, Exception):
            raise item
        return item

    def cancel(self) -> None:
        """Stop computing, at the latest after the piece at hand; that is the end then."""
        self.is_cancelled = True
        self._wake()

    # what follows is called by the engine's thread

    @property
    def is_reading(self) -> bool:
        """Whether some of the prompt is still to be computed."""
        return self.read < self.prompt.length

    @property
    def is_backlogged(self) -> bool:
        """Whether the reader lags so far behind that computing waits."""
        return self._out.qsize() >= MAX_BACKLOG

    @property
    def next_position(self) -> int:
        """M-RoPE position of the token after those in the cache, the same on every plane."""
        assert self.cache is not None
        return self.cache.length + self.prompt.rope_delta

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        cache = self.cache
        return 0 if cache is None else cache.nbytes

    def expected_bytes(self, config: Glm4vMoeConfig, dtype: torch.dtype) -> int:
        """Return the bytes of keys and values that prompt and answer have, or probably will."""
        text = config.text_config
        assert text.head_dim is not None
        per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim
        return max(per_token * dtype.itemsize * self._capacity, self.nbytes)

    def begin(self, shared: int, source: KVCache | None) -> None:
        """Start with a copy of the first ``shared`` tokens of another conversation's cache."""
        self.place, self.began = 0, time.perf_counter()
        layers = self.prompt.num_layers
        self.cache = (
            KVCache(layers, self._capacity)
            if source is None
            else source.fork(shared, self._capacity)
        )
        self.read = self.read_soon = shared
        self.prompt.media = list(self.prompt.media_after(shared))

    def choose(self, logits: Tensor, logprobs: Tensor) -> Tensor:
        """Pick the next token, without waiting for the device.

        Args:
            logits: (1, V).
            logprobs: (V,), their logarithms of probabilities in float32.

        Returns:
            (3,) float64: what `Token` holds.
        """
        allowed = logits
        if self._thought is not None:
            allowed = self._thought.allowed(logits[0])[None]
        token = pick(allowed, self.plan.sampling, self.ids, self._generator)
        return self._describe(token, logprobs)

    def take(self, chosen: Sequence[float], logprobs: Tensor) -> bool:
        """Hand on what `choose` returned for ``logprobs``; True if it is the last token."""
        if self._thought is not None:
            token_id = self._thought.take(int(chosen[0]))
            if token_id != chosen[0]:
                chosen = self._describe(self.ids.new_tensor([token_id]), logprobs).tolist()
        token = Token(int(chosen[0]), chosen[1], chosen[2])
        self.ids = torch.cat((self.ids, self.ids.new_tensor([[token.id]])), dim=1)
        self._out.put(token)
        self._has_output.set()
        made = self.ids.shape[1] - self.prompt.length
        return token.id in self.plan.eos_token_id or made >= self.plan.max_new_tokens

    def _describe(self, token: Tensor, logprobs: Tensor) -> Tensor:
        """Return (3,) float64: a token (1,) and its two logarithms by ``logprobs`` (V,)."""
        logprob = logprobs.gather(0, token)
        close = logprob
        if self.numbers is not None:
            equal = self.numbers == token
            places = torch.arange(len(equal), device=equal.device)
            is_close = (places - equal.int().argmax()).abs() <= CLOSE
            summed = logprobs[self.numbers].where(is_close, float("-inf")).logsumexp(0, True)
            close = summed.where(equal.any(), logprob)
        return torch.cat((token.double(), logprob.double(), close.double()))

    def keys(self) -> Tensor:
        """Return the keys of prompt and answer, as `Prompt.keys`."""
        return torch.cat((self.prompt.keys, self.ids[0, self.prompt.length :].cpu()))

    def release(self) -> None:
        """Let go of the cache and the media."""
        self.cache = None
        self.prompt.media = []

    def end(self, error: Exception | None = None) -> None:
        """Tell the reader that nothing more comes, and why if something went wrong."""
        self._out.put(error)
        self._has_output.set()

    @property
    def _capacity(self) -> int:
        return self.prompt.length + min(self.plan.max_new_tokens, EXPECTED_NEW_TOKENS)
