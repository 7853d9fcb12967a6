"""The ways in which compiled kernels compute, for tests that run in each of them."""

from __future__ import annotations

from model import native
from model.native import build

# bfloat16 is computed in the processor's matrix unit where it has one, else in pairs where it
# multiplies those, else in vectors of floats
KINDS = ("float32", "bfloat16", "bfloat16 without tiles", "bfloat16 without pairs")
_WITHOUT: dict[str, tuple[str, ...]] = {KINDS[2]: (), KINDS[3]: ("-U__AVX512BF16__",)}


def plainer_kernels(kind: str) -> native.Kernels | None:
    """Return the kernels that lack what ``kind`` says; None where it is what this machine runs."""
    if kind not in _WITHOUT:
        return None
    return native.Kernels(build.load_library("-DBF16", *_WITHOUT[kind]))
