"""Many conversations on one model: they share its steps, and nothing is computed twice.

One thread runs the network, in turns. A turn is one piece of one prompt (a medium through the
vision tower, or some tokens through the decoder), then one token for every conversation that has
come so far. So a long prompt delays the others by a piece and not by its length, a new conversation
joins and an ended one leaves between two turns, and all of them read the weights together.

A piece pauses between two layers when its time is over: the others then have their turns inside of
it. On a GPU it does not, as the host is many layers ahead and would see no time pass.

`model.generate.stream_tokens` is the slow and obviously right twin.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from model import native
from model.cache import CacheBatch
from model.generate import check_prompt
from model.generation_config import make_plan
from model.out_of_memory import OutOfMemory, is_out_of_memory
from model.pacing import Pacing, even_context
from model.prompt import Prompt
from model.request import Request
from model.reuse import PrefixCache, VisionCache

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoeForConditionalGeneration

logger = logging.getLogger(__name__)

GIBIBYTE = 1024**3
MAX_PREFIX_BYTES = 2 * GIBIBYTE
MAX_VISION_BYTES = GIBIBYTE // 2


class Memory(NamedTuple):
    """Bytes held by an engine."""

    running: int
    prefixes: int
    vision: int


class Abandoned(Exception):
    """Nobody waits for a piece of a prompt any more: it was cancelled, or the engine closes."""


class Stretch:
    """Times a piece of a prompt: all of it, and since it went on after its last pause.

    Attributes:
        alone: nobody was being answered then.
    """

    _began: float
    _layer_began: float

    def __init__(self, *, alone: bool) -> None:
        self._before_s = 0.0
        self._layer_s = 0.0
        self.go_on(alone=alone)

    @property
    def seconds(self) -> float:
        """Since the last pause."""
        return time.perf_counter() - self._began

    @property
    def all_seconds(self) -> float:
        """Without the pauses."""
        return self._before_s + self.seconds

    def end_layer(self) -> float:
        """Return `seconds` as they will be after another layer such as the one that ends."""
        now = time.perf_counter()
        self._layer_s, self._layer_began = now - self._layer_began, now
        return now - self._began + self._layer_s

    def pause(self) -> None:
        """What comes until `go_on` is not of the piece."""
        self._before_s += self.seconds

    def go_on(self, *, alone: bool) -> None:
        """Begin to count, again."""
        self.alone = alone
        self._began = self._layer_began = time.perf_counter()


class Engine:
    """Runs the requests of one model; holds their state, and none of it in the network.

    Args:
        model: in evaluation mode.
        max_running: conversations computed together, at least 1; more wait, first come, first
            served.
        max_kv_bytes: keys and values of running conversations; one alone may exceed it.
        max_prefix_bytes: keys and values of ended conversations, kept for those that go on.
        max_vision_bytes: embeddings of images and videos, kept for questions to come.
    """

    def __init__(
        self,
        model: Glm4vMoeForConditionalGeneration,
        *,
        max_running: int = 8,
        max_kv_bytes: int = 4 * GIBIBYTE,
        max_prefix_bytes: int = MAX_PREFIX_BYTES,
        max_vision_bytes: int = MAX_VISION_BYTES,
    ) -> None:
        if max_running < 1:
            raise ValueError(f"max_running must be 1 or more, got {max_running}: nobody would run")
        self._model = model
        # their angles depend on the longest of a batch, and on how much is seen at once
        is_alone = model.model.language_model.rotary_emb.depends_on_length
        if is_alone:
            max_running, max_prefix_bytes = 1, 0
        text = model.config.text_config
        self._can_pause = model.lm_head.weight.is_cpu
        self._pacing = Pacing(
            in_pieces=not is_alone,
            even_context=even_context(text),
            layers=text.num_hidden_layers if self._can_pause else 0,
        )
        self._max_running = max_running
        self._max_kv_bytes = max_kv_bytes
        self._prefixes = PrefixCache(max_prefix_bytes)
        self._vision = VisionCache(max_vision_bytes)
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._changed = threading.Condition()
        self._closing = False
        self._has_news = False  # something to do may have come while the thread waits
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        # a thread that is inside of torch when the interpreter ends aborts the process
        atexit.register(self.close)

    def submit(
        self, inputs: Mapping[str, Tensor], *, numbers: Tensor | None = None, **options: Any
    ) -> Request:
        """Queue a prompt; returns at once. ``with`` the request, iterate over its tokens.

        Args:
            inputs: of one conversation (B = 1), as `Glm4vMoeModel.forward` takes them.
            numbers: as `Request`.
            options: as `model.generation_config.make_plan`.

        Raises:
            ValueError: as `stream_tokens`, before anything is computed.
        """
        ids = inputs["input_ids"]
        has_media = "pixel_values" in inputs or "pixel_values_videos" in inputs
        check_prompt(ids, None, has_media, self._model.config)
        plan = make_plan(self._model, ids.shape[1], **options)
        request = Request(Prompt(self._model.model, inputs), plan, self._wake, numbers)
        native.release_threads()  # of the caller, who has prepared the pictures
        with self._changed:
            if self._closing:
                raise RuntimeError("the engine is closed")
            if plan.max_new_tokens:
                self._waiting.append(request)
                self._number_places()
                self._has_news = True
                self._changed.notify_all()
            else:
                request.end()
        return request

    def memory(self) -> Memory:
        """Return what the engine holds now."""
        running = sum(request.nbytes for request in tuple(self._running))
        return Memory(running, self._prefixes.nbytes, self._vision.nbytes)

    def close(self) -> None:
        """End all requests and the thread, and wait for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        atexit.unregister(self.close)

    def _wake(self) -> None:
        with self._changed:
            self._has_news = True
            self._changed.notify_all()

    def _run(self) -> None:
        with torch.inference_mode():
            while True:
                native.release_threads()
                with self._changed:
                    self._changed.wait_for(lambda: self._has_news or self._closing)
                    self._has_news = False
                try:
                    while not self._closing and self._take_turn():
                        pass
                except Exception as error:  # nobody may wait for a thread that has died
                    logger.exception("the engine failed")
                    self._end_all(error)
                if self._closing:
                    break
        self._end_all(RuntimeError("the engine was closed"))

    def _take_turn(self, paused: Request | None = None) -> bool:
        """Compute a piece for everybody.

        Args:
            paused: whose piece of a prompt is not complete.

        Returns:
            False if there was nothing to do, or it is the turn of ``paused``.
        """
        with self._changed:
            self._drop_cancelled()
            self._admit()
        reading = [request for request in self._running if request.is_reading]
        answering = self._answering()
        if reading and (self._pacing.may_read or not answering):
            request = self._pacing.next_to_read(reading, paused=paused)
            if request is paused:
                return False
            how = {"alone": not answering, "is_inside": paused is not None}
            self._guard([request], lambda: self._read(request, **how))
            still = self._answering()  # some may have ended while the piece paused
            answering = [request for request in answering if request in still]
        if answering:
            self._guard(answering, lambda: self._answer(answering))
        return bool(reading or answering)

    def _answering(self) -> list[Request]:
        return [r for r in self._running if not r.is_reading and not r.is_backlogged]

    def _drop_cancelled(self) -> None:
        """End requests that nobody waits for."""
        for request in [r for r in self._waiting if r.is_cancelled]:
            self._waiting.remove(request)
            request.release()
            request.end()
        for request in [r for r in self._running if r.is_cancelled]:
            self._leave(request)

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._max_running:
            request = self._waiting[0]
            config, dtype = self._model.config, self._model.lm_head.weight.dtype
            needed = sum(r.expected_bytes(config, dtype) for r in (*self._running, request))
            if self._running and needed > self._max_kv_bytes:
                break
            self._waiting.popleft()
            self._running.append(request)
            self._guard([request], partial(self._begin, request))
        self._number_places()

    def _begin(self, request: Request) -> None:
        others = [(r.prompt.keys, r.cache) for r in self._running if r.cache is not None]
        # one token is always computed: the answer goes on from what it says
        request.begin(*self._prefixes.longest(request.prompt.keys[:-1], others))

    def _number_places(self) -> None:
        for place, request in enumerate(self._waiting, start=1):
            request.place = place

    def _leave(self, request: Request) -> None:
        """End a request; what was computed of it is kept for others, if that is possible."""
        self._running.remove(request)
        if request.cache is not None:
            try:
                self._prefixes.put(request.keys(), request.cache)
            except Exception:  # the reader has its answer all the same
                logger.exception("a conversation could not be kept")
        request.release()
        request.end()

    def _read(self, request: Request, *, alone: bool, is_inside: bool) -> None:
        """Compute one piece of a prompt, if nobody cancels it meanwhile.

        Args:
            request: whose prompt.
            alone: nobody is answered.
            is_inside: while the piece of another one pauses.
        """
        stretch = Stretch(alone=alone)
        try:
            self._read_piece(request, stretch, is_inside=is_inside)
        except Abandoned:
            pass
        finally:
            self._pacing.time_reading(stretch.seconds, alone=stretch.alone)

    def _pause(self, request: Request, stretch: Stretch) -> None:
        """Between two layers of a piece of a prompt, let others have their turns if it is time.

        Raises:
            Abandoned: ``request`` has ended.
        """
        soon = stretch.end_layer()
        others = len(self._running) > 1 or self._waiting
        if others and soon > self._pacing.reading_s:
            self._pacing.time_reading(stretch.seconds, alone=stretch.alone)
            stretch.pause()
            while self._goes_on(request) and self._take_turn(paused=request):
                pass
            stretch.go_on(alone=not self._answering())
        if not self._goes_on(request):
            raise Abandoned

    def _goes_on(self, request: Request) -> bool:
        return not (request.is_cancelled or self._closing)

    def _read_piece(self, request: Request, stretch: Stretch, *, is_inside: bool) -> None:
        can_pause = self._can_pause and not is_inside
        between_layers = partial(self._pause, request, stretch) if can_pause else None
        prompt, cache = request.prompt, request.cache
        if cache is None:  # memory ran out when it began
            self._begin(request)
            return
        cache.truncate(request.read)  # a piece that failed is begun again
        request.read_soon = request.read
        for medium in prompt.media_after(request.read):
            known = self._vision.get(medium.digest) if medium.embeddings is None else None
            if known is not None:
                medium.settle(known)
            elif medium.embeddings is None:
                medium.encode_next(self._model.model, between_layers)
                if medium.embeddings is not None:
                    self._vision.put(medium.digest, medium.embeddings)
                return
        most = self._pacing.piece_tokens(
            alone=stretch.alone, context=request.read, is_inside=is_inside
        )
        end = request.read_soon = min(request.read + most, prompt.length)
        x = prompt.embed(self._model.model, request.read, end)
        hidden = self._model.model.language_model(
            inputs_embeds=x,
            position_ids=prompt.position_ids[:, :, request.read : end],
            past_key_values=cache,
            between_layers=between_layers,
        ).last_hidden_state
        logits = self._model.lm_head(hidden[:, -1:])[:, -1] if end == prompt.length else None
        tokens, request.read = end - request.read, end
        if logits is not None:
            self._pick([request], logits)
        self._pacing.time_tokens(tokens, stretch.all_seconds, is_rest=tokens < most)

    def _answer(self, requests: list[Request]) -> None:
        """Compute the next token of each."""
        started = time.perf_counter()
        caches = []
        for request in requests:
            assert request.cache is not None
            request.cache.truncate(request.ids.shape[1] - 1)  # a step that failed is begun again
            caches.append(request.cache)
        ids = torch.cat([request.ids[:, -1:] for request in requests])
        positions = torch.tensor([[request.next_position] for request in requests])
        hidden = self._model.model.language_model(
            input_ids=ids,
            position_ids=positions.to(ids.device),
            past_key_values=caches[0] if len(caches) == 1 else CacheBatch(caches),
        ).last_hidden_state
        self._pick(requests, self._model.lm_head(hidden[:, -1]))
        self._pacing.time_answering(time.perf_counter() - started)

    def _pick(self, requests: list[Request], logits: Tensor) -> None:
        """Hand each request its next token, from the (B, V) ``logits``."""
        logits = logits.to(requests[0].ids.device).float()
        logprobs = logits.log_softmax(dim=-1).unbind()  # of all at once
        chosen = {}
        for request, row, of_row in zip(requests, logits.split(1), logprobs, strict=True):
            with self._fails_alone(request):
                chosen[request] = request.choose(row, of_row)
        if not chosen:
            return
        read = torch.stack(list(chosen.values())).tolist()  # the step's one wait for the device
        values = dict(zip(chosen, read, strict=True))
        for request, of_row in zip(requests, logprobs, strict=True):
            is_last = False
            if request in values:
                with self._fails_alone(request):
                    is_last = request.take(values[request], of_row)
            if is_last:
                self._leave(request)

    @contextmanager
    def _fails_alone(self, request: Request) -> Iterator[None]:
        """End a request whose token can't be picked, and go on."""
        try:
            yield
        except Exception as error:
            logger.exception("no token could be picked")
            self._fail(request, error)

    def _guard(self, requests: list[Request], work: Callable[[], None]) -> None:
        """Do ``work`` for ``requests``; if it fails, end as few of them as possible."""
        try:
            work()
        except Exception as error:
            if is_out_of_memory(error):
                self._free_memory(requests, error)
            elif len(requests) == 1:
                logger.exception("a request failed")
                self._fail(requests[0], error)
            else:  # each goes on alone, and the culprit ends alone
                for request in requests:
                    self._guard([request], partial(self._answer, [request]))

    def _free_memory(self, requests: list[Request], error: Exception) -> None:
        """Give up what is only kept, else the newest of ``requests``; the turn is repeated then."""
        if self._prefixes.nbytes or self._vision.nbytes:
            self._prefixes.clear()
            self._vision.clear()
        else:
            newest = max(requests, key=lambda request: request.began)
            logger.warning("out of memory: ending the newest request (%s)", error)
            self._fail(newest, error)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _fail(self, request: Request, error: Exception) -> None:
        self._running.remove(request)
        request.release()
        if is_out_of_memory(error):
            error = OutOfMemory()
        # its frames hold tensors
        request.end(error.with_traceback(None))

    def _end_all(self, error: Exception) -> None:
        with self._changed:
            waiting = list(self._waiting)
            self._waiting.clear()
        for request in waiting:
            request.release()
            request.end(error)
        for request in list(self._running):
            self._fail(request, error)
