"""A question to the model -> the growing turn. What both tabs and the HTTP interface run on."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

from grounding import convention_for_model
from model.backends.base import (
    BackendError,
    ChatBackend,
    Finished,
    Reply,
    SamplingOptions,
)
from model.processing import MediaError
from ui.conversation import (
    Conversation,
    Picture,
    Turn,
    explain_ending,
    pictures_in_question,
    to_messages,
)
from ui.language import say, say_message
from ui.rendering.marking import mark, mark_complete

logger = logging.getLogger(__name__)

# Text that comes faster is shown in larger pieces: each piece is a message to the browser.
MIN_INTERVAL_S = 0.05


class Refused(Exception):
    """The question cannot be answered as it is; nothing was computed. Its text is for the user."""


def answer(
    backend: ChatBackend,
    conversation: Conversation,
    *,
    thinking: bool,
    options: SamplingOptions,
    system: str = "",
) -> Generator[tuple[Turn, Reply], None, None]:
    """Let the last turn of ``conversation`` be answered; yield it as it grows, then once complete.

    What it has of an answer already is gone on with. A failure after the first piece ends in a turn
    with the state "failed" that keeps what came.

    Args:
        system: what the model is told before the conversation; "" for nothing.

    Raises:
        Refused: the backend refused the question before the first piece.
    """
    before = conversation[-1]
    turn = replace(before, convention=convention_for_model(backend.model_name))
    reply = Reply(turn.thinking, turn.answer)
    pictures = pictures_in_question(conversation)
    started = shown = time.monotonic()
    messages = to_messages(conversation, system)
    stream = backend.stream(messages, enable_thinking=thinking, options=options)
    with closing(stream):
        try:
            for event in stream:
                reply.add(event)
                now = time.monotonic()
                turn = _grow(turn, reply, before.spent_s + now - started)
                if now - shown >= MIN_INTERVAL_S or isinstance(event, Finished):
                    shown = now
                    turn = mark(turn, pictures)
                    yield turn, reply
        except (BackendError, MediaError) as error:
            if (reply.thinking, reply.answer) == (before.thinking, before.answer):
                raise Refused(as_sentence(error)) from error
            turn = _fail(turn, as_sentence(error), pictures)
        except Exception:
            logger.exception("the answer failed")
            note = say("Something went wrong while answering. The server's log has the details.")
            turn = _fail(turn, note, pictures)
        else:
            turn = replace(turn, state="done", finished=_finish(before, reply))
            turn = mark_complete(turn, pictures, explain_ending(reply))
    yield turn, reply


def _grow(turn: Turn, reply: Reply, spent_s: float) -> Turn:
    thinking_s = turn.thinking_s
    if reply.thinking and thinking_s is None and (reply.answer or reply.finished):
        thinking_s = spent_s
    return replace(
        turn,
        thinking=reply.thinking,
        answer=reply.answer,
        thinking_s=thinking_s,
        waiting=reply.waiting,
        spent_s=spent_s,
        request=reply.request,
    )


def _finish(before: Turn, reply: Reply) -> Finished | None:
    """Return what the last part took, with the tokens of all parts."""
    if reply.finished is None or before.finished is None:
        return reply.finished
    tokens = (*before.finished.tokens, *reply.finished.tokens)
    return replace(reply.finished, tokens=tokens)


def _fail(turn: Turn, why: str, pictures: Sequence[Picture]) -> Turn:
    return mark_complete(replace(turn, state="failed", finished=None), pictures, (why,))


def as_sentence(error: Exception) -> str:
    """Return an error's message as a sentence; a file's name at its beginning stays as it is."""
    text = say_message(str(error))
    if not isinstance(error, MediaError):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "。")) else say("{facts}.", facts=text)
