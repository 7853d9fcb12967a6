"""Our own engine as a backend: a checkpoint on this machine, loaded while the page is open."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from model.backends.base import (
    Abilities,
    BackendError,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Sent,
    Status,
    TokenProbability,
    Waiting,
)
from model.backends.local_loading import Loaded, Prepared, load_checkpoint, prepare
from model.backends.local_prompt import LocalPrompt, build_prompt, tell
from model.processing import WHOLE, Attachment, Choice, Limits

if TYPE_CHECKING:
    from model.checkpoint.progress import Stage
    from model.request import Request
    from model.thinking_budget import ThinkingBudget

logger = logging.getLogger(__name__)

# How long a question asked during loading waits before it is turned away.
LOADING_PATIENCE_S = 30.0
# An answer's length where the caller sets none (the official demo's value).
DEFAULT_MAX_NEW_TOKENS = 8192
# A stop is noticed so fast while nothing is generated yet.
WAITING_INTERVAL_S = 0.2
# The rest is for the question and the answer.
ATTACHMENT_SHARE = 0.75


def _answer(loaded: Loaded, prompt: LocalPrompt, request: Request) -> Generator[Event, None, None]:
    """Yield what the engine computes of ``request``; closing the iterator ends it."""
    made: list[TokenProbability] = []
    ids = [*prompt.written]
    first_token_s, token_id = 0.0, -1
    stop_ids = loaded.model.generation_config.eos_token_id
    try:
        with request:
            yield from prompt.unseen
            yield from _wait(request)
            while (token := request.next_token()) is not None:
                token_id = token.id
                first_token_s = first_token_s or time.perf_counter() - request.began
                if token_id in stop_ids:
                    break
                ids.append(token_id)
                text, events = prompt.reader.push(token_id)
                made.append(TokenProbability(text, token.close_logprob))
                yield from events
    finally:
        if made:
            loaded.written.put(prompt.question, ids)
    total_s = time.perf_counter() - request.began
    rest, events = prompt.reader.end(is_complete=token_id in stop_ids)
    if rest and made:  # else it belongs to a token of the answer so far
        made[-1] = made[-1]._replace(text=made[-1].text + rest)
    yield from events
    yield Finished(
        reason="stop" if token_id in stop_ids else "length",
        prompt_tokens=request.prompt.length,
        new_tokens=len(made) + (token_id in stop_ids),
        first_token_s=first_token_s,
        total_s=total_s,
        tokens=tuple(made),
    )


def _budget(tags: ThinkingBudget | None, tokens: int | None, written: int) -> ThinkingBudget | None:
    if tags is None or tokens is None:
        return None
    return replace(tags, tokens=tokens, written=written)


def _wait(request: Request) -> Generator[Waiting, None, None]:
    """Yield how far the request is, often enough to be stopped in a moment, until it answers."""
    while not request.wait(WAITING_INTERVAL_S):
        yield Waiting(request.place, request.read / request.prompt.length)


class LocalBackend:
    """A checkpoint run by this process. Its engine holds the state of each request, for its time.

    Loading starts at once, in a thread of its own: ``status`` tells how far it is, and the
    imports of the network (torch) happen in that thread too, so the page need not wait for them.
    """

    def __init__(
        self,
        path_or_hub_id: str,
        *,
        name: str,
        device: str = "auto",
        dtype: str = "auto",
        quantization: str | None = None,
        max_conversations: int = 1,
        num_threads: int | None = None,
    ) -> None:
        """
        Args:
            path_or_hub_id: folder of a checkpoint, or its id on the Hugging Face hub.
            name: what to call it on the page.
            device: "auto" (accelerators if there are any), or a torch device such as "cpu".
            dtype: "auto" (as in the checkpoint; float32 on a CPU that does not multiply bfloat16,
                if there is room), or a torch dtype such as "float32".
            quantization: "int8" or "int4" for weights in integers; None for ``dtype``.
            max_conversations: how many answers may be computed at the same time; more wait.
            num_threads: CPU threads, for the whole process; None for PyTorch's own choice.
        """
        self._name = name
        self._max_conversations = max_conversations
        self._settled = threading.Event()  # loading ended, well or not
        self._prepared: Prepared | None = None
        self._is_prepared = threading.Event()  # also set when that failed
        self._loaded: Loaded | None = None
        self._status = Status("loading", "Reading the checkpoint's description")
        threading.Thread(
            target=self._load,
            args=(path_or_hub_id, device, dtype, quantization, num_threads),
            name="loading",
            daemon=True,
        ).start()

    @property
    def name(self) -> str:
        """What to call this backend on the page."""
        return self._name

    @property
    def model_name(self) -> str:
        """The only architecture that the engine runs."""
        return "glm4v_moe"

    @property
    def abilities(self) -> Abilities:
        """Those of the engine; the budget needs a tokenizer that has the thought's tags."""
        has_tags = self._prepared is None or self._prepared.thinking is not None
        return Abilities(thinking_budget=has_tags, continuing=True)

    @property
    def defaults(self) -> SamplingOptions:
        """Those of the checkpoint's ``generation_config.json``; before it is read, the length."""
        if self._prepared is None:
            return SamplingOptions(max_new_tokens=DEFAULT_MAX_NEW_TOKENS)
        sampling = self._prepared.generation_config.sampling
        return SamplingOptions(
            max_new_tokens=DEFAULT_MAX_NEW_TOKENS,
            temperature=sampling.temperature if sampling.do_sample else 0.0,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            repetition_penalty=sampling.repetition_penalty,
        )

    def status(self) -> Status:
        """Say whether the weights are loading, ready, or could not be loaded and why."""
        return self._status

    def wait_until_settled(self, timeout_s: float | None = None) -> Status:
        """Wait for loading to end, well or not, at most ``timeout_s``; return the status then."""
        self._settled.wait(timeout_s)
        return self._status

    @property
    def context_length(self) -> int | None:
        """Tokens that a conversation and its answer may have together; None before it is known."""
        if self._prepared is None:
            return None
        return self._prepared.config.text_config.max_position_embeddings

    def open_attachment(self, path: str, choice: Choice = WHOLE, *, limits: Limits) -> Attachment:
        """Open a file as the checkpoint's processor will see it; see ``ChatBackend``.

        The tokens of a file are bounded by the checkpoint's context too, with room for an answer.
        """
        prepared = self._require_prepared()
        from model.processing import ModelView, open_attachment

        most = int(prepared.config.text_config.max_position_embeddings * ATTACHMENT_SHARE)
        return open_attachment(
            path,
            choice,
            limits=replace(limits, max_tokens=min(limits.max_tokens, most)),
            view=ModelView.of(prepared.processor),
            cache=prepared.cache,
        )

    def stream(
        self, messages: list[Message], *, enable_thinking: bool, options: SamplingOptions
    ) -> Generator[Event, None, None]:
        """Yield the answer as it is computed, ending with ``Finished``.

        The prompt is built and measured before it queues in the engine, so a prompt that is too
        long is refused at once. Closing the iterator ends the computing and frees the place.

        Raises:
            BackendError: the weights are not there (yet), or the prompt is too long.
        """
        loaded, prepared = self._require_loaded(), self._require_prepared()
        from model.generate import check_prompt_length
        from model.out_of_memory import OutOfMemory

        prompt = build_prompt(
            prepared.processor,
            messages,
            # a model asked for a thought that may not be writes it into its answer
            enable_thinking=enable_thinking and options.thinking_budget != 0,
            answers=loaded.written,
        )
        ids = prompt.inputs["input_ids"][0].tolist()
        try:
            check_prompt_length(len(ids), loaded.model.config)
        except ValueError as error:
            raise BackendError(str(error)) from error
        request = loaded.engine.submit(
            {name: tensor.to(loaded.device) for name, tensor in prompt.inputs.items()},
            numbers=loaded.numbers,
            max_new_tokens=options.max_new_tokens or DEFAULT_MAX_NEW_TOKENS,
            # whoever sets a temperature wants it to count, whatever the checkpoint's habit is
            do_sample=None if options.temperature is None else options.temperature > 0,
            temperature=options.temperature or None,
            top_p=options.top_p,
            top_k=options.top_k,
            repetition_penalty=options.repetition_penalty,
            seed=options.seed,
            thinking=_budget(prepared.thinking, options.thinking_budget, len(prompt.written)),
        )
        prompt.inputs.clear()  # the engine frees the pixels when it has seen them
        try:
            yield Sent(tell(prepared.processor, ids))
            yield from _answer(loaded, prompt, request)
        except OutOfMemory as error:
            raise BackendError(str(error)) from error
        finally:
            request.cancel()

    def _load(
        self,
        path_or_hub_id: str,
        device: str,
        dtype: str,
        quantization: str | None,
        num_threads: int | None,
    ) -> None:
        started = time.perf_counter()
        try:
            self._prepared = prepare(path_or_hub_id)
            self._is_prepared.set()
            self._loaded = load_checkpoint(
                path_or_hub_id,
                self._prepared,
                device=device,
                dtype=dtype,
                quantization=quantization,
                num_threads=num_threads,
                max_conversations=self._max_conversations,
                progress=self._tell_progress,
            )
            seconds = time.perf_counter() - started
            where = self._loaded.device
            self._status = Status("ready", f"Ready on {where}, loaded in {seconds:.1f} s")
        # whatever went wrong in this thread, the page must say it instead of "loading" for ever
        except Exception as error:
            logger.exception("could not load %s", path_or_hub_id)
            reason = str(error) or type(error).__name__
            self._status = Status("failed", f"Could not load {path_or_hub_id}: {reason}")
        finally:
            self._is_prepared.set()
            self._settled.set()

    def _tell_progress(self, stage: Stage, part: float) -> None:
        # the last byte is not the end: devices and the engine follow
        words = {"downloading": "Downloading", "loading": "Loading the weights"}[stage]
        self._status = Status("loading", f"{words}, {round(100 * part)} %")

    def _require_loaded(self) -> Loaded:
        if self._loaded is None:
            self._settled.wait(LOADING_PATIENCE_S)
        if self._loaded is None:
            raise self._not_ready()
        return self._loaded

    def _require_prepared(self) -> Prepared:
        if self._prepared is None:
            self._is_prepared.wait(LOADING_PATIENCE_S)
        if self._prepared is None:
            raise self._not_ready()
        return self._prepared

    def _not_ready(self) -> BackendError:
        detail = self._status.detail
        hint = " Try again in a moment." if self._status.state == "loading" else ""
        return BackendError(f"{detail}.{hint}")
