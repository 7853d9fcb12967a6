"""The server behind an endpoint: its address, whether it is there, and which models it has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import openai

from model.backends.base import BackendError, Status
from model.backends.endpoint.dialects import DIALECTS, UNKNOWN, Dialect, detect
from model.backends.endpoint.errors import (
    FOR_OPERATORS,
    KEY_VARIABLE,
    Advice,
    Dropped,
    Explainer,
    Gibberish,
)
from model.backends.endpoint.messages import known_context
from model.characters import whole_characters

# How often a server is looked for that is not there (the last goes on), and one that is.
RECONNECT_S = (1.0, 2.0, 5.0, 15.0)
RECHECK_S = 60.0
# How long a question waits for the name of a model, where the operator gave none.
MODEL_PATIENCE_S = 10.0
LISTING_TIMEOUT_S = 10.0

# What a server may do wrong, on the way or in what it sends: what is not of the protocol's form
# makes the client stumble, over JSON that is too deep or a charset that is none (an assertion).
SERVER_ERRORS = (
    openai.APIError,
    Dropped,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)

# Tokens that a context may have: the least leaves room for an answer, the most is no number that
# stands for "without end".
CONTEXT_LENGTHS = range(2, 10**9)


@dataclass(frozen=True, slots=True)
class Listing:
    """The models that a server has, and what it says about them."""

    models: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    context_lengths: tuple[int | None, ...] = ()

    def context_length(self, model: str) -> int | None:
        """Return what the server says, else what is known of a model of that name."""
        told = dict(zip(self.models, self.context_lengths, strict=True)).get(model)
        return told or known_context(model)


class _Client(openai.AsyncOpenAI):
    """Sends nothing that the environment holds for OpenAI's own servers.

    Left to itself, it would send OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS, which
    may hold credentials.
    """

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        """What every request has beside the key."""
        kind = "application/json"
        return {"Accept": kind, "Content-Type": kind, "User-Agent": self.user_agent}


async def _read_refusal(response: Any) -> None:
    """Read a refusal here, where the client makes its own errors of what goes wrong on the way."""
    if not response.is_success:
        await response.aread()


class Server:
    """One server of the OpenAI protocol; only it is ever called: redirects are not followed."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None,
        api_key: str,
        dialect: str,
        timeout: openai.Timeout,
        advice: Advice = FOR_OPERATORS,
    ) -> None:
        """
        Args:
            model: the name that was given; None for the first that the server lists.
            timeout: for connecting, and of silence.

        Raises:
            ValueError: an address or a key that cannot be used, or an unknown dialect.
        """
        self.host = check_url(base_url)
        check_key(api_key, advice)
        if dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {dialect!r}; expected one of {', '.join(DIALECTS)}")
        self.base_url = base_url.rstrip("/")
        self.status = Status("loading", f"Connecting to {self.host}")
        self.listing = Listing()
        self._wanted, self._key, self._dialect = model, api_key, DIALECTS[dialect]
        self._advice = advice
        self._was_listed = asyncio.Event()
        # of every request: no key is better than a wrong one
        self.headers: dict[str, Any] = {} if api_key else {"Authorization": openai.omit}
        self.client = _Client(
            base_url=self.base_url,
            # left out, it would be that of an environment variable, for some other server
            api_key=api_key or "none",
            max_retries=0,  # done by the backend, for which a dropped stream counts too
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                timeout=timeout,
                event_hooks={"response": [_read_refusal]},
            ),
            timeout=timeout,
        )

    def __repr__(self) -> str:
        return f"Server({self.base_url!r}, model={self._wanted!r})"

    @property
    def model(self) -> str:
        """Name of the model to ask; "" while it is not known."""
        return self._wanted or next(iter(self.listing.models), "")

    def choose_model(self, name: str) -> None:
        """Ask this model from now on."""
        self._wanted = name
        self.status = Status("ready", f"at {self.host}")

    @property
    def dialect(self) -> Dialect:
        """What the server understands, as far as is known by now."""
        if self._dialect is not UNKNOWN:
            return self._dialect
        return detect(self.base_url, self.listing.owners)

    @property
    def explainer(self) -> Explainer:
        """What turns errors into messages that do not tell the key."""
        return Explainer(self.base_url, self.host, self.model, self._key, self._advice)

    async def require_model(self) -> None:
        """Wait until the name of the model is known.

        Raises:
            BackendError: it is not, and will not soon be.
        """
        if self._wanted:
            return
        try:
            await asyncio.wait_for(self._was_listed.wait(), MODEL_PATIENCE_S)
        except asyncio.TimeoutError:
            raise BackendError(self.status.detail) from None
        if not self.model:
            raise BackendError(self.status.detail)

    async def list_models(self) -> Listing:
        page = await self.client.models.list(extra_headers=self.headers, timeout=LISTING_TIMEOUT_S)
        found = getattr(page, "data", None)
        if not isinstance(found, list):
            raise Gibberish("no list of models")
        named = [each for each in found if isinstance(getattr(each, "id", None), str)]
        lengths = [getattr(each, "max_model_len", None) for each in named]
        return Listing(
            tuple(whole_characters(each.id) for each in named),
            tuple(str(getattr(each, "owned_by", "")) for each in named),
            tuple(
                length if isinstance(length, int) and length in CONTEXT_LENGTHS else None
                for length in lengths
            ),
        )

    async def watch(self) -> None:
        """Look at the server again and again."""
        failures = 0
        while True:
            is_there = await self.look()
            failures = 0 if is_there else failures + 1
            last = len(RECONNECT_S) - 1
            await asyncio.sleep(RECHECK_S if is_there else RECONNECT_S[min(failures - 1, last)])

    async def look(self) -> bool:
        """Bring listing and status up to date; return whether questions can be asked."""
        try:
            listing = await self.list_models()
        except SERVER_ERRORS as error:
            self.status = self._explain_absence(error)
            return self.status.state == "ready"
        if not listing.models and not self._wanted:
            self.status = Status(
                "failed", f"{self.host} lists no models; {self._advice.model_name}"
            )
            return False
        self.listing = listing
        self._was_listed.set()
        self.status = Status("ready", f"at {self.host}")
        return True

    def _explain_absence(self, error: Exception) -> Status:
        status = getattr(error, "status_code", None)
        if has_no_list(error) and self._wanted:
            return Status("ready", f"at {self.host}")
        reason = str(self.explainer.explain(error))
        reason = reason[:1].upper() + reason[1:]
        if status in (401, 403):
            return Status("failed", reason)
        return Status("loading", f"{reason}. Trying again")


def has_no_list(error: BaseException) -> bool:
    """Whether a request for the models failed as at servers that answer questions all the same."""
    return getattr(error, "status_code", None) in (404, 405, 501)


def check_url(base_url: str) -> str:
    """Return the host of an endpoint's address, with the port if it has one.

    Raises:
        ValueError: the address cannot be used; the message says why.
    """
    example = "expected an address such as http://localhost:8000/v1"
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{base_url!r} is no address ({error}); {example}") from error
    if "@" in parts.netloc:
        # not shown: it may hold a password
        raise ValueError(
            "the endpoint's address holds a name or password; put the key into "
            f"{KEY_VARIABLE} instead"
        )
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in base_url):
        raise ValueError(f"{base_url!r} is no address of a server; {example}")
    if parts.query or parts.fragment:
        raise ValueError(f"{base_url!r} has a part behind {'?' if parts.query else '#'}; {example}")
    if parts.path.rstrip("/").endswith(("/chat/completions", "/models")):
        raise ValueError(f"{base_url!r} goes too far, leave its end away; {example}")
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def check_key(api_key: str, advice: Advice) -> None:
    """Raise ValueError, without telling the key, if no header can carry it."""
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ValueError(advice.bad_key)
