"""The ways in which compiled kernels compute, for tests that run in each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import native
from model.native import build

# The kernels for processors with a matrix unit, whose instructions are carried out in C.
EMULATED_TILES = Path(__file__).with_name("emulated_tiles.c")
_IN_EMULATED_TILES = "bfloat16 in emulated tiles"
_WITHOUT: dict[str, tuple[str, ...]] = {
    "bfloat16 without tiles": (),
    "bfloat16 without pairs": ("-U__AVX512BF16__",),
}
# Every processor with the unit also multiplies pairs, and its kernels make use of that.
_HAS_PAIRS = "avx512_bf16" in build.processor().split()
needs_pairs = pytest.mark.skipif(
    not _HAS_PAIRS, reason="the processor multiplies no pairs, and torch computes it"
)

# bfloat16 is computed in the processor's matrix unit where it has one, else in pairs where it
# multiplies those, else in vectors of floats
PAIRED_KINDS = (
    "bfloat16",
    "bfloat16 without tiles",
    *((_IN_EMULATED_TILES,) if _HAS_PAIRS else ()),
)
KINDS = ("float32", *PAIRED_KINDS, "bfloat16 without pairs")


def other_kernels(kind: str) -> native.Kernels | None:
    """Return the kernels of this kind; None where it is what this machine runs."""
    if kind == _IN_EMULATED_TILES:
        include = f"-I{build.SOURCE.parent}"
        return native.Kernels(
            build.load_library("-DBF16", include, source=EMULATED_TILES), has_tiles=True
        )
    if kind not in _WITHOUT:
        return None
    return native.Kernels(build.load_library("-DBF16", *_WITHOUT[kind]))
