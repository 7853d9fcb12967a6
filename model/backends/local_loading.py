"""A checkpoint -> what the local backend runs: small files first, then weights and engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from model.backends.continuing import WrittenAnswers
from model.backends.thinking import CLOSING_TAG, OPENING_TAG

if TYPE_CHECKING:
    import torch

    from model import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration, Glm4vProcessor
    from model.checkpoint.progress import Progress
    from model.engine import Engine
    from model.generation_config import GenerationConfig
    from model.processing import ProcessingCache
    from model.thinking_budget import ThinkingBudget

# What is kept for questions to come (prefixes, embeddings, processed files, each for itself) is in
# proportion to the model: a small one computes it again in no time.
KEPT_PER_WEIGHTS = 2
MIN_KEPT_BYTES = 64 * 1024**2
# Of the free memory, that weights may fill for the sake of speed; attachments and caches come too.
FLOAT32_PART = 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a checkpoint's small files say, there long before the weights are.

    Attributes:
        cache: of what files became, known by their content.
        thinking: how a thought is closed, with a budget to be replaced; None if its tags are not
            tokens of their own.
    """

    processor: Glm4vProcessor
    config: Glm4vMoeConfig
    generation_config: GenerationConfig
    cache: ProcessingCache
    thinking: ThinkingBudget | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What answers.

    Attributes:
        device: where the inputs go.
        numbers: the tokens of 0 to 999, where each has one.
        written: tokens of answers, for those that are gone on with.
    """

    model: Glm4vMoeForConditionalGeneration
    engine: Engine
    device: torch.device
    numbers: torch.Tensor | None
    written: WrittenAnswers


def prepare(path_or_hub_id: str) -> Prepared:
    """Read the small files; a hub id's are downloaded."""
    # imported here, in the loading thread: torch alone takes seconds, and the page opens meanwhile
    from model import Glm4vMoeConfig, Glm4vProcessor
    from model.checkpoint import find_folder
    from model.generation_config import GenerationConfig
    from model.processing import ProcessingCache

    folder = find_folder(path_or_hub_id, with_weights=False)
    cache = ProcessingCache()
    processor = Glm4vProcessor.from_pretrained(folder, cache=cache)
    return Prepared(
        processor,
        Glm4vMoeConfig.from_pretrained(folder),
        GenerationConfig.from_pretrained(folder),
        cache,
        _thinking_of(processor),
    )


def _thinking_of(processor: Glm4vProcessor) -> ThinkingBudget | None:
    from model.thinking_budget import ThinkingBudget

    tokenizer = processor.tokenizer
    opening, closing = (tokenizer.added_tokens.get(tag) for tag in (OPENING_TAG, CLOSING_TAG))
    if opening is None or closing is None:
        return None
    # as the models write it, and the templates write it for them
    return ThinkingBudget(0, opening, (closing, *tokenizer.encode("\n")))


def _compile_meanwhile(dtype: torch.dtype) -> None:
    """Let the kernels be there when the weights are: on a new machine they have to be compiled."""
    from model import native

    threading.Thread(target=native.load, args=(dtype,), name="compiling", daemon=True).start()


def choose_dtype(
    dtype: str, config: Glm4vMoeConfig, *, device: str, quantization: str | None
) -> torch.dtype:
    """Return what `load_checkpoint` makes of its ``dtype``.

    ``"auto"`` is what ``config.json`` states. On a CPU that has no instructions for bfloat16 it is
    float32 instead, if the weights then fill no more than `FLOAT32_PART` of the free memory.

    Raises:
        CheckpointError: a dtype that weights can't have.
    """
    import torch

    from model import Glm4vMoeForConditionalGeneration
    from model.checkpoint.dtypes import fast_dtype, resolve_dtype
    from model.checkpoint.load import weight_bytes

    stated = resolve_dtype(dtype, config)
    if dtype != "auto" or device != "cpu" or stated is not torch.bfloat16:
        return stated
    fast = fast_dtype(torch.device(device))
    if fast is stated:
        return stated
    with torch.device("meta"):
        model = Glm4vMoeForConditionalGeneration(config)
    room = FLOAT32_PART * psutil.virtual_memory().available
    return fast if weight_bytes(model, fast, quantization) <= room else stated


def load_checkpoint(
    path_or_hub_id: str,
    prepared: Prepared,
    *,
    device: str,
    dtype: str,
    quantization: str | None,
    num_threads: int | None,
    max_conversations: int,
    progress: Progress,
) -> Loaded:
    """Read the weights and start the engine.

    Args:
        path_or_hub_id: as `LocalBackend`; so are device, dtype, quantization, threads and
            conversations.
        prepared: what the small files say.
        progress: told how far it is.
    """
    import torch

    from model import Glm4vMoeForConditionalGeneration
    from model.engine import MAX_PREFIX_BYTES, MAX_VISION_BYTES, Engine

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    if device == "auto" and not torch.cuda.is_available():
        device = "cpu"
    parameter_dtype = choose_dtype(dtype, prepared.config, device=device, quantization=quantization)
    # integers may find no accelerator with room for all
    if device == "cpu" or (device == "auto" and quantization):
        _compile_meanwhile(parameter_dtype)
    model = Glm4vMoeForConditionalGeneration.from_pretrained(
        path_or_hub_id,
        dtype=parameter_dtype,
        device_map=device,
        quantization=quantization,
        progress=progress,
    )
    # parts may wait in memory or on disk (as meta tensors) for an accelerator to need them
    places = {parameter.device for parameter in model.parameters()}
    accelerators = [place for place in places if place.type not in ("cpu", "meta")]
    device_of_inputs = min(accelerators, key=str, default=torch.device("cpu"))
    spelled = [prepared.processor.tokenizer.encode(str(number)) for number in range(1000)]
    numbers = None
    if all(len(tokens) == 1 for tokens in spelled):
        numbers = torch.tensor(spelled, device=device_of_inputs)[:, 0]
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    kept = max(MIN_KEPT_BYTES, KEPT_PER_WEIGHTS * weights)
    prepared.cache.max_bytes = min(prepared.cache.max_bytes, kept)
    engine = Engine(
        model,
        max_running=max_conversations,
        max_prefix_bytes=min(MAX_PREFIX_BYTES, kept),
        max_vision_bytes=min(MAX_VISION_BYTES, kept),
    )
    return Loaded(model, engine, device_of_inputs, numbers, WrittenAnswers())
