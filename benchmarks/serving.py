"""The engine under load, beside transformers: ``python -m benchmarks.serving [--only NAME ...]``.

Everything runs in this process, on the same weights and threads. A figure is the median of
``--repeats`` runs, which alternate between the engines where two are compared. transformers runs
with its defaults, one conversation at a time.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from benchmarks.conditions import machine, matrix_rate
from benchmarks.decode import BUNDLED, load_pair
from model.engine import Engine
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.request import Request

Model = Glm4vMoeForConditionalGeneration
Inputs = dict[str, Tensor]
SCREENSHOT_PATCHES = (58, 92)  # rows and columns that 1280 x 800 pixels become
STREAMS = 8
TOKENS_ALONE, TOKENS_TOGETHER = 60, 40
LONG_PROMPT_TOKENS = 32_768


def text_prompt(model: Model, tokens: int, seed: int) -> Inputs:
    """A prompt of random text."""
    generator = torch.Generator().manual_seed(seed)
    return {"input_ids": torch.randint(1, 1500, (1, tokens), generator=generator)}


def screenshot_prompt(
    model: Model,
    seed: int,
    question_tokens: int = 24,
    patches: tuple[int, int] = SCREENSHOT_PATCHES,
) -> Inputs:
    """A prompt of one random picture of so many rows and columns of patches, and a question."""
    config, (rows, columns) = model.config, patches
    generator = torch.Generator().manual_seed(seed)
    merged = rows * columns // config.vision_config.spatial_merge_size**2
    start, image, end = (
        config.image_start_token_id,
        config.image_token_id,
        config.image_end_token_id,
    )
    question = torch.randint(1, 1500, (question_tokens,), generator=generator).tolist()
    ids = [1, 2, start, *[image] * merged, end, *question]
    types = [int(token == image) for token in ids]
    patch_dim = 3 * config.vision_config.temporal_patch_size * config.vision_config.patch_size**2
    pixels = torch.randn(rows * columns, patch_dim, generator=generator)
    return {
        "input_ids": torch.tensor([ids]),
        "mm_token_type_ids": torch.tensor([types]),
        "pixel_values": pixels,
        "image_grid_thw": torch.tensor([[1, rows, columns]]),
    }


def arrivals(request: Request) -> list[float]:
    """Return when each token of a request came, in seconds of ``time.perf_counter``."""
    times = []
    with request:
        for _ in request:
            times.append(time.perf_counter())
    return times


def first_token(engine: Engine, inputs: Inputs) -> float:
    """Seconds until the engine's first token."""
    started = time.perf_counter()
    times = arrivals(engine.submit(inputs, max_new_tokens=1, do_sample=False, eos_token_id=()))
    return times[0] - started


def first_token_of_reference(reference: Any, inputs: Inputs) -> float:
    """Seconds that transformers takes for one token."""
    started = time.perf_counter()
    mask = torch.ones_like(inputs["input_ids"])
    reference.generate(**inputs, attention_mask=mask, max_new_tokens=1, do_sample=False)
    return time.perf_counter() - started


def prefill_flops(model: Model, tokens: int, patches: int) -> float:
    """FLOPs of the matrix products of one prompt: decoder, vision tower, attention of both."""
    text, vision = model.config.text_config, model.config.vision_config
    assert text.head_dim is not None
    active = 0.0
    for name, parameter in model.model.language_model.named_parameters():
        share = 1.0
        if ".experts." in name:
            share = text.num_experts_per_tok / text.n_routed_experts
        if "embed_tokens" not in name and parameter.ndim > 1:
            active += parameter.numel() * share
    flops = 2 * active * tokens
    # causal: half of the square; scores and values
    flops += 2 * text.num_hidden_layers * text.num_attention_heads * text.head_dim * tokens**2
    merged = patches // vision.spatial_merge_size**2
    for name, parameter in model.model.visual.named_parameters():
        if parameter.ndim > 1 and "position" not in name:
            rows = merged if ("merger" in name or "downsample" in name) else patches
            flops += 2 * parameter.numel() * rows
    flops += 4 * vision.depth * vision.hidden_size * patches**2
    return flops + 2 * model.lm_head.weight.numel()


def time_to_first_token(repeats: int) -> None:
    """A screenshot's first token against transformers, and a second question about it."""
    reference, ours = load_pair("glm-shaped")
    times: dict[str, list[float]] = {"reference": [], "ours": [], "second": []}
    for repeat in range(repeats + 1):  # the first warms up
        inputs = screenshot_prompt(ours, seed=repeat)
        more = {**inputs, "input_ids": inputs["input_ids"].clone()}
        more["input_ids"][0, -20:] = 7
        engine = Engine(ours)
        ours_s, second_s = first_token(engine, inputs), first_token(engine, more)
        engine.close()
        reference_s = first_token_of_reference(reference, inputs)
        if repeat:
            times["ours"].append(ours_s)
            times["second"].append(second_s)
            times["reference"].append(reference_s)
    tokens, patches = inputs["input_ids"].shape[1], len(inputs["pixel_values"])
    bound = prefill_flops(ours, tokens, patches) / matrix_rate(ours.lm_head.weight.dtype)
    first, second = statistics.median(times["ours"]), statistics.median(times["second"])
    theirs = statistics.median(times["reference"])
    print(
        f"\nfirst token, screenshot 1280 x 800 ({tokens} tokens), 0.9B bf16: "
        f"transformers {theirs:.2f} s, ours {first:.2f} s, {theirs / first:.2f} times faster, "
        f"{bound / first:.0%} of the bound by matrix products ({bound:.2f} s)"
    )
    print(f"second question about it: {second:.3f} s, {second / first:.1%} of the first")


def speed_of_one(ours: Model) -> float:
    """Tokens a second of one conversation."""
    engine = Engine(ours, max_prefix_bytes=0)
    prompt = text_prompt(ours, 512, 99)
    times = arrivals(engine.submit(prompt, max_new_tokens=TOKENS_ALONE, eos_token_id=()))
    engine.close()
    return (len(times) - 1) / (times[-1] - times[0])


def many_conversations(repeats: int) -> None:
    """Decoding speed of eight conversations at once against one, and their first tokens.

    The memory of a shared machine gives half as much more in some minutes than in others: one
    conversation is timed before and after each eight, and the median is that of the ratios.
    """
    _, ours = load_pair("glm-shaped")
    singles, together, first = [], [], []
    after = speed_of_one(ours)
    for repeat in range(repeats + 1):
        before = after
        engine = Engine(ours, max_prefix_bytes=0)
        started = time.perf_counter()
        prompts = [text_prompt(ours, 512, n) for n in range(STREAMS)]
        with answering(engine, prompts, TOKENS_TOGETHER) as results:
            pass
        engine.close()
        after = speed_of_one(ours)
        if repeat:
            singles.append((before + after) / 2)
            together.append(tokens_per_second(results))
            first.append(sorted(times[0] - started for times in results))
    ratios = sorted(all_ / one for all_, one in zip(together, singles, strict=True))
    print(
        f"\ndecode, 0.9B bf16, context 512: one conversation {statistics.median(singles):.1f} "
        f"tokens/s, {STREAMS} at once {statistics.median(together):.1f}, "
        f"{statistics.median(ratios):.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    waits = [t for run in first for t in run]
    p95 = sorted(waits)[int(0.95 * len(waits))]
    median = statistics.median(waits)
    print(f"first tokens of {STREAMS}: median {median:.2f} s, p95 {p95:.2f} s, {p95 / median:.2f}")


def long_arrival(repeats: int) -> None:
    """The gap between tokens of four streams while a long document is read."""
    _, ours = load_pair("glm-shaped")
    ratios = []
    for _ in range(repeats):
        engine = Engine(ours, max_prefix_bytes=0)
        prompts = [text_prompt(ours, 512, n) for n in range(4)]
        with answering(engine, prompts, TOKENS_TOGETHER) as results:
            arrived = time.perf_counter()
            document = engine.submit(
                text_prompt(ours, LONG_PROMPT_TOKENS, 50), max_new_tokens=1, eos_token_id=()
            )
            read = arrivals(document)[0]
        engine.close()
        calm = [b - a for r in results for a, b in pairs(r) if b < arrived]
        busy = [b - a for r in results for a, b in pairs(r) if arrived < a and b < read]
        ratios.append(statistics.median(busy) / statistics.median(calm))
        worst = sorted(busy)[int(0.99 * len(busy))] / statistics.median(calm)
        print(
            f"\n{LONG_PROMPT_TOKENS} tokens arrive while 4 answer (0.9B bf16): gap "
            f"{statistics.median(calm) * 1e3:.0f} ms before, {statistics.median(busy) * 1e3:.0f} "
            f"ms meanwhile ({ratios[-1]:.2f} times; 99 % under {worst:.2f} times); read in "
            f"{read - arrived:.0f} s"
        )


def follow(request: Request, times: list[float]) -> threading.Thread:
    """Note in ``times`` when each token of a request comes, on a thread of its own."""

    def note() -> None:
        for _ in request:
            times.append(time.perf_counter())

    thread = threading.Thread(target=note)
    thread.start()
    return thread


@contextmanager
def answering(
    engine: Engine, prompts: Sequence[Inputs], tokens: int
) -> Iterator[list[list[float]]]:
    """Answer prompts at once, until the ``with`` ends, which begins when each has so many tokens.

    Yields:
        for each prompt when its tokens came, so far.
    """
    requests = [
        engine.submit(prompt, max_new_tokens=100_000, eos_token_id=()) for prompt in prompts
    ]
    results: list[list[float]] = [[] for _ in requests]
    followers = [follow(request, times) for request, times in zip(requests, results, strict=True)]
    while min(map(len, results)) < tokens:
        time.sleep(0.02)
    try:
        yield results
    finally:
        for request in requests:
            request.cancel()
        for follower in followers:
            follower.join()


def tokens_per_second(results: Sequence[Sequence[float]]) -> float:
    """The speed of all together, from when all have begun until the first has ended."""
    begin, end = max(times[0] for times in results), min(times[-1] for times in results)
    return sum(begin < moment <= end for times in results for moment in times) / (end - begin)


def pairs(times: list[float]) -> list[tuple[float, float]]:
    """Return neighbours."""
    return list(zip(times, times[1:], strict=False))


def bundled_click(repeats: int) -> None:
    """A screenshot and an instruction to the whole answer, without thinking, end to end."""
    from PIL import Image

    from model.processing import Glm4vProcessor

    reference, ours = load_pair("bundled")
    processor = Glm4vProcessor.from_pretrained(BUNDLED)
    eos = list(ours.generation_config.eos_token_id)
    files = sorted((BUNDLED.parent / "examples").glob("*.png"))
    times: dict[str, list[float]] = {"reference": [], "ours": []}
    engine = Engine(ours, max_prefix_bytes=0, max_vision_bytes=0)
    same = 0
    for repeat in range(repeats + 1):
        for file in files:
            message = {
                "role": "user",
                "content": [
                    {"type": "image", "image": Image.open(file).convert("RGB")},
                    {"type": "text", "text": "Click on Save"},
                ],
            }

            def build(message: Any = message) -> Inputs:
                return processor.apply_chat_template(
                    [message], enable_thinking=False, tokenize=True
                )

            started = time.perf_counter()
            with engine.submit(build(), max_new_tokens=64, do_sample=False) as request:
                got = [token.id for token in request]
            ours_s = time.perf_counter() - started
            started = time.perf_counter()
            inputs = build()
            out = reference.generate(**inputs, max_new_tokens=64, do_sample=False, eos_token_id=eos)
            reference_s = time.perf_counter() - started
            if repeat:
                same += got == out[0, inputs["input_ids"].shape[1] :].tolist()
                times["ours"].append(ours_s)
                times["reference"].append(reference_s)
    engine.close()
    ours_s, reference_s = (statistics.median(times[name]) for name in ("ours", "reference"))
    print(
        f"\nbundled, screenshot to box without thinking ({len(files)} screens, our processor for "
        f"both): transformers {reference_s * 1e3:.0f} ms, ours {ours_s * 1e3:.0f} ms, "
        f"{reference_s / ours_s:.2f} times faster; same answers {same}/{len(times['ours'])}"
    )


PARTS: dict[str, Callable[[int], None]] = {
    "first-token": time_to_first_token,
    "many": many_conversations,
    "long": lambda repeats: long_arrival(1),
    "bundled": bundled_click,
}


def main() -> None:
    """Parse the command line and print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(machine())
    for name in options.only:
        PARTS[name](options.repeats)


if __name__ == "__main__":
    main()
