"""One question to a server: asked until it is answered, with what the server refuses left out."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

import openai

from model.backends.base import BackendError, Event, SamplingOptions, Sent
from model.backends.endpoint.answer import FAILED_REASONS, WITHHELD_REASONS, AnswerReader
from model.backends.endpoint.dialects import refused_fields, request_fields, thinking_suffix
from model.backends.endpoint.errors import (
    Dropped,
    Gibberish,
    complaint_of,
    is_retriable,
    retry_after,
)
from model.backends.endpoint.messages import with_suffix
from model.backends.endpoint.opening import Opening
from model.backends.endpoint.sent import describe_request
from model.backends.endpoint.server import SERVER_ERRORS, Server

logger = logging.getLogger(__name__)

# Who is told to wait longer is told so, instead of waiting here.
MAX_RETRY_DELAY_S = 20.0


class Asker:
    """Asks one server questions; remembers of earlier ones what the server does not take."""

    def __init__(self, server: Server, *, max_retries: int, retry_delay_s: float) -> None:
        self._server = server
        self._max_retries = max_retries
        self._retry_delay_s = retry_delay_s
        self._refused: frozenset[str] = frozenset()  # fields

    async def ask(
        self,
        messages: list[dict[str, Any]],
        enable_thinking: bool,
        options: SamplingOptions,
        emit: Callable[[Event], None],
        opening: Opening | None = None,
    ) -> None:
        """Pass on what comes; the last is ``Finished``.

        Args:
            messages: in the protocol's form.
            opening: what the last message is, if that is an answer to be gone on with.

        Raises:
            BackendError: it cannot be had.
        """
        fields = request_fields(
            self._server.dialect,
            options,
            enable_thinking=enable_thinking,
            goes_on=opening is not None,
        )
        tries, refused = 0, self._refused
        while True:
            suffix = thinking_suffix(self._server.model, refused, enable_thinking=enable_thinking)
            reader = AnswerReader(enable_thinking=enable_thinking, opening=opening)
            try:
                await self._read_answer(
                    with_suffix(messages, suffix) if suffix else messages,
                    {name: fields[name] for name in fields.keys() - refused},
                    reader,
                    emit,
                )
                break
            except SERVER_ERRORS as error:
                if reader.has_text:
                    for event in reader.flush():
                        emit(event)
                    raise self._server.explainer.cut(error) from None
                if complained := _complaints(error, fields.keys() - refused):
                    refused |= complained
                    continue
                wait = retry_delay(error, tries, self._retry_delay_s)
                if wait is None or tries == self._max_retries:
                    raise self._server.explainer.explain(
                        error, await self._models_if(error)
                    ) from None
            tries += 1
            await asyncio.sleep(wait)
        # only now: a complaint about something else may quote the whole request
        if new := refused - self._refused:
            logger.warning("%s does not take %s", self._server.host, ", ".join(sorted(new)))
            self._refused |= new

    async def _read_answer(
        self,
        messages: list[dict[str, Any]],
        fields: dict[str, Any],
        reader: AnswerReader,
        emit: Callable[[Event], None],
    ) -> None:
        """Ask once, and pass on what was sent and what comes.

        Raises:
            openai.APIError, Dropped, Gibberish: no answer, or not all of it.
            BackendError: the server says that the rest will not come.
        """
        started, first_token_s = time.perf_counter(), 0.0
        stream = await self._server.client.chat.completions.create(
            model=self._server.model,
            messages=cast(Any, messages),
            stream=True,
            extra_body=fields,
            extra_headers=self._server.headers,
        )
        body = {"model": self._server.model, "messages": messages, "stream": True, **fields}
        sent = Sent(self._server.explainer.hide(describe_request(body)))
        chunks = 0
        async with stream:
            async for chunk in stream:
                chunks += 1
                events = reader.push(chunk)
                if reader.has_text and not first_token_s:
                    first_token_s = time.perf_counter() - started
                    emit(sent)
                for event in events:
                    emit(event)
        if reader.finish_reason is None:
            kind = stream.response.headers.get("content-type", "")
            if not chunks and "event-stream" not in kind:
                raise Gibberish(f"{kind or 'something'} in the place of a stream")
            raise Dropped
        if not reader.has_text:
            emit(sent)
        for event in reader.flush():
            emit(event)
        if reader.finish_reason in WITHHELD_REASONS:
            raise BackendError(f"{self._server.host} withholds the answer ({reader.finish_reason})")
        if reader.finish_reason in FAILED_REASONS:
            raise BackendError(
                f"the answer is cut off: {self._server.host} failed ({reader.finish_reason}); "
                "try again"
            )
        total_s = time.perf_counter() - started
        emit(
            reader.finished(
                prompt_tokens=0, first_token_s=first_token_s or total_s, total_s=total_s
            )
        )

    async def _models_if(self, error: Exception) -> tuple[str, ...]:
        """Return the models that the server has, where the error may be about their names."""
        if not isinstance(error, openai.APIStatusError) or error.status_code not in (400, 404):
            return ()
        try:
            return (await self._server.list_models()).models
        except SERVER_ERRORS:
            return ()


def _complaints(error: BaseException, sent: Iterable[str]) -> set[str]:
    """Return the fields sent that the server may be complaining of."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in (400, 422):
        return set()
    return refused_fields(complaint_of(error), sent)


def retry_delay(error: BaseException, tries: int, first_s: float) -> float | None:
    """Return the seconds to wait before asking again; None if that would not help.

    Args:
        tries: how often it was asked again already.
        first_s: the longest wait before the first of these; doubled for each further one.
    """
    if not is_retriable(error):
        return None
    # spread, so that those who failed together do not come back together
    wait = first_s * 2**tries * random.uniform(0.5, 1.0)
    wait = max(wait, retry_after(error) or 0.0)
    return wait if wait <= MAX_RETRY_DELAY_S else None
