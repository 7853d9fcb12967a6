"""Mixture of experts: where a token goes, what experts compute, how their load is kept even."""

from __future__ import annotations

from types import TracebackType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import native
from model.config import Glm4vMoeTextConfig
from model.layers import Activation, GatedMLP, KeepsExactBuffers, activation

# Up to this many rows, experts are visited token by token: sorting costs more than it saves.
FEW_ROWS = 4


def route(
    logits: Tensor,
    bias: Tensor,
    top_k: int,
    *,
    n_group: int = 1,
    topk_group: int = 1,
    norm_topk_prob: bool = True,
    scaling_factor: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Pick ``top_k`` experts per token and their mixing weights.

    The bias steers *which* experts win but not *how much* each one counts: the weights come from
    the unbiased scores (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).

    Args:
        logits: (N, E) float32 router outputs.
        bias: (E,) float32 load-balancing bias, ``e_score_correction_bias``.
        top_k: experts kept per token.
        n_group: equal groups that the experts form, in order.
        topk_group: groups kept per token, by the sum of their two best biased scores.
        norm_topk_prob: make the weights of a token sum to 1 before scaling.
        scaling_factor: multiplies the weights.

    Returns:
        ids: (N, top_k) int64 expert indices, in no particular order.
        weights: (N, top_k) float32.
    """
    scores = logits.sigmoid()
    choice = scores + bias
    if n_group > 1:
        grouped = choice.unflatten(-1, (n_group, -1))  # (N, groups, E / groups)
        strength = grouped.topk(2, dim=-1).values.sum(dim=-1)
        kept = strength.topk(topk_group, dim=-1, sorted=False).indices
        dropped = torch.ones_like(strength, dtype=torch.bool).scatter_(-1, kept, False)
        choice = grouped.masked_fill(dropped[..., None], float("-inf")).flatten(1)
    ids = choice.topk(top_k, dim=-1, sorted=False).indices
    weights = scores.gather(-1, ids)
    if norm_topk_prob:
        weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
    return ids, weights if scaling_factor == 1 else weights * scaling_factor


def run_experts_reference(
    x: Tensor, ids: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, act: Activation
) -> Tensor:
    """Sum of the chosen experts' outputs, every expert on every token; slow and obviously right.

    Args:
        x: (N, C).
        ids: (N, top_k) int64.
        weights: (N, top_k) float32.
        gate_up: (E, 2 * I, C), gate rows then up rows.
        down: (E, C, I).
        act: activation of the gate.

    Returns:
        (N, C) in the dtype of ``x``.
    """
    out = torch.zeros_like(x)
    for expert in range(gate_up.shape[0]):
        share = (weights * (ids == expert)).sum(dim=-1, keepdim=True)  # (N, 1)
        gate, up = F.linear(x, gate_up[expert]).chunk(2, dim=-1)
        out = out + (F.linear(act(gate) * up, down[expert]) * share).to(x.dtype)
    return out


def _run_few(
    x: Tensor, ids: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, act: Activation
) -> Tensor:
    """Row by row, straight on views of the experts' weights: no weight is copied."""
    out = torch.zeros_like(x)
    for row, chosen, shares in zip(range(len(x)), ids.tolist(), weights.tolist(), strict=True):
        one = slice(row, row + 1)
        for expert, share in zip(chosen, shares, strict=True):
            gate, up = F.linear(x[one], gate_up[expert]).chunk(2, dim=-1)
            out[one].add_(F.linear(act(gate) * up, down[expert]), alpha=share)
    return out


def _run_sorted(
    x: Tensor, ids: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, act: Activation
) -> Tensor:
    """Sort (token, expert) pairs by expert, so that each expert computes one matrix product."""
    order, token, ends = _sort_by_expert(ids, gate_up.shape[0])
    counts = ends.diff(prepend=ends.new_zeros(1)).tolist()
    # indexing one expert at a time would give every expert a gradient of the whole stack's size
    gate_up_of, down_of = gate_up.unbind(0), down.unbind(0)
    parts = []
    for expert, rows in enumerate(x[token].split(counts)):
        if len(rows):
            gate, up = F.linear(rows, gate_up_of[expert]).chunk(2, dim=-1)
            parts.append(F.linear(act(gate) * up, down_of[expert]))
    return _mix(x, torch.cat(parts), weights, order, token)


def _run_streamed(
    x: Tensor, ids: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, act: Activation
) -> Tensor:
    """As `_run_sorted`, one expert from its tokens to their sum before the next, without gradients.

    What an expert computes stays in the processor's cache, and nothing of (N * top_k, C) is made.
    """
    order, token, ends = _sort_by_expert(ids, gate_up.shape[0])
    counts = ends.diff(prepend=ends.new_zeros(1)).tolist()
    shares = weights.flatten()[order, None].to(x.dtype)
    gate_up_of, down_of = gate_up.mT.unbind(0), down.mT.unbind(0)
    # in float32, as torch adds rows of shorter floats up
    out = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for expert, (rows, share) in enumerate(
        zip(token.split(counts), shares.split(counts), strict=True)
    ):
        if len(rows):
            gate, up = torch.mm(x.index_select(0, rows), gate_up_of[expert]).chunk(2, dim=-1)
            part = torch.mm(act(gate) * up, down_of[expert]).mul_(share)
            out.index_add_(0, rows, part.float())
    return out.to(x.dtype)


def run_experts_grouped(
    x: Tensor, ids: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, act: Activation
) -> Tensor:
    """`run_experts_reference` by two grouped products, without waiting for the device."""
    order, token, ends = _sort_by_expert(ids, gate_up.shape[0])
    ends = ends.to(torch.int32)
    gate, up = F.grouped_mm(x[token], gate_up.mT, offs=ends).chunk(2, dim=-1)
    parts = F.grouped_mm(act(gate) * up, down.mT, offs=ends)
    return _mix(x, parts, weights, order, token)


def _sort_by_expert(ids: Tensor, experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """(token, expert) pairs by expert: their order, their tokens, each expert's end; (E,) int64."""
    chosen, order = ids.flatten().sort(stable=True)  # (N * top_k,)
    # found by searching and not by counting, which would wait for a GPU
    ends = torch.searchsorted(chosen, torch.arange(experts, device=ids.device), right=True)
    return order, order // ids.shape[1], ends


def _mix(x: Tensor, parts: Tensor, weights: Tensor, order: Tensor, token: Tensor) -> Tensor:
    """Add every pair's output (N * top_k, C), weighted, to its token."""
    parts = parts * weights.flatten()[order, None].to(x.dtype)
    return torch.zeros_like(x).index_add_(0, token, parts)


def run_experts(
    x: Tensor, ids: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, act: Activation
) -> Tensor:
    """`run_experts_reference`, each expert only on the tokens that chose it."""
    kernels = native.kernels_for_any(x, gate_up, down) if act is F.silu else None
    if kernels is not None and len(x) <= kernels.max_expert_rows:
        return kernels.routed_experts(x, ids, weights, gate_up, down)
    if x.is_cuda and x.dtype == torch.bfloat16:  # what grouped_mm takes there
        return run_experts_grouped(x, ids, weights, gate_up, down, act)
    if torch.is_grad_enabled() or not x.is_cpu:
        return _run_sorted(x, ids, weights, gate_up, down, act)
    run = _run_few if len(x) <= FEW_ROWS else _run_streamed
    return run(x, ids, weights, gate_up, down, act)


class Router(KeepsExactBuffers):
    """Scores every expert for every token, in float32, and picks."""

    EXACT_BUFFERS: ClassVar[tuple[str, ...]] = ("e_score_correction_bias",)
    e_score_correction_bias: Tensor

    def __init__(self, config: Glm4vMoeTextConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        bias = torch.zeros(config.n_routed_experts, dtype=torch.float32)
        self.register_buffer("e_score_correction_bias", bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C) -> ids (N, top_k) int64 and weights (N, top_k) float32, as `route`."""
        # float32, as in the reference: rounded scores tie, and a tie picks another expert
        logits = F.linear(x.float(), self.weight.float())
        config = self.config
        return route(
            logits,
            self.e_score_correction_bias,
            config.num_experts_per_tok,
            n_group=config.n_group,
            topk_group=config.topk_group,
            norm_topk_prob=config.norm_topk_prob,
            scaling_factor=config.routed_scaling_factor,
        )


class Experts(nn.Module):
    """The routed experts, stacked: ``gate_up_proj`` (E, 2I, C), ``down_proj`` (E, C, I)."""

    def __init__(self, config: Glm4vMoeTextConfig) -> None:
        super().__init__()
        experts, hidden = config.n_routed_experts, config.hidden_size
        inner = config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(experts, hidden, inner))
        self.act = activation(config.hidden_act)

    def forward(self, x: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
        """(N, C) -> (N, C); ids and weights as `route` returns them."""
        return run_experts(x, ids, weights, self.gate_up_proj, self.down_proj, self.act)


class MoE(nn.Module):
    """Routed experts plus the shared ones, which see every token."""

    def __init__(self, config: Glm4vMoeTextConfig) -> None:
        super().__init__()
        self.gate = Router(config)
        self.experts = Experts(config)
        shared_size = config.moe_intermediate_size * config.n_shared_experts
        self.shared_experts = GatedMLP(config.hidden_size, shared_size, config.hidden_act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        rows = x.flatten(0, 1)
        ids, weights = self.gate(rows)
        return self.experts(rows, ids, weights).view_as(x) + self.shared_experts(x)


class ExpertLoad:
    """Counts how many tokens each expert gets while the context is open, for every `Router` inside.

    The counts belong to whoever trains, not to the model::

        with ExpertLoad(model, batch["attention_mask"]) as load:
            model(**batch).loss.backward()
        load.balance(rate=1e-3)

    Attributes:
        counts: (E,) float32 for each router, where it is, since the context was opened.
    """

    def __init__(self, model: nn.Module, attention_mask: Tensor | None = None) -> None:
        """
        Args:
            model: whose routers are watched.
            attention_mask: (B, T), 0 for padding, which is not counted.
        """
        self._routers = [module for module in model.modules() if isinstance(module, Router)]
        self._real = None if attention_mask is None else attention_mask.flatten().bool()
        self.counts: list[Tensor] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> ExpertLoad:
        self.counts = [
            torch.zeros(len(router.weight), device=router.weight.device) for router in self._routers
        ]
        for index, router in enumerate(self._routers):
            self._hooks.append(router.register_forward_hook(self._counter(index)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _counter(self, index: int) -> Any:
        def count(router: nn.Module, inputs: Any, output: tuple[Tensor, Tensor]) -> None:
            ids = output[0] if self._real is None else output[0][self._real.to(output[0].device)]
            # not torch.bincount, which would wait for a GPU
            ones = self.counts[index].new_ones(ids.numel())
            self.counts[index].index_add_(0, ids.flatten(), ones)

        return count

    @torch.no_grad()
    def balance(self, rate: float) -> None:
        """Raise the bias of experts below the mean load and lower that of those above, by ``rate``.

        Source: DeepSeek-V3 (arXiv 2412.19437), section 2.1.2, auxiliary-loss-free balancing.
        """
        for router, counts in zip(self._routers, self.counts, strict=True):
            router.e_score_correction_bias += rate * torch.sign(counts.mean() - counts)
