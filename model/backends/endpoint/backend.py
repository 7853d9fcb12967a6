"""A server that speaks the OpenAI protocol as a backend: vLLM, SGLang, Z.ai and others."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import Future, TimeoutError
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import openai

from model.backends.base import (
    Abilities,
    AnswerDelta,
    BackendError,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Sent,
    Status,
    Waiting,
)
from model.backends.endpoint.asking import Asker
from model.backends.endpoint.dialects import most_images
from model.backends.endpoint.errors import FOR_OPERATORS, Advice
from model.backends.endpoint.messages import count_tokens, to_openai, view_of
from model.backends.endpoint.opening import Opening, read_opening
from model.backends.endpoint.server import (
    LISTING_TIMEOUT_S,
    SERVER_ERRORS,
    Listing,
    Server,
    has_no_list,
)
from model.processing import WHOLE, Attachment, Choice, Limits, ProcessingCache, open_attachment

logger = logging.getLogger(__name__)

# Whoever waits is told so this often, which is an occasion to stop waiting.
HEARTBEAT_S = 0.25
# The rest is for the question and the answer.
ATTACHMENT_SHARE = 0.75


CLOSED = "The connection was closed from this side; connect again"


class _Loop:
    """An event loop in a thread of its own: what runs there can be cancelled wherever it waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()
        self._lock = threading.Lock()
        self._is_stopped = False

    def start(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start ``work``; cancelling what is returned cancels it, from any thread.

        Raises:
            BackendError: the loop was stopped.
        """
        with self._lock:
            if not self._is_stopped:
                return self._run(work)
        work.close()
        raise BackendError(CLOSED)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @property
    def is_stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._is_stopped

    def stop(self, leave: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Cancel everything, wait for that, then for ``leave``, and end the thread; once."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await leave()

        with self._lock:
            is_first, self._is_stopped = not self._is_stopped, True
        if is_first:
            self._run(end()).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class _Places:
    """So many at a time; the others wait in the order in which they came."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._queue: list[object] = []

    def number_of(self, who: object) -> int:
        """Return the place in the queue, 1 for the next; 0 for who does not wait."""
        return next((n for n, each in enumerate(self._queue, start=1) if each is who), 0)

    @asynccontextmanager
    async def take(self, who: object) -> AsyncIterator[None]:
        """Wait for a place, and hold it until the block ends."""
        self._queue.append(who)
        try:
            await self._free.acquire()
        finally:
            self._queue.remove(who)
        try:
            yield
        finally:
            self._free.release()


class EndpointBackend:
    """A server of the OpenAI protocol. Holds an address and a key, no conversation.

    A look at the server begins at once and is repeated; ``status`` tells what it found. Only that
    server is ever called: redirects are not followed. Every answer runs as a task in one event
    loop, so that closing a stream ends it wherever it is: while a place is waited for, while
    connecting, before the first token, between two tries.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        family: str | None = None,
        api_key: str = "",
        dialect: str = "auto",
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 300.0,
        max_retries: int = 3,
        retry_delay_s: float = 0.5,
        max_conversations: int = 8,
        advice: Advice = FOR_OPERATORS,
    ) -> None:
        """
        Args:
            base_url: address of the protocol's root; it mostly ends in ``/v1``.
            model: name of the model to ask; None for the first that the server lists.
            family: what model that is, such as "qwen2.5-vl", where its name does not tell.
            api_key: "" for a server that wants none.
            dialect: "auto", or one of ``DIALECTS``.
            connect_timeout_s: for making a connection.
            read_timeout_s: of silence, before the first token too.
            max_retries: how often a question is asked again that failed before the first token.
            retry_delay_s: before the first of these; doubled for each further one.
            max_conversations: how many answers may be asked for at the same time; more wait.
            advice: what messages tell to do, for whoever chose the server.

        Raises:
            ValueError: an address or a key that cannot be used, or an unknown dialect.
        """
        timeout = openai.Timeout(read_timeout_s, connect=connect_timeout_s)
        self._server = Server(
            base_url,
            model=model,
            api_key=api_key,
            dialect=dialect,
            timeout=timeout,
            advice=advice,
        )
        self._asker = Asker(self._server, max_retries=max_retries, retry_delay_s=retry_delay_s)
        self._family = family
        self._cache = ProcessingCache()
        self._places = _Places(max_conversations)
        self._loop = _Loop()
        self._loop.start(self._server.watch())

    def __repr__(self) -> str:
        return f"EndpointBackend({self._server!r})"

    @property
    def name(self) -> str:
        """The model's name, or the server's while it is not known."""
        return self._server.model or self._server.host

    @property
    def model_name(self) -> str:
        """The family that was given, else the model's name at the server; "" while not known."""
        return self._family or self._server.model or ""

    @property
    def abilities(self) -> Abilities:
        """What the server's dialect allows, which may be known once the server is there."""
        return Abilities(continuing=self._server.dialect.continuing != "none")

    @property
    def defaults(self) -> SamplingOptions:
        """Not known: neither vLLM nor SGLang tells what it takes for an option that is not sent."""
        return SamplingOptions()

    def status(self) -> Status:
        """Say whether the server was there when it was last looked for, and what it had."""
        return self._server.status

    @property
    def context_length(self) -> int | None:
        """Tokens that a conversation and its answer may have together; None if not known (yet)."""
        return self._server.listing.context_length(self._server.model)

    def list_models(self) -> tuple[str, ...]:
        """Ask the server for its models, now; none where it is there and lists nothing.

        Raises:
            BackendError: it does not tell; the message says why.
        """
        work = self._loop.start(self._server.list_models())
        try:
            listing: Listing = work.result(2 * LISTING_TIMEOUT_S)
        except TimeoutError:
            work.cancel()
            raise BackendError(f"{self._server.host} was silent for too long; try again") from None
        except SERVER_ERRORS as error:
            if has_no_list(error):
                return ()
            raise self._server.explainer.explain(error) from None
        return listing.models

    def test_connection(self) -> Status:
        """Look at the server now, and return the status after that."""
        self._loop.start(self._server.look()).result(2 * LISTING_TIMEOUT_S)
        return self._server.status

    def choose_model(self, name: str) -> None:
        """Ask this model from the next question on."""
        self._server.choose_model(name)
        self._loop.start(self._server.look())

    @property
    def is_closed(self) -> bool:
        """Whether the backend was closed, and answers no more."""
        return self._loop.is_stopped

    def close(self) -> None:
        """End all answers and connections; the backend cannot be used any more."""
        self._loop.stop(self._server.client.close)
        self._server.status = Status("failed", CLOSED)

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        """Open a file as the model will see it; see ``ChatBackend``.

        Whatever the server has, sizes and tokens are those of GLM-4.5V, or of GLM-4.6V if the
        model is called that. Frames of videos are sent as images, each with its time.
        """
        most = limits.max_tokens
        if context_length := self.context_length:
            most = min(most, int(context_length * ATTACHMENT_SHARE))
        limits = replace(limits, max_tokens=most)
        if images := most_images(self._server.dialect, self._server.model):
            limits = replace(
                limits,
                max_pages=min(limits.max_pages, images),
                max_frames=min(limits.max_frames, images),
            )
        return open_attachment(
            path,
            choice,
            limits=limits,
            view=view_of(self._server.model),
            cache=self._cache,
        )

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        """Yield the answer as it comes, ending with ``Finished``; closing it ends all work.

        While nothing comes it yields ``Waiting``, or an empty piece within an answer: a generator
        that waits cannot be closed. Where the server's chat template closes a thought in any case
        (vLLM), a conversation that ends within one is gone on with by the answer to it.

        Raises:
            BackendError: there is no answer, or no more of it; or the server cannot go on with one.
            MediaError: an image cannot be used.
        """
        events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
        # encoded here, not in the loop, which other answers share
        converted = to_openai(messages, self._cache)
        work = self._loop.start(self._answer(converted, enable_thinking, options, events))
        has_begun = False
        try:
            while True:
                try:
                    event = events.get(timeout=HEARTBEAT_S)
                except queue.Empty:
                    if work.done() and events.empty():
                        raise BackendError(CLOSED) from None
                    place = self._places.number_of(events)
                    event = AnswerDelta("") if has_begun else Waiting(place)
                else:
                    has_begun = has_begun or not isinstance(event, Sent)
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, Finished):
                    if not event.prompt_tokens:
                        guess = count_tokens(messages, view_of(self._server.model))
                        event = replace(event, prompt_tokens=guess)
                    yield event
                    return
                yield event
        finally:
            work.cancel()

    async def _answer(
        self,
        messages: list[dict[str, Any]],
        enable_thinking: bool,
        options: SamplingOptions,
        events: queue.SimpleQueue[Event | Exception],
    ) -> None:
        """Ask, and pass on what comes; the last is ``Finished`` or an exception."""
        try:
            async with self._places.take(events):
                await self._server.require_model()
                messages, opening = self._leave_open(messages)
                # a prompt without thinking would close a thought before it has begun
                thinking = enable_thinking or (opening is not None and bool(opening.thought))
                await self._asker.ask(messages, thinking, options, events.put, opening)
        except Exception as error:
            if isinstance(error, BackendError):
                logger.warning("no answer, or no more of it: %s", error)
            events.put(error)

    def _leave_open(
        self, messages: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], Opening | None]:
        """Return the messages as the server goes on with them, and what it goes on with."""
        *earlier, last = messages
        if last["role"] != "assistant":
            return messages, None
        way = self._server.dialect.continuing
        opening = read_opening(last, closes_thought=way == "template")
        if opening is None:
            return earlier, None
        if way == "none":
            raise BackendError(
                f"{self._server.host} cannot go on with an answer; ask it to in a new message"
            )
        return [*earlier, {"role": "assistant", "content": opening.to_text()}], opening
