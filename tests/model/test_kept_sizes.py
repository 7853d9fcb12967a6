"""What torch keeps for the sizes of matrix products is bounded, however the network is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VARIABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
AT_IMPORT_OF_TORCH = """
import os, sys
class Watch:
    def find_spec(self, name, *rest):
        if name == "torch":
            print(os.environ.get({first!r}), os.environ.get({second!r}))
            sys.exit()  # nothing more is to be seen
sys.meta_path.insert(0, Watch())
import {module}
import torch
"""
# Growth of the process in MB, by products of as many sizes.
OF_MANY_SIZES = """
import model
import psutil, torch
torch.set_num_threads(1)
weight = torch.randn(1536, 320).bfloat16()
def multiply(rows):
    torch.nn.functional.linear(torch.randn(rows, 320).bfloat16(), weight)
with torch.inference_mode():
    multiply(9)
    before = psutil.Process().memory_info().rss
    for rows in range(10, 810):
        multiply(rows)
print((psutil.Process().memory_info().rss - before) // 10**6)
"""
# What a size costs depends on the instructions that the CPU has. Measured with the bounds and with
# torch's own (ONEDNN_MAX_CPU_ISA=... on one CPU with all of them, one thread, 800 sizes): AVX2 4
# and 4 MB, AVX512_CORE 258 and 1004, AVX512_CORE_BF16 91 and 735, with AMX 257 and 840.
TORCH_S_OWN = "1024"
SMALL_MB = 50


def output_of(program: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


@pytest.mark.parametrize("module", ["app", "model.layers", "model.backends.local"])
def test_the_bounds_are_set_before_torch_is_loaded(module: str) -> None:
    first, second = VARIABLES
    program = AT_IMPORT_OF_TORCH.format(first=first, second=second, module=module)
    assert output_of(program) == "128 16"


def test_an_operator_s_own_bounds_stay() -> None:
    program = f"import model, os; print(*(os.environ[name] for name in {VARIABLES}))"
    assert output_of(program, **dict.fromkeys(VARIABLES, "64")) == "64 64"


@pytest.mark.slow
def test_products_of_many_sizes_take_less_than_half_of_what_torch_would_keep() -> None:
    bounded = int(output_of(OF_MANY_SIZES))
    unbounded = int(output_of(OF_MANY_SIZES, **dict.fromkeys(VARIABLES, TORCH_S_OWN)))
    are_small = max(bounded, unbounded) < SMALL_MB
    assert are_small or bounded < unbounded / 2
