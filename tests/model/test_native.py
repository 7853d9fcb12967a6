"""Compiled decoding steps against their twins in torch, and what happens without a compiler."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from native_kinds import KINDS, PAIRED_KINDS, other_kernels
from torch import Tensor, nn

from model import native
from model.attention import attend_reference
from model.generate import generate
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.layers import GatedMLP, Linear, RMSNorm
from model.moe import run_experts, run_experts_reference
from model.native import build
from model.quantization import QuantizedLinear, quantize
from model.rope import cos_and_sin, rotate_heads, rotate_in_float

DTYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    """The kernels leave training to torch."""
    with torch.no_grad():
        yield


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch alone, as where nothing could be compiled."""
    monkeypatch.setattr(native, "_kernels", dict.fromkeys(native.DEFINES))


def kernels(dtype: torch.dtype) -> native.Kernels:
    found = native.load(dtype)
    assert found is not None, "the tests need a C compiler"
    return found


def kernels_of(kind: str) -> tuple[native.Kernels, torch.dtype]:
    dtype = getattr(torch, kind.split()[0])
    return other_kernels(kind) or kernels(dtype), dtype


def assert_near(got: Tensor, want: Tensor) -> None:
    """In float32 the defaults; bfloat16 has 8 bits, and torch rounds to them at every step."""
    assert got.dtype == want.dtype and got.shape == want.shape
    if got.dtype == torch.bfloat16:
        scale = want.abs().max().item()
        torch.testing.assert_close(got, want, atol=scale * 2**-7, rtol=2**-7)
    else:
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 5), (33, 16), (64, 3), (129, 70)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_product_with_few_rows_equals_torchs(
    kind: str, rows: int, inputs: int, outputs: int, bias: bool
) -> None:
    found, dtype = kernels_of(kind)
    layer = nn.Linear(inputs, outputs, bias, dtype=dtype)
    x = torch.randn(1, rows, inputs, dtype=dtype)
    assert_near(found.linear(x, layer.weight, layer.bias), layer(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_of_no_rows_is_empty(kind: str) -> None:
    found, dtype = kernels_of(kind)
    x, weight = torch.randn(0, 2500).to(dtype), torch.randn(3, 2500).to(dtype)
    assert found.linear(x, weight, None).shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("inputs", "outputs"), [(33, 17), (64, 48)])
def test_a_row_gets_the_same_result_to_the_last_bit_whatever_rows_are_beside_it(
    kind: str, inputs: int, outputs: int
) -> None:
    found, dtype = kernels_of(kind)
    most = found.max_step_rows
    weight, x = torch.randn(outputs, inputs).to(dtype), torch.randn(most, inputs).to(dtype)
    gate_up = torch.randn(4, 2 * outputs, inputs).to(dtype)
    down = torch.randn(4, inputs, outputs).to(dtype)
    ids = torch.stack([torch.randperm(4)[:2] for _ in range(most)])
    shares = torch.rand(most, 2)

    def run(rows: slice) -> tuple[Tensor, Tensor]:
        experts = found.routed_experts(x[rows], ids[rows], shares[rows], gate_up, down)
        return found.linear(x[rows], weight, None), experts

    alone = [run(slice(row, row + 1)) for row in range(most)]
    for rows in (2, 5, most):
        for got, each in zip(run(slice(rows)), zip(*alone, strict=True), strict=True):
            assert torch.equal(got, torch.cat(each[:rows]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 4])
def test_a_product_shared_by_threads_equals_torchs(dtype: torch.dtype, rows: int) -> None:
    torch.set_num_threads(3)
    weight = (torch.randn(1001, 257) / 16).to(dtype)
    assert native.threads_for(weight.nbytes) == 3
    x = torch.randn(rows, 257, dtype=dtype)
    assert_near(kernels(dtype).linear(x, weight, None), F.linear(x, weight))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_reach_the_output(dtype: torch.dtype, bad: float) -> None:
    x, weight = torch.ones(1, 9, dtype=dtype), torch.ones(3, 9, dtype=dtype)
    weight[1, 4] = bad
    got = kernels(dtype).linear(x, weight, None)
    torch.testing.assert_close(got, F.linear(x, weight), equal_nan=True)


def test_bfloat16_is_rounded_to_the_nearest_ties_to_even() -> None:
    # 1 + 1/128 is the next bfloat16 after 1; halves of that step are ties
    weight = torch.tensor([[1.0, 1 / 256], [1 + 1 / 128, 1 / 256], [1.0, 1 / 255]]).bfloat16()
    x = torch.ones(1, 2, dtype=torch.bfloat16)
    got = kernels(torch.bfloat16).linear(x, weight, None)
    assert got.tolist() == [[1.0, 1 + 2 / 128, 1 + 1 / 128]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2, 4, 9])
@pytest.mark.parametrize(("hidden", "inner"), [(16, 16), (19, 7), (33, 64)])
@pytest.mark.parametrize("threads", [1, 2])
def test_routed_experts_equal_every_expert_on_every_token(
    kind: str, rows: int, hidden: int, inner: int, threads: int
) -> None:
    found, dtype = kernels_of(kind)
    torch.set_num_threads(threads)
    x = torch.randn(rows, hidden).to(dtype)
    gate_up = (torch.randn(8, 2 * inner, hidden) / hidden**0.5).to(dtype)
    down = (torch.randn(8, hidden, inner) / inner**0.5).to(dtype)
    ids = torch.stack([torch.randperm(8)[:3] for _ in range(rows)])
    weights = torch.rand(rows, 3)
    weights[0, 1] = 0  # an expert that was chosen but has no share
    got = found.routed_experts(x, ids, weights, gate_up, down)
    assert_near(got, run_experts_reference(x, ids, weights, gate_up, down, F.silu))


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"),
    [(12, 64, 40), (17, 33, 17), (40, 64, 70), (33, 352, 48), (47, 2500, 40)],
)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", PAIRED_KINDS)
def test_a_product_with_many_rows_equals_torchs(
    rows: int, inputs: int, outputs: int, threads: int, kind: str
) -> None:
    found, _ = kernels_of(kind)
    if found.max_rows < rows:
        pytest.skip("the processor multiplies no pairs, and torch computes it")
    torch.set_num_threads(threads)
    layer = nn.Linear(inputs, outputs, dtype=torch.bfloat16)
    x = torch.randn(rows, inputs).bfloat16()
    assert_near(found.linear(x, layer.weight, layer.bias), layer(x))


@pytest.mark.parametrize(
    ("rows", "hidden", "inner"), [(17, 33, 19), (40, 64, 32), (70, 50, 48), (130, 96, 64)]
)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", PAIRED_KINDS)
def test_routed_experts_of_many_rows_equal_every_expert_on_every_token(
    rows: int, hidden: int, inner: int, threads: int, kind: str
) -> None:
    found, _ = kernels_of(kind)
    if found.max_expert_rows < rows:
        pytest.skip("the processor multiplies no pairs, and torch computes them")
    torch.set_num_threads(threads)
    x = torch.randn(rows, hidden).bfloat16()
    gate_up = (torch.randn(8, 2 * inner, hidden) / hidden**0.5).bfloat16()
    down = (torch.randn(8, hidden, inner) / inner**0.5).bfloat16()
    # the last two get no token, the first gets all
    ids = torch.stack([torch.cat((torch.zeros(1).long(), torch.randperm(5)[:2] + 1))] * rows)
    ids[1::2, 1:] = torch.tensor([4, 2])
    weights = torch.rand(rows, 3)
    got = found.routed_experts(x, ids, weights, gate_up, down)
    assert_near(got, run_experts_reference(x, ids, weights, gate_up, down, F.silu))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("heads", [1, 6])
@pytest.mark.parametrize("dim", [8, 40])
def test_rotating_heads_in_float32_equals_torchs_form(
    dtype: torch.dtype, heads: int, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(21, heads + 3, dim).to(dtype)[:, :heads]
    cos, sin = cos_and_sin(torch.randn(21, 1, dim // 2))
    got = rotate_in_float(x, cos, sin)
    monkeypatch.setattr(native, "_kernels", dict.fromkeys(native.DEFINES))
    assert_near(got, rotate_in_float(x, cos, sin))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("dim", "rotary"), [(16, 8), (24, 24), (9, 4)])
def test_rotating_queries_and_keys_equals_torchs_form(
    dtype: torch.dtype, dim: int, rotary: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    q, k = (torch.randn(2, 11, heads, dim).to(dtype).transpose(1, 2) for heads in (6, 2))
    tables = cos_and_sin(torch.randn(2, 1, 11, rotary // 2))
    cos, sin = (table.to(dtype) for table in tables)
    got = rotate_heads(q, k, cos, sin)
    monkeypatch.setattr(native, "_kernels", dict.fromkeys(native.DEFINES))
    for turned, want in zip(got, rotate_heads(q, k, cos, sin), strict=True):
        torch.testing.assert_close(turned, want)


def test_another_activation_than_silu_is_left_to_torch() -> None:
    x, ids, weights = torch.randn(1, 8), torch.tensor([[1, 2]]), torch.rand(1, 2)
    gate_up, down = torch.randn(4, 12, 8), torch.randn(4, 8, 6)
    got = run_experts(x, ids, weights, gate_up, down, F.gelu)
    want = run_experts_reference(x, ids, weights, gate_up, down, F.gelu)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 33, 70_001])
def test_gating_equals_torchs_form(kind: str, threads: int, size: int) -> None:
    found, dtype = kernels_of(kind)
    torch.set_num_threads(threads)
    gates, ups = (torch.randn(2, size).to(dtype) * 20 for _ in range(2))
    want = F.silu(gates) * ups
    got = found.gate(gates, ups)
    assert_near(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 7, 64, 129])
def test_normalising_a_few_rows_equals_torchs_form(
    dtype: torch.dtype, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    norm, x = RMSNorm(size, 1e-5).to(dtype), (torch.randn(1, 3, size) * 3).to(dtype)
    norm.weight.normal_()
    got = norm(x)
    monkeypatch.setattr(native, "_kernels", dict.fromkeys(native.DEFINES))
    assert_near(got, norm(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", [1, 2, 31, 33, 64, 257, 3000])
@pytest.mark.parametrize(
    ("heads", "kv_heads", "dim"), [(6, 2, 16), (4, 4, 9), (10, 2, 40), (24, 2, 128), (5, 1, 32)]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_attention_of_one_query_equals_the_written_out_form(
    kind: str, keys: int, heads: int, kv_heads: int, dim: int, threads: int
) -> None:
    found, dtype = kernels_of(kind)
    torch.set_num_threads(threads)
    q = torch.randn(2, heads, 1, dim).to(dtype)
    # views of a longer storage, as the cache gives them
    k, v = (torch.randn(2, kv_heads, keys + 5, dim).to(dtype)[:, :, :keys] for _ in "kv")
    want, _ = attend_reference(q.float(), k.float(), v.float(), None)
    assert_near(found.attention(q, k, v), want.to(dtype))


@pytest.mark.parametrize(("queries", "keys"), [(2, 2), (5, 70), (17, 17), (100, 133), (130, 130)])
@pytest.mark.parametrize(("heads", "kv_heads", "dim"), [(6, 2, 32), (2, 2, 96)])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", PAIRED_KINDS)
@pytest.mark.parametrize("causal", [True, False])
def test_attention_of_many_queries_equals_the_written_out_form(
    queries: int,
    keys: int,
    heads: int,
    kv_heads: int,
    dim: int,
    threads: int,
    kind: str,
    causal: bool,
) -> None:
    found, _ = kernels_of(kind)
    if not found.can_attend_prompt(dim):
        pytest.skip("the processor multiplies no pairs, and torch computes it")
    torch.set_num_threads(threads)
    q = torch.randn(2, queries, heads, dim).bfloat16().transpose(1, 2)
    k, v = (torch.randn(2, kv_heads, keys + 5, dim).bfloat16()[:, :, :keys] for _ in "kv")
    mask = None if causal else torch.ones(queries, keys, dtype=torch.bool)
    want, _ = attend_reference(q.float(), k.float(), v.float(), mask)
    assert_near(found.attend_prompt(q, k, v, causal=causal), want.bfloat16())


def test_attention_survives_scores_beyond_the_range_of_exp() -> None:
    q, k = torch.full((1, 1, 1, 4), 60.0), torch.randn(1, 1, 50, 4) * 20
    v = torch.randn(1, 1, 50, 4)
    want, _ = attend_reference(q, k, v, None)
    torch.testing.assert_close(kernels(torch.float32).attention(q, k, v), want)


def test_two_threads_at_once_get_what_each_gets_alone() -> None:
    torch.set_num_threads(2)
    weight = torch.randn(600, 512, dtype=torch.bfloat16)
    inputs = [torch.randn(1, 512, dtype=torch.bfloat16) for _ in range(40)]
    want = [kernels(torch.bfloat16).linear(x, weight, None) for x in inputs]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda x: kernels(torch.bfloat16).linear(x, weight, None), inputs))
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_helpers_of_a_thread_go_when_they_are_released_and_come_back() -> None:
    torch.set_num_threads(3)
    layer, x = Linear(2048, 2048, dtype=torch.bfloat16), torch.randn(4, 2048).bfloat16()
    want = layer(x)
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    native.release_threads()
    assert len(list(tasks.iterdir())) < before
    assert torch.equal(layer(x), want)


def test_greedy_tokens_are_the_same_with_and_without_kernels(
    tiny_model: Glm4vMoeForConditionalGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = torch.randint(1, 140, (2, 9))
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    options: dict[str, Any] = {"max_new_tokens": 40, "do_sample": False, "eos_token_id": ()}
    fast = [generate(tiny_model, ids[:1], **options), generate(tiny_model, ids, mask, **options)]
    monkeypatch.setattr(native, "_kernels", dict.fromkeys(native.DEFINES))
    slow = [generate(tiny_model, ids[:1], **options), generate(tiny_model, ids, mask, **options)]
    assert all(torch.equal(a, b) for a, b in zip(fast, slow, strict=True))


@pytest.mark.parametrize(
    "case", ["gradients", "rows", "dtype", "mixed", "gaps", "meta", "subclass", "autocast"]
)
def test_what_the_kernels_cannot_compute_is_left_to_torch(case: str) -> None:
    class Other(Tensor):
        pass

    x, weight = torch.randn(1, 8), nn.Parameter(torch.randn(4, 8))
    assert native.kernels_for(x, weight, None) is not None
    changed = {
        "rows": (torch.randn(native.MAX_ROWS + 1, 8), weight),
        "dtype": (x.double(), weight.double()),
        "mixed": (x.bfloat16(), weight),
        "gaps": (x, weight[:, ::2]),
        "meta": (x, weight.to("meta")),
        "subclass": (x, weight.data.as_subclass(Other)),
    }
    with (
        torch.set_grad_enabled(case == "gradients"),
        torch.autocast("cpu", enabled=case == "autocast"),
    ):
        assert native.kernels_for(*changed.get(case, (x, weight))) is None


def test_layers_compute_the_same_without_kernels(without_kernels: None) -> None:
    layer, x = Linear(8, 5), torch.randn(1, 8)
    mlp = GatedMLP(8, 12, "silu")
    assert native.kernels_for(x, layer.weight) is None
    torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias)
    want = (
        F.silu(x @ mlp.gate_proj.weight.T) * (x @ mlp.up_proj.weight.T)
    ) @ mlp.down_proj.weight.T
    torch.testing.assert_close(mlp(x), want)


def test_without_a_compiler_torch_decodes_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tiny_model: Glm4vMoeForConditionalGeneration,
) -> None:
    monkeypatch.setattr(native, "_kernels", {})
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    with caplog.at_level(logging.INFO, "model.native"):
        out = generate(tiny_model, torch.tensor([[5, 6, 7]]), max_new_tokens=3, eos_token_id=())
    assert out.shape == (1, 6)
    assert "torch alone: no C compiler" in caplog.text


def test_the_environment_can_switch_the_kernels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_kernels", {})
    monkeypatch.setenv("SIGHTLINE_NATIVE", "0")
    assert native.load(torch.float32) is None


def test_kernels_are_compiled_once_and_then_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.load_library()
    commands: list[list[str]] = []
    run = subprocess.run
    monkeypatch.setattr(
        build.subprocess, "run", lambda c, **kw: (commands.append(c), run(c, **kw))[1]
    )
    build.load_library()
    assert [command[1:] for command in commands] == [["--version"]]
    assert [file.suffix for file in build.cache_folder().iterdir()] == [".so"]


def test_a_compiler_without_openmp_gives_kernels_for_one_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "THREADS", (("-fno-such-option",), *build.THREADS[1:]))
    x, weight = torch.randn(1, 40), torch.randn(30, 40)
    got = native.Kernels(build.load_library()).linear(x, weight, None)
    torch.testing.assert_close(got, F.linear(x, weight))


def test_a_failing_compiler_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int linear(\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "SOURCE", source)
    with pytest.raises(build.BuildError, match="failed"):
        build.load_library()
    assert list(build.cache_folder().iterdir()) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 40])
def test_rows_of_another_length_are_refused_as_by_torch(dtype: torch.dtype, rows: int) -> None:
    layer, norm = Linear(64, 32).to(dtype), RMSNorm(64, 1e-5).to(dtype)
    quantized = QuantizedLinear(*quantize(layer.weight), layer.bias)
    for wrong in (48, 80):
        x = torch.zeros(rows, wrong, dtype=dtype)
        for refusing in (layer, norm, quantized):
            with pytest.raises(RuntimeError):
                refusing(x)
