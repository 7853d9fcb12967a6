"""Decoding speed against transformers: ``python -m benchmarks.decode``.

Both engines run in this process, on the same weights and threads, through their public ways of
generating, greedily, from the same prompt. Runs alternate; a figure is the median time per token
over all runs. The bound is the time to read every byte that a token needs once: the active weights
and the cached keys and values.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.conditions import machine, read_bandwidth
from benchmarks.shapes import glm_shaped_config
from model.config import Glm4vMoeConfig
from model.generate import stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration

BUNDLED = Path(__file__).parents[1] / "assets" / "bundled"


def load_pair(name: str) -> tuple[Any, Glm4vMoeForConditionalGeneration]:
    """Return transformers' model and ours, which hold the same tensors."""
    from transformers import Glm4vMoeForConditionalGeneration as Reference

    if name == "bundled":
        reference = Reference.from_pretrained(BUNDLED, dtype="auto")
        config = Glm4vMoeConfig.from_pretrained(BUNDLED)
    else:
        from transformers import Glm4vMoeConfig as ReferenceConfig

        reference = Reference._from_config(
            ReferenceConfig(**glm_shaped_config()), dtype=torch.bfloat16
        )
        config = Glm4vMoeConfig(**glm_shaped_config())
    with torch.device("meta"):
        ours = Glm4vMoeForConditionalGeneration(config)
    ours.load_state_dict(reference.state_dict(), assign=True)
    return reference.eval(), ours.eval()


def gaps_of_reference(model: Any, ids: Tensor, tokens: int) -> tuple[list[float], list[int]]:
    """Seconds between tokens of transformers' ``generate``, and the tokens."""
    from transformers import StoppingCriteria

    class Clock(StoppingCriteria):
        def __init__(self) -> None:
            self.times: list[float] = []

        def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
            self.times.append(time.perf_counter())
            return torch.zeros(len(input_ids), dtype=torch.bool)

    clock = Clock()
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=None,
        stopping_criteria=[clock],
    )
    gaps = [b - a for a, b in zip(clock.times, clock.times[1:], strict=False)]
    return gaps, out[0, ids.shape[1] :].tolist()


def gaps_of_ours(
    model: Glm4vMoeForConditionalGeneration, ids: Tensor, tokens: int
) -> tuple[list[float], list[int]]:
    """Seconds between tokens of our stream, and the tokens."""
    times, out = [], []
    for step in stream_tokens(model, ids, max_new_tokens=tokens, do_sample=False, eos_token_id=()):
        out.append(int(step.token))
        times.append(time.perf_counter())
    return [b - a for a, b in zip(times, times[1:], strict=False)], out


def bytes_per_token(model: Glm4vMoeForConditionalGeneration, context: int) -> int:
    """Bytes that decoding one token must read: active weights, keys and values."""
    config = model.config.text_config
    assert config.head_dim is not None
    total = 0
    for name, parameter in model.named_parameters():
        if "visual" in name or "embed_tokens" in name:
            continue
        size = parameter.numel() * parameter.element_size()
        if ".experts." in name:
            size = size * config.num_experts_per_tok // config.n_routed_experts
        total += size
    element = model.lm_head.weight.element_size()
    heads = config.num_key_value_heads * config.head_dim
    return total + 2 * config.num_hidden_layers * heads * element * context


def compare(name: str, contexts: list[int], tokens: int, repeats: int, bandwidth: float) -> None:
    """Print a line for each context."""
    reference, ours = load_pair(name)
    parameters = sum(p.numel() for p in ours.parameters())
    dtype = str(ours.lm_head.weight.dtype).removeprefix("torch.")
    print(f"\n{name}: {parameters / 1e6:.0f} M parameters, {dtype}")
    print("context  transformers tok/s  ours tok/s  ratio  bound tok/s  reached  same tokens")
    for context in contexts:
        ids = torch.randint(1, 1500, (1, context), generator=torch.Generator().manual_seed(0))
        times: dict[str, list[float]] = {"reference": [], "ours": []}
        gaps_of_ours(ours, ids, 3)
        for _ in range(repeats):
            gaps, want = gaps_of_reference(reference, ids, tokens)
            times["reference"] += gaps
            gaps, got = gaps_of_ours(ours, ids, tokens)
            times["ours"] += gaps
        theirs = 1 / statistics.median(times["reference"])
        speed = 1 / statistics.median(times["ours"])
        bound = bandwidth / bytes_per_token(ours, context)
        same = sum(a == b for a, b in zip(want, got, strict=True))
        print(
            f"{context:7d}  {theirs:18.1f}  {speed:10.1f}  {speed / theirs:5.2f}  {bound:11.0f}  "
            f"{speed / bound:7.1%}  {same}/{tokens}"
        )


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["bundled", "glm-shaped"])
    parser.add_argument("--contexts", nargs="+", type=int, default=[1024, 4096])
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    bandwidth = read_bandwidth()
    print(f"{machine()}; memory read at {bandwidth / 1e9:.1f} GB/s")
    for name in options.models:
        compare(name, options.contexts, options.tokens, options.repeats, bandwidth)


if __name__ == "__main__":
    main()
