"""Our own engine as a backend: a checkpoint on this machine, loaded while the page is open."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from model.backends.base import (
    Abilities,
    BackendError,
    Event,
    Finished,
    Message,
    SamplingOptions,
    Status,
    TokenProbability,
    Waiting,
)
from model.backends.thinking import OPENING_TAG, ThinkingSplitter
from model.processing import WHOLE, Attachment, Choice, Limits

if TYPE_CHECKING:
    import torch

    from model import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration, Glm4vProcessor
    from model.engine import Engine
    from model.processing import ProcessingCache
    from model.request import Request

logger = logging.getLogger(__name__)

# How long a question asked during loading waits before it is turned away.
LOADING_PATIENCE_S = 30.0
# An answer's length where the caller sets none (the official demo's value).
DEFAULT_MAX_NEW_TOKENS = 8192
# A stop is noticed so fast while nothing is generated yet.
WAITING_INTERVAL_S = 0.2
# The rest is for the question and the answer.
ATTACHMENT_SHARE = 0.75
MODEL_INPUTS = (
    "input_ids",
    "mm_token_type_ids",
    "pixel_values",
    "image_grid_thw",
    "pixel_values_videos",
    "video_grid_thw",
)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What a checkpoint's small files say, there long before the weights are."""

    processor: Glm4vProcessor
    config: Glm4vMoeConfig
    cache: ProcessingCache  # of what files became, known by their content


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Glm4vMoeForConditionalGeneration
    engine: Engine
    processor: Glm4vProcessor
    device: torch.device  # where the inputs go
    numbers: torch.Tensor | None  # the tokens of 0 to 999, where each has one


def _prepare(path_or_hub_id: str) -> _Prepared:
    # imported here, in the loading thread: torch alone takes seconds, and the page opens meanwhile
    from model import Glm4vMoeConfig, Glm4vProcessor
    from model.processing import ProcessingCache

    cache = ProcessingCache()
    return _Prepared(
        Glm4vProcessor.from_pretrained(path_or_hub_id, cache=cache),
        Glm4vMoeConfig.from_pretrained(path_or_hub_id),
        cache,
    )


def _load_checkpoint(
    path_or_hub_id: str,
    processor: Glm4vProcessor,
    device: str,
    dtype: str,
    num_threads: int | None,
    max_conversations: int,
) -> _Loaded:
    import torch

    from model import Glm4vMoeForConditionalGeneration
    from model.engine import Engine

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    if device == "auto" and not torch.cuda.is_available():
        device = "cpu"
    model = Glm4vMoeForConditionalGeneration.from_pretrained(
        path_or_hub_id, dtype=dtype, device_map=device
    )
    # parts may wait in memory or on disk (as meta tensors) for an accelerator to need them
    places = {parameter.device for parameter in model.parameters()}
    accelerators = [place for place in places if place.type not in ("cpu", "meta")]
    device_of_inputs = min(accelerators, key=str, default=torch.device("cpu"))
    engine = Engine(model, max_running=max_conversations)
    spelled = [processor.tokenizer.encode(str(number)) for number in range(1000)]
    numbers = None
    if all(len(tokens) == 1 for tokens in spelled):
        numbers = torch.tensor(spelled, device=device_of_inputs)[:, 0]
    return _Loaded(model, engine, processor, device_of_inputs, numbers)


def _build_inputs(
    processor: Glm4vProcessor, messages: list[Message], enable_thinking: bool
) -> tuple[dict[str, Any], bool]:
    """Return the model's inputs, and whether the prompt ends inside an opened thought."""
    inputs = processor.apply_chat_template(messages, enable_thinking=enable_thinking, tokenize=True)
    # at worst spelled in bytes: as many ids as the tag has characters, and a newline
    ending = processor.decode(inputs["input_ids"][0, -len(OPENING_TAG) - 1 :].tolist())
    return inputs, ending.rstrip().endswith(OPENING_TAG)


def _answer(loaded: _Loaded, request: Request, *, inside: bool) -> Generator[Event, None, None]:
    """Yield what the engine computes of ``request``; closing the iterator ends it."""
    from model.processing import StreamDecoder

    made: list[TokenProbability] = []
    first_token_s, token_id = 0.0, -1
    stop_ids = loaded.model.generation_config.eos_token_id
    decoder, splitter = StreamDecoder(loaded.processor.tokenizer), ThinkingSplitter(inside=inside)
    with request:
        yield from _wait(request)
        while (token := request.next_token()) is not None:
            token_id = token.id
            first_token_s = first_token_s or time.perf_counter() - request.began
            if token_id in stop_ids:
                break
            made.append(TokenProbability(decoder.push(token_id), token.close_logprob))
            yield from splitter.push(made[-1].text)
    total_s = time.perf_counter() - request.began
    if rest := decoder.flush():
        made[-1] = made[-1]._replace(text=made[-1].text + rest)
        yield from splitter.push(rest)
    yield from splitter.flush()
    yield Finished(
        reason="stop" if token_id in stop_ids else "length",
        prompt_tokens=request.prompt.length,
        new_tokens=len(made) + (token_id in stop_ids),
        first_token_s=first_token_s,
        total_s=total_s,
        tokens=tuple(made),
    )


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
        max_conversations: int = 1,
        num_threads: int | None = None,
    ) -> None:
        """
        Args:
            path_or_hub_id: folder of a checkpoint, or its id on the Hugging Face hub.
            name: what to call it on the page.
            device: "auto" (accelerators if there are any), or a torch device such as "cpu".
            dtype: "auto" (as in the checkpoint), or a torch dtype such as "float32".
            max_conversations: how many answers may be computed at the same time; more wait.
            num_threads: CPU threads, for the whole process; None for PyTorch's own choice.
        """
        self._name = name
        self._max_conversations = max_conversations
        self._settled = threading.Event()  # loading ended, well or not
        self._prepared: _Prepared | None = None
        self._is_prepared = threading.Event()  # also set when that failed
        self._loaded: _Loaded | None = None
        self._status = Status("loading", "Loading the weights")
        threading.Thread(
            target=self._load,
            args=(path_or_hub_id, device, dtype, num_threads),
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
        """Those of the engine."""
        return Abilities()

    @property
    def defaults(self) -> SamplingOptions:
        """Those of the checkpoint's ``generation_config.json``; nothing before it is loaded."""
        if self._loaded is None:
            return SamplingOptions()
        sampling = self._loaded.model.generation_config.sampling
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
        loaded = self._require_loaded()
        from model.engine import OutOfMemory
        from model.generate import check_prompt_length

        inputs, prompt_ends_in_thought = _build_inputs(loaded.processor, messages, enable_thinking)
        try:
            check_prompt_length(inputs["input_ids"].shape[1], loaded.model.config)
        except ValueError as error:
            raise BackendError(str(error)) from error
        request = loaded.engine.submit(
            {key: inputs[key].to(loaded.device) for key in MODEL_INPUTS if key in inputs},
            numbers=loaded.numbers,
            max_new_tokens=options.max_new_tokens or DEFAULT_MAX_NEW_TOKENS,
            # whoever sets a temperature wants it to count, whatever the checkpoint's habit is
            do_sample=None if options.temperature is None else options.temperature > 0,
            temperature=options.temperature or None,
            top_p=options.top_p,
            top_k=options.top_k,
            repetition_penalty=options.repetition_penalty,
            seed=options.seed,
        )
        del inputs  # the engine frees the pixels when it has seen them
        try:
            yield from _answer(loaded, request, inside=prompt_ends_in_thought)
        except OutOfMemory as error:
            raise BackendError(str(error)) from error

    def _load(self, path_or_hub_id: str, device: str, dtype: str, num_threads: int | None) -> None:
        started = time.perf_counter()
        try:
            self._prepared = _prepare(path_or_hub_id)
            self._is_prepared.set()
            self._loaded = _load_checkpoint(
                path_or_hub_id,
                self._prepared.processor,
                device,
                dtype,
                num_threads,
                self._max_conversations,
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

    def _require_loaded(self) -> _Loaded:
        if self._loaded is None:
            self._settled.wait(LOADING_PATIENCE_S)
        if self._loaded is None:
            raise self._not_ready()
        return self._loaded

    def _require_prepared(self) -> _Prepared:
        if self._prepared is None:
            self._is_prepared.wait(LOADING_PATIENCE_S)
        if self._prepared is None:
            raise self._not_ready()
        return self._prepared

    def _not_ready(self) -> BackendError:
        detail = self._status.detail
        hint = " Try again in a moment." if self._status.state == "loading" else ""
        return BackendError(f"{detail}.{hint}")
