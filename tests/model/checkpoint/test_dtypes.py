"""The dtype of weights when nobody names one: what the checkpoint states, unless that crawls."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from opens_files import BUNDLED

import model.checkpoint.dtypes
from model.backends.local import LocalBackend
from model.backends.local_loading import choose_dtype
from model.checkpoint.dtypes import fast_dtype
from model.config import Glm4vMoeConfig

CPU_FLAGS = Path("/proc/cpuinfo")
# oneDNN multiplies it in all of AVX-512 for servers, and in AVX2 with conversions.
BF16_FLAGS = {"avx512bw", "avx_ne_convert"}


def choose(dtype: str = "auto", device: str = "cpu", quantization: str | None = None) -> str:
    config = Glm4vMoeConfig.from_pretrained(BUNDLED)
    found = choose_dtype(dtype, config, device=device, quantization=quantization)
    return str(found).removeprefix("torch.")


@pytest.fixture
def slow_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without instructions for bfloat16."""
    monkeypatch.setattr(model.checkpoint.dtypes, "fast_dtype", lambda device: torch.float32)


def test_accelerators_compute_in_bfloat16() -> None:
    assert fast_dtype(torch.device("cuda")) is torch.bfloat16


@pytest.mark.skipif(
    not CPU_FLAGS.exists() or "flags" not in CPU_FLAGS.read_text(),
    reason="only Linux on x86 tells its processor's flags here",
)
def test_a_processor_computes_in_bfloat16_if_its_flags_say_so() -> None:
    line = next(each for each in CPU_FLAGS.read_text().splitlines() if each.startswith("flags"))
    has_products = not BF16_FLAGS.isdisjoint(line.split())
    assert fast_dtype(torch.device("cpu")) is (torch.bfloat16 if has_products else torch.float32)


@pytest.mark.usefixtures("slow_bfloat16")
def test_where_bfloat16_is_slow_the_bundled_model_has_float32() -> None:
    assert choose() == "float32"
    assert choose(quantization="int8") == "float32"  # of what is left in a float dtype


@pytest.mark.usefixtures("slow_bfloat16")
def test_what_is_asked_for_or_goes_elsewhere_stays() -> None:
    assert choose("bfloat16") == "bfloat16"
    assert choose(device="cuda:0") == "bfloat16"
    assert choose(device="auto") == "bfloat16"


@pytest.mark.usefixtures("slow_bfloat16")
def test_weights_that_would_fill_the_memory_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * 10**6))
    assert choose() == "bfloat16"  # 65 MB of float32 would be more than half
    assert choose(quantization="int8") == "float32"


def test_where_bfloat16_is_fast_the_checkpoint_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.checkpoint.dtypes, "fast_dtype", lambda device: torch.bfloat16)
    assert choose() == "bfloat16"


@pytest.mark.usefixtures("slow_bfloat16")
def test_the_engine_computes_in_the_chosen_dtype() -> None:
    backend = LocalBackend(str(BUNDLED), name="Bundled", device="cpu")
    assert backend.wait_until_settled(60).state == "ready"
    loaded = backend._loaded
    assert loaded is not None
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
