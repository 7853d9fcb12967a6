"""What goes wrong between here and a server, in words for the person who asked."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import openai

from model.backends.base import BackendError

logger = logging.getLogger(__name__)

KEY_VARIABLE = "SIGHTLINE_ENDPOINT_KEY"

# A server's own words are quoted up to here: some send a page of HTML, or the whole question.
MAX_QUOTE_CHARACTERS = 300
MAX_LISTED_MODELS = 10

# vLLM, SGLang, OpenAI and Z.ai, in this order of their first occurrence
TOO_LONG = re.compile(
    r"maximum context length|context length is only|maximum model length|longer than the model"
    r"|maximum allowed length|context_length_exceeded|context window|prompt exceeds|Prompt 超长"
    r"|\b1261\b",
    re.IGNORECASE,
)
TOO_MANY_IMAGES = re.compile(r"at most (\d+) (?:image|item)", re.IGNORECASE)
NO_SUCH_MODEL = re.compile(
    r"model.{0,120}(does not exist|not found|unknown|not exist)|模型不存在|\b1211\b|pinned to",
    re.IGNORECASE | re.DOTALL,
)
# waiting does not help: of OpenAI, and Z.ai's codes for accounts without credit or locked
NO_CREDIT = re.compile(r"insufficient_quota|\b(1110|1111|1112|1113|1121|1309|1310)\b")


class Gibberish(ValueError):
    """A server answered with something that is not the protocol."""


class Dropped(ConnectionError):
    """A stream ended before its last chunk."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about the settings of an endpoint, for whoever made them."""

    no_key: str = f"set {KEY_VARIABLE} and start the page again"
    wrong_key: str = f"set {KEY_VARIABLE} to one that may use it"
    bad_key: str = f"{KEY_VARIABLE} holds characters that no key has; copy the key again"
    address: str = "check --endpoint: most addresses end in /v1"
    name: str = "check the name in --endpoint"
    scheme: str = "check its certificate, or whether --endpoint must begin with http://"
    redirect: str = "give that as --endpoint"
    model: str = "give one as --endpoint-model"
    model_name: str = "give a name as --endpoint-model"
    address_or_model: str = "check --endpoint (most addresses end in /v1) and --endpoint-model"


FOR_OPERATORS = Advice()
_TELL = "tell whoever runs this page that the address may be wrong"
FOR_VISITORS = Advice(
    no_key='enter it under "Answer with your own endpoint"',
    wrong_key='enter another one under "Answer with your own endpoint"',
    bad_key="The key holds characters that no key has; copy it again",
    address=_TELL,
    name=_TELL,
    scheme=_TELL,
    redirect=_TELL,
    model='choose one of them under "Answer with your own endpoint"',
    model_name="type the name of one",
    address_or_model="choose another model, or " + _TELL,
)


@dataclass(frozen=True, slots=True)
class Explainer:
    """Turns exceptions into messages, none of which tells the key.

    Attributes:
        base_url: the server's address, as the operator gave it.
        host: the same, as people may see it.
        model: the model that is asked; "" before it is known.
        key: what no message may hold, even where the server repeats it; "" for none.
        advice: what to do, for whoever chose the server.
    """

    base_url: str
    host: str
    model: str
    key: str
    advice: Advice = FOR_OPERATORS

    def __repr__(self) -> str:
        return f"Explainer({self.host!r}, {self.model!r})"

    def explain(self, error: BaseException, models: Sequence[str] = ()) -> BackendError:
        """Return the error for the person who asked.

        Args:
            models: those that the server has, as far as they are known.
        """
        return BackendError(self._explain(error, models))

    def cut(self, error: BaseException) -> BackendError:
        """Return the error of an answer that had begun."""
        return BackendError(f"the answer is cut off: {self._explain(error, ())}")

    def hide(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.key, "[key]") if self.key else text

    def _explain(self, error: BaseException, models: Sequence[str]) -> str:
        if isinstance(error, openai.APIStatusError):
            return self._explain_status(error, models)
        if isinstance(error, openai.APIConnectionError):
            return self._explain_connection(error)
        if isinstance(error, openai.APIError):
            words = self.hide(complaint_of(error))
            by_words = self._explain_words(words, models)
            return by_words or f"{self.host} failed: {quote(words)}; try again"
        if isinstance(error, Dropped):
            return f"{self.host} closed the connection before the end; try again"
        # JSON that is none, or not of the protocol's form
        logger.warning("%s sent what is not the protocol: %s", self.host, self.hide(repr(error)))
        return (
            f"{self.host} sent something that is not the OpenAI protocol"
            + (f" ({quote(self.hide(str(error)))})" if isinstance(error, Gibberish) else "")
            + f"; {self.advice.address}"
        )

    def _explain_status(self, error: openai.APIStatusError, models: Sequence[str]) -> str:
        status, words = error.status_code, self.hide(complaint_of(error))
        host, told = self.host, f": {quote(words)}" if words else ""
        if status in (401, 403):
            if not self.key:
                return f"{host} wants a key; {self.advice.no_key}{told}"
            return f"{host} refuses the key ({status}); {self.advice.wrong_key}"
        if 300 <= status < 400:
            target = error.response.headers.get("location", "")
            where = quote(self.hide(target))
            return f"{host} sends elsewhere ({status}), to {where}; {self.advice.redirect}"
        if status == 413:
            return (
                f"{host} takes no message as large as this one; attach fewer files or pages, or "
                "lower the resolution"
            )
        if status == 429:
            if NO_CREDIT.search(f"{error.code} {words}"):
                return f"the account behind the key of {host} cannot be used now{told}"
            wait = retry_after(error)
            when = "in a moment" if wait is None else f"in {wait:.0f} s"
            return f"{host} answers too many questions at the moment; try again {when}"
        if by_words := self._explain_words(f"{words} {error.code}", models):
            return by_words
        if status == 404:
            return self._explain_missing(models)
        name = HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status"
        if status >= 500:
            return f"{host} failed ({status} {name}){told}; try again"
        return f"{host} refused the question ({status} {name}){told}"

    def _explain_words(self, words: str, models: Sequence[str]) -> str:
        """Return what a complaint means, or nothing."""
        if TOO_LONG.search(words):
            return (
                f"the conversation is too long for {self.model or self.host}; attach less, lower "
                f"the resolution, or clear the conversation ({quote(words)})"
            )
        if found := TOO_MANY_IMAGES.search(words):
            return (
                f"{self.host} takes at most {found[1]} image(s) in one conversation; choose fewer "
                "pages or frames, or clear the conversation"
            )
        return self._explain_missing(models) if NO_SUCH_MODEL.search(words) else ""

    def _explain_missing(self, models: Sequence[str]) -> str:
        if not models:
            return (
                f"{self.base_url} has no chat, or no model named {self.model}; "
                f"{self.advice.address_or_model}"
            )
        more = f" and {len(models) - MAX_LISTED_MODELS} more" * (len(models) > MAX_LISTED_MODELS)
        return (
            f"{self.host} has no model named {self.model}; it has "
            f"{', '.join(models[:MAX_LISTED_MODELS])}{more}; {self.advice.model}"
        )

    def _explain_connection(self, error: openai.APIConnectionError) -> str:
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            words = next(str(cause) for cause in causes if isinstance(cause, ssl.SSLError))
            return f"no secure connection to {self.host} ({quote(words)}); {self.advice.scheme}"
        if isinstance(error, openai.APITimeoutError):
            if is_connect_timeout(error):
                return f"{self.host} cannot be reached: no answer in time; is it running?"
            return f"{self.host} was silent for too long; it may be busy: try again"
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return f"{self.host} cannot be found; {self.advice.name}"
        if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            return f"{self.host} cannot be reached: it refuses connections; is it running?"
        return f"the connection to {self.host} broke; try again"


def is_retriable(error: BaseException) -> bool:
    """Whether the same question may be answered a moment later.

    Not after a long silence: a person has waited long enough then, and the server may still be
    busy with the question.
    """
    if isinstance(error, openai.APIStatusError):
        if error.status_code == 429:
            return NO_CREDIT.search(f"{error.code} {complaint_of(error)}") is None
        return error.status_code == 408 or error.status_code >= 500
    if isinstance(error, openai.APITimeoutError):
        return is_connect_timeout(error)
    if isinstance(error, openai.APIConnectionError):
        return not any(isinstance(cause, ssl.SSLError) for cause in _causes(error))
    return isinstance(error, Dropped)


def is_connect_timeout(error: openai.APITimeoutError) -> bool:
    """Whether no connection was made, rather than nothing said on one."""
    return any(
        type(cause).__name__ in ("ConnectTimeout", "PoolTimeout") for cause in _causes(error)
    )


def retry_after(error: BaseException) -> float | None:
    """Return the seconds that a server asks to wait, if it does."""
    if not isinstance(error, openai.APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def complaint_of(error: openai.APIError) -> str:
    """Return what the server says is wrong, in its own words; "" if it says nothing."""
    body: Any = error.body
    if isinstance(body, dict):
        # FastAPI's "detail" is a text, or a list of what is wrong with which field
        words = body.get("message") or body.get("detail") or body.get("error") or ""
        return words if isinstance(words, str) else str(words)
    if isinstance(body, str):
        is_page = body.lstrip()[:1] == "<"
        return "" if is_page else body
    return "" if isinstance(error, openai.APIStatusError) else error.message


def quote(words: str) -> str:
    """Return a server's words as one line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return line if len(line) <= MAX_QUOTE_CHARACTERS else line[:MAX_QUOTE_CHARACTERS] + "..."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__
