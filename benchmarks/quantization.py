"""What weights in integers cost and gain: ``python -m benchmarks.quantization``.

The same random weights as they are and quantised, in this process and on the same threads, one
after the other and again, through the engine: decoding one conversation and eight, and reading a
prompt. What it costs in accuracy is measured by ``python -m grounding.evaluate DATA
--quantization int8`` or ``int4`` against the same without the option.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys

import torch

from benchmarks.conditions import machine
from benchmarks.decode import BUNDLED
from benchmarks.serving import answering, first_token, text_prompt, tokens_per_second
from benchmarks.shapes import glm_shaped_config
from model.config import Glm4vMoeConfig
from model.engine import Engine
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.quantization import QUANTIZATIONS, quantize_model

Model = Glm4vMoeForConditionalGeneration
MEBIBYTE = 1024**2
CONVERSATIONS = (1, 8)
PROMPT_TOKENS = 64
NEW_TOKENS = 16
LONG_PROMPT_TOKENS = 512


def load_forms(name: str) -> dict[str, Model]:
    """Return a model as it is and quantised in each way."""
    if name == "bundled":
        plain = Model.from_pretrained(BUNDLED)
    else:
        torch.manual_seed(0)
        plain = Model(Glm4vMoeConfig(**glm_shaped_config())).bfloat16().eval()
    forms = {"as they are": plain}
    for to in QUANTIZATIONS:
        forms[to] = copy.deepcopy(plain)
        quantize_model(forms[to], to)
    return forms


def weights_bytes(model: Model) -> int:
    """Return the bytes of parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def decoding_speed(model: Model, conversations: int) -> float:
    """Tokens per second of some conversations at once."""
    engine = Engine(model, max_prefix_bytes=0)
    prompts = [text_prompt(model, PROMPT_TOKENS, n) for n in range(conversations)]
    with answering(engine, prompts, NEW_TOKENS) as results:
        pass
    engine.close()
    return tokens_per_second(results)


def seconds_of_prompt(model: Model) -> float:
    """Seconds until the first token of a long prompt."""
    engine = Engine(model, max_prefix_bytes=0)
    seconds = first_token(engine, text_prompt(model, LONG_PROMPT_TOKENS, 1))
    engine.close()
    return seconds


def compare(name: str, repeats: int) -> None:
    """Print a line for each form."""
    models = load_forms(name)
    figures: dict[str, list[list[float]]] = {form: [] for form in models}
    for repeat in range(repeats + 1):  # the first warms up
        for form, model in models.items():
            row = [decoding_speed(model, n) for n in CONVERSATIONS]
            row.append(seconds_of_prompt(model))
            if repeat:
                figures[form].append(row)
        print(f"{name}: {repeat} of {repeats}", file=sys.stderr)
    print(f"\n{name}: weights, tokens/s of 1 and of 8 at once, prompt of {LONG_PROMPT_TOKENS}")
    for form, model in models.items():
        one, many, prompt = (
            statistics.median(column) for column in zip(*figures[form], strict=True)
        )
        size = weights_bytes(model) / MEBIBYTE
        print(f"{form:12s} {size:7.0f} MiB  {one:7.1f}  {many:7.1f}  {prompt:6.2f} s")


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["bundled", "glm-shaped"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    for name in options.models:
        compare(name, options.repeats)


if __name__ == "__main__":
    main()
