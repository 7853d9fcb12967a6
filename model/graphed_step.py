"""A decoding step in recorded pieces, for a GPU that computes faster than Python asks it to.

All that lies between the attention of one layer and that of the next has shapes that depend on the
number of conversations alone. It is recorded once for each such number, as a CUDA graph, and played
back with a single call. Attention stays outside: it reads as many keys as a conversation has.

The twin is `model.decoder.Glm4vMoeTextModel.forward`, which says when this is used.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.attention import attend_cached
from model.cache import CacheBatch, KVCache
from model.out_of_memory import is_out_of_memory
from model.quantization import FORMS
from model.watch import Prepared, UnfitError, Watch

if TYPE_CHECKING:
    from model.decoder import Glm4vMoeDecoderLayer, Glm4vMoeTextModel

logger = logging.getLogger(__name__)

# More conversations at once are computed layer by layer: there, launches cost little in comparison.
MAX_ROWS = 16
WARM_UPS = 2

Outputs = tuple[Tensor, ...]
Replay = Callable[[], object]
# Runs a function and returns what it returned and what runs it again: on the inputs that lie where
# they lay, writing what it returned where that lies.
Record = Callable[[Callable[[], Outputs]], tuple[Outputs, Replay]]


class CudaRecorder:
    """Records CUDA graphs that are played back in the order in which they were recorded.

    They share their memory, but for what they return.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Callable[[], Outputs]) -> tuple[Outputs, Replay]:
        """Record ``compute``, as `Record` says."""
        # libraries make their work space on first use, which can't be recorded
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                compute()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # other threads may use the GPU meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = compute()
        return outputs, graph.replay


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What was recorded for B conversations.

    Attributes:
        x: (B, 1, C), to be filled with the embeddings before the first piece.
        rope: cos and sin, each (B, 1, 1, rotary_dim), to be filled too.
        attended: (B, H, 1, D), to be filled with a layer's attention before the next piece.
        replays: one before each layer's attention, and one after the last.
        heads: q (B, H, 1, D), k and v (B, K, 1, D) of each layer, filled by its piece.
        out: (B, 1, C), filled by the last piece.
    """

    x: Tensor
    rope: tuple[Tensor, Tensor]
    attended: Tensor
    replays: tuple[Replay, ...]
    heads: tuple[Outputs, ...]
    out: Tensor


class GraphedStep:
    """The step of one decoder, as long as its parameters and modules stay what and where they are.

    Args:
        model: on one device, and computing without waiting for it.
        record: makes pieces that can be played back.

    Attributes:
        watch: says whether they do.

    Raises:
        UnfitError: a module's ``forward`` was replaced.
    """

    def __init__(self, model: Glm4vMoeTextModel, record: Record) -> None:
        self._model = weakref.ref(model)
        self._record = record
        self.watch = Watch(model)
        for module in model.modules():
            for name in (*module._parameters, *module._buffers):
                self.watch.add_tensor(module, name)
        self._recorded: dict[int, _Pieces] = {}
        # inputs and outputs lie where they lie: one step at a time, whoever asks for it
        self._busy = threading.Lock()

    def prepare(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> None:
        """Record what `run` plays back for so many conversations, unless that was done."""
        with self._busy:
            if len(x) not in self._recorded:
                inputs = x.clone(), (rope[0].clone(), rope[1].clone())
                self._recorded[len(x)] = self._record_pieces(*inputs)

    def run(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache | CacheBatch) -> Tensor:
        """Compute one token of each conversation; their keys and values are stored.

        Args:
            x: (B, 1, C) embeddings, for a B that was prepared.
            rope: cos and sin, each (B, 1, 1, rotary_dim).
            cache: of B conversations.

        Returns:
            (B, 1, C), normed.
        """
        with self._busy:
            pieces = self._recorded[len(x)]
            pieces.x.copy_(x)
            for filled, given in zip(pieces.rope, rope, strict=True):
                filled.copy_(given)
            for layer, (replay, (q, k, v)) in enumerate(
                zip(pieces.replays[:-1], pieces.heads, strict=True)
            ):
                replay()
                pieces.attended.copy_(attend_cached(q, k, v, cache, layer))
            pieces.replays[-1]()
            return pieces.out.clone()  # the next step writes there

    def _record_pieces(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> _Pieces:
        """Record the pieces for inputs that lie where they will lie in every step."""
        model = self._model()
        assert model is not None
        layers: list[Glm4vMoeDecoderLayer] = list(model.layers)  # type: ignore[arg-type]
        (q, k, v), first = self._record(lambda: layers[0].before_attention(x, rope))
        attended = torch.empty_like(q)
        replays, heads, residual = [first], [(q, k, v)], x
        for done, following in zip(layers, layers[1:], strict=False):

            def between(
                done: Glm4vMoeDecoderLayer = done,
                following: Glm4vMoeDecoderLayer = following,
                residual: Tensor = residual,
            ) -> Outputs:
                after = done.after_attention(residual, attended)
                return after, *following.before_attention(after, rope)

            (residual, q, k, v), replay = self._record(between)
            replays.append(replay)
            heads.append((q, k, v))
        (out,), last = self._record(
            lambda: (model.norm(layers[-1].after_attention(residual, attended)),)
        )
        return _Pieces(x, rope, attended, (*replays, last), tuple(heads), out)


_prepared: Prepared[GraphedStep] = Prepared()


def _is_in_order() -> bool:
    """Whether what this thread asks of the GPU waits for what others have asked before."""
    return torch.cuda.current_stream() == torch.cuda.default_stream()


def _can_be_recorded(model: Glm4vMoeTextModel, device: torch.device) -> bool:
    """Whether all of it lies there, and is computed without waiting for the device.

    Experts in integers are computed one after the other (`model.quantization.run_experts`).
    """
    return all(parameter.device == device for parameter in model.parameters()) and not any(
        buffer.dtype in FORMS for buffer in model.buffers()
    )


def _make(model: Glm4vMoeTextModel, device: torch.device) -> GraphedStep:
    if not _can_be_recorded(model, device):
        raise UnfitError
    return GraphedStep(model, CudaRecorder())


def graphed_step_for(
    model: Glm4vMoeTextModel, x: Tensor, rope: tuple[Tensor, Tensor]
) -> GraphedStep | None:
    """Return what computes embeddings ``x`` (B, 1, C) in recorded pieces; None if nothing does.

    Only bfloat16 on one CUDA device is computed without waiting for it (`model.moe.run_experts`).
    """
    if not x.is_cuda or x.dtype != torch.bfloat16 or x.shape[1] != 1 or len(x) > MAX_ROWS:
        return None
    if torch.is_grad_enabled() or not _is_in_order():
        return None
    step = _prepared.get(model, model.norm.weight, lambda: _make(model, x.device))
    if step is None:
        return None
    try:
        step.prepare(x, rope)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        logger.warning("decoding runs without CUDA graphs: recording failed (%s)", error)
        _prepared.refuse(model, model.norm.weight)
        return None
    return step
