"""Weights in integers against the matrices written out, in memory and from a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from native_kinds import KINDS, PAIRED_KINDS, other_kernels
from safetensors.torch import save_file
from tiny import randomize, tiny_config
from torch import Tensor, nn

from model import native, quantization
from model.checkpoint import stream
from model.checkpoint.errors import CheckpointError
from model.checkpoint.placement import one_device
from model.config import Glm4vMoeConfig
from model.engine import Engine
from model.generate import generate
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.native.build import load_library
from model.native.decoder import step_for
from model.quantization import (
    FORMS,
    QUANTIZATIONS,
    Quantization,
    Quantized,
    dequantize,
    dequantize_reference,
    linear,
    linear_reference,
    quantize,
    quantize_model,
    run_experts,
    run_experts_of_reference,
)

Model = Glm4vMoeForConditionalGeneration
DTYPES = (torch.float32, torch.bfloat16)
# what is kept, as a part of names
KEPT = ("embed_tokens", "norm", "lm_head", "visual", "mlp.gate.", "bias")


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    """The kernels leave training to torch."""
    with torch.no_grad():
        yield


@pytest.fixture
def model() -> Model:
    network = Model(Glm4vMoeConfig(**tiny_config())).eval()
    randomize(network)
    return network


@pytest.fixture(params=QUANTIZATIONS)
def to(request: pytest.FixtureRequest) -> Quantization:
    """What weights become."""
    return cast(Quantization, request.param)


@pytest.fixture(params=["compiled", "torch"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernels, and as where nothing can be compiled."""
    if request.param == "torch":
        monkeypatch.setattr(native, "_kernels", dict.fromkeys(DTYPES))
    else:
        assert native.load(torch.float32) is not None, "the tests need a C compiler"
    return str(request.param)


def assert_near(got: Tensor, want: Tensor) -> None:
    """To the last bits of the dtype: only roundings and the order of sums differ."""
    assert got.dtype == want.dtype and got.shape == want.shape
    bits = 7 if got.dtype == torch.bfloat16 else 18
    scale = want.abs().max().item()
    torch.testing.assert_close(got, want, atol=scale * 2**-bits, rtol=2**-bits)


def exact_product(x: Tensor, weight: Tensor, scale: Tensor | None, bias: Tensor | None) -> Tensor:
    """`linear_reference` in float32, but groups become weights in the dtype of ``x``."""
    bias = None if bias is None else bias.float()
    if scale is not None:
        return linear_reference(x.float(), weight, scale, bias)
    return F.linear(x.float(), dequantize_reference(weight, None, x.dtype).float(), bias)


def stack(*shape: int, to: Quantization = "int8") -> Quantized:
    return quantize(torch.randn(shape) / shape[-1] ** 0.5, to)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
def test_a_weight_is_off_by_half_a_step_at_most(dtype: torch.dtype) -> None:
    weight = (torch.randn(3, 7, 50) * torch.logspace(-6, 3, 7)[:, None]).to(dtype)
    integers, scale = quantize(weight)
    assert integers.dtype == torch.int8 and scale.shape == (3, 7)
    assert integers.abs().amax(-1).eq(127).all(), "the largest weight of a row uses the range"
    off = (dequantize_reference(integers, scale, torch.float32) - weight.float()).abs()
    assert (off <= scale[..., None] * 0.5001).all()


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
def test_a_weight_of_four_bits_is_off_by_little_more_than_half_a_step(dtype: torch.dtype) -> None:
    weight = (torch.randn(3, 7, 96) * torch.logspace(-4, 3, 7)[:, None]).to(dtype)
    groups, scale = quantize(weight, "int4")
    assert groups.dtype == torch.uint8 and groups.shape == (3, 7, 3, 18) and scale is None
    off = (dequantize_reference(groups, None, torch.float32) - weight.float()).abs()
    largest = weight.float().unflatten(-1, (3, 32)).abs().amax(-1, keepdim=True)
    # an eighth of the largest is a step; that one may be cut off by a fifth of it, and the scale is
    # rounded
    assert (off.unflatten(-1, (3, 32)) <= largest * 0.21).all()
    inner = weight.float().unflatten(-1, (3, 32)).abs() < largest * 0.7
    assert (off.unflatten(-1, (3, 32)) <= largest / 16 * 1.01)[inner].all()


def test_scales_of_groups_err_less_than_that_of_the_largest_weight() -> None:
    weight = torch.randn(64, 320)
    groups = weight.unflatten(-1, (-1, 32))
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    scale = (largest / -8).bfloat16().float()
    plain = ((groups / scale).round().clamp(-8, 7) * scale).flatten(-2)
    chosen = dequantize_reference(*quantize(weight, "int4"), torch.float32)
    assert (chosen - weight).square().mean() < 0.95 * (plain - weight).square().mean()


def test_a_group_holds_what_its_description_says() -> None:
    """A scale, then the lower halves of its bytes are weights 0 to 15, the upper ones 16 to 31."""
    weight = torch.tensor([[-8.0, *range(-7, 8), *range(7, -9, -1)]])
    groups, _ = quantize(weight, "int4")
    assert groups[0, 0, :2].view(torch.bfloat16).item() == 1.0
    integers = [*(groups[0, 0, 2:] & 15).tolist(), *(groups[0, 0, 2:] >> 4).tolist()]
    assert integers == [value + 8 for value in weight[0].int().tolist()]
    assert torch.equal(dequantize_reference(groups, None, torch.float32), weight)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_weights_of_any_size_are_rounded_alike(size: float, to: Quantization) -> None:
    weight = torch.randn(16, 64)
    near = dequantize_reference(*quantize(weight * size, to), torch.float32) / size
    assert (near - weight).square().mean() < 0.015 * weight.square().mean()


def test_a_row_of_zeros_stays_zeros(to: Quantization) -> None:
    weight = torch.zeros(2, 64)
    weight[1, 3] = -2.0
    assert torch.equal(dequantize_reference(*quantize(weight, to), torch.float32), weight)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(to: Quantization, bad: float) -> None:
    weight = torch.ones(2, 32)
    weight[1, 5] = bad
    with pytest.raises(ValueError, match="not finite"):
        quantize(weight, to)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5, 16, 17, 70])
@pytest.mark.parametrize(
    ("to", "inputs", "outputs"),
    [("int8", 1, 1), ("int8", 7, 5), ("int8", 129, 70), ("int4", 32, 1), ("int4", 1056, 70)],
)
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_product_equals_that_of_the_matrix_written_out(
    either: str,
    dtype: torch.dtype,
    rows: int,
    to: Quantization,
    inputs: int,
    outputs: int,
    has_bias: bool,
) -> None:
    weight, scale = stack(outputs, inputs, to=to)
    x = torch.randn(1, rows, inputs).to(dtype)
    bias = torch.randn(outputs).to(dtype) if has_bias else None
    want = exact_product(x, weight, scale, bias)
    assert_near(linear(x, weight, scale, bias), want.to(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("to", "inputs"), [("int8", 517), ("int4", 544)])
def test_a_matrix_written_out_is_the_same_bit_for_bit(
    either: str, dtype: torch.dtype, to: Quantization, inputs: int
) -> None:
    torch.set_num_threads(2)
    weight, scale = stack(300, inputs, to=to)
    want = dequantize_reference(weight, scale, dtype)
    assert torch.equal(dequantize(weight, scale, dtype), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "threads"), [(1, 1), (5, 2), (70, 2)])
@pytest.mark.parametrize("act", [F.silu, F.gelu])
@pytest.mark.parametrize(("to", "hidden", "inner"), [("int8", 33, 19), ("int4", 96, 32)])
def test_experts_equal_those_written_out(
    either: str,
    dtype: torch.dtype,
    rows: int,
    threads: int,
    act: Any,
    to: Quantization,
    hidden: int,
    inner: int,
) -> None:
    torch.set_num_threads(threads)
    x = torch.randn(rows, hidden).to(dtype)
    gate_up, down = stack(8, 2 * inner, hidden, to=to), stack(8, hidden, inner, to=to)
    ids = torch.stack([torch.randperm(8)[:3] for _ in range(rows)])
    weights = torch.rand(rows, 3)
    layer = quantization.QuantizedExperts(gate_up, down, act)
    want = run_experts_of_reference(x.float(), ids, weights, gate_up, down, act).to(dtype)
    for got in (layer(x, ids, weights), run_experts(x, ids, weights, gate_up, down, act)):
        if dtype == torch.bfloat16:  # rounded at every step, and three experts are added up
            torch.testing.assert_close(got, want, atol=want.abs().max().item() * 0.02, rtol=0.02)
        else:
            assert_near(got, want)


def test_only_attention_and_feed_forward_layers_of_the_decoder_are_quantised(
    model: Model, to: Quantization
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    quantize_model(model, to)
    after = model.state_dict()
    changed = {name for name, tensor in after.items() if tensor.dtype in FORMS}
    matrices = {
        name
        for name, tensor in before.items()
        if "language_model.layers" in name and tensor.ndim > 1 and "mlp.gate." not in name
    }
    assert changed == matrices
    assert all(torch.equal(after[name], before[name]) for name in before if name not in changed)
    assert all(any(part in name for part in KEPT) for name in before if name not in changed)


def written_out(quantized: Model) -> Model:
    """A plain model whose weights are those of a quantised one, written out."""
    plain = Model(quantized.config).eval()
    state = quantized.state_dict()
    for name, parameter in plain.state_dict().items():
        if state[name].dtype in FORMS:
            scale = name.replace(".weight", ".scale") if ".weight" in name else f"{name}_scale"
            parameter.copy_(dequantize_reference(state[name], state.get(scale), torch.float32))
        else:
            parameter.copy_(state[name])
    return plain


def test_a_matrix_whose_rows_are_no_whole_groups_is_kept(model: Model) -> None:
    layer = model.model.language_model.layers[1]
    layer.mlp.experts.down_proj = nn.Parameter(layer.mlp.experts.down_proj[..., :-1])
    layer.self_attn.o_proj.weight = nn.Parameter(layer.self_attn.o_proj.weight[:, :-1])
    names = quantization.quantizable(model, "int8") - quantization.quantizable(model, "int4")
    start = "model.language_model.layers.1."
    assert names == {
        f"{start}mlp.experts.gate_up_proj",  # the experts' stacks stay together
        f"{start}mlp.experts.down_proj",
        f"{start}self_attn.o_proj.weight",
    }


def test_a_quantised_model_answers_as_its_weights_written_out(
    model: Model, either: str, to: Quantization
) -> None:
    quantize_model(model, to)
    plain = written_out(model)
    ids = torch.randint(1, 140, (1, 23))
    torch.testing.assert_close(model(ids).logits, plain(ids).logits, atol=1e-4, rtol=1e-4)
    options: dict[str, Any] = {"max_new_tokens": 30, "do_sample": False, "eos_token_id": ()}
    assert torch.equal(generate(model, ids, **options), generate(plain, ids, **options))


def test_a_decoding_step_reads_the_integers_in_one_call(model: Model, to: Quantization) -> None:
    decoder, x = model.model.language_model, torch.randn(2, 1, 64)
    before = step_for(decoder, x)
    quantize_model(model, to)
    after = step_for(decoder, x)
    assert before is not None and after is not None and after is not before


def test_conversations_together_get_what_each_gets_alone(model: Model, to: Quantization) -> None:
    quantize_model(model, to)
    prompts = [torch.randint(1, 140, (1, 5 + 9 * n)) for n in range(4)]
    options: dict[str, Any] = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": ()}
    want = [generate(model, ids, **options)[0, ids.shape[1] :].tolist() for ids in prompts]
    engine = Engine(model)
    requests = [engine.submit({"input_ids": ids}, **options) for ids in prompts]
    assert [[token.id for token in request] for request in requests] == want
    engine.close()


@pytest.mark.parametrize("piece_bytes", [stream.ROUNDED_BYTES, 1000])
@pytest.mark.parametrize("form", ["one by one", "stacked"])
def test_a_checkpoint_is_quantised_while_it_is_read(
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    piece_bytes: int,
    form: str,
    to: Quantization,
) -> None:
    monkeypatch.setattr(stream, "ROUNDED_BYTES", piece_bytes)
    model.save_pretrained(tmp_path)
    if form == "stacked":
        save_file(model.state_dict(), tmp_path / "model.safetensors")
    loaded = Model.from_pretrained(tmp_path, quantization=to)
    quantize_model(model, to)
    want, got = model.state_dict(), loaded.state_dict()
    assert want.keys() == got.keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in want.items())


def test_weights_keep_their_precision_when_the_dtype_changes(
    model: Model, to: Quantization
) -> None:
    quantize_model(model, to)
    before = copy.deepcopy(model.state_dict())
    model.to(torch.bfloat16)
    kept = [name for name in before if name.endswith("scale") or before[name].dtype in FORMS]
    assert kept
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in kept)


def test_an_unknown_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'int3'; known: int8, int4"):
        Model.from_pretrained(tmp_path / "absent", quantization="int3")


def test_a_model_that_is_spread_is_not_quantised(model: Model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="one device only.*cpu, disk"):
        Model.from_pretrained(
            tmp_path, device_map={"model": "cpu", "lm_head": "disk"}, quantization="int8"
        )


def test_weights_of_a_checkpoint_that_are_not_finite_are_told(model: Model, tmp_path: Path) -> None:
    nn.init.constant_(model.model.language_model.layers[1].self_attn.q_proj.weight, float("nan"))
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="model.safetensors: weights that are not finite"):
        Model.from_pretrained(tmp_path, quantization="int8")


def test_a_quantised_model_is_not_saved(model: Model, tmp_path: Path, to: Quantization) -> None:
    quantize_model(model, to)
    with pytest.raises(CheckpointError, match="in integers"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_room_is_checked_for_the_size_in_integers(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: Quantization
) -> None:
    model.save_pretrained(tmp_path)
    quantize_model(model, to)
    # scales of rows are left out
    state = [t for name, t in model.state_dict().items() if not name.endswith("scale")]
    needed = sum(tensor.nbytes for tensor in state)
    memory = SimpleNamespace(available=needed)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    monkeypatch.setattr("psutil.swap_memory", lambda: SimpleNamespace(free=0))
    Model.from_pretrained(tmp_path, quantization=to)
    memory.available -= 1
    # what it says can be done: they can't be spread, and nothing is smaller than 4 bits
    remedy = {"int8": "use int4, or", "int4": "use"}[to]
    with pytest.raises(CheckpointError, match=f"do not fit .*; {remedy} a device with more room"):
        Model.from_pretrained(tmp_path, quantization=to, device_map="auto")


def test_the_automatic_device_is_the_first_accelerator_with_room_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "model.checkpoint.placement.get_max_memory", lambda: {0: 1000, 1: 2000, "cpu": 500}
    )
    assert [one_device(n) for n in (900, 901, 1800, 1801)] == [0, 1, 1, "cpu"]


def test_the_automatic_device_without_accelerators_is_the_cpu(
    model: Model, tmp_path: Path, to: Quantization, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.save_pretrained(tmp_path)
    # where other weights would be spread
    monkeypatch.setattr(
        "model.checkpoint.placement._plan_automatically",
        lambda *_: {"model": "cpu", "lm_head": "disk"},
    )
    loaded = Model.from_pretrained(tmp_path, quantization=to, device_map="auto")
    assert quantization.is_quantized(loaded)
    assert {tensor.device.type for tensor in loaded.state_dict().values()} == {"cpu"}


def check_integers(kernels: native.Kernels, rows: int, to: Quantization) -> None:
    """Compare products, experts and matrices written out with their twins, in bfloat16."""
    hidden, inner = (101, 19) if to == "int8" else (352, 96)
    x, bias = torch.randn(rows, hidden).bfloat16(), torch.randn(37).bfloat16()
    weight, scale = stack(37, hidden, to=to)
    want = exact_product(x, weight, scale, bias)
    assert_near(kernels.linear(x, weight, bias, scale), want.bfloat16())
    gate_up, down = stack(8, 2 * inner, hidden, to=to), stack(8, hidden, inner, to=to)
    scales = gate_up[1], down[1]
    ids = torch.stack([torch.randperm(8)[:3] for _ in range(rows)])
    shares = torch.rand(rows, 3)
    got = kernels.routed_experts(x, ids, shares, gate_up[0], down[0], scales)
    want = run_experts_of_reference(x.float(), ids, shares, gate_up, down, F.silu)
    torch.testing.assert_close(got.float(), want, atol=want.abs().max().item() * 0.02, rtol=0.02)
    written = kernels.dequantize(weight, scale, hidden, torch.bfloat16)
    assert torch.equal(written, dequantize_reference(weight, scale, torch.bfloat16))


@pytest.mark.parametrize(
    "narrow",
    [
        pytest.param(("-mno-avx512f",), marks=pytest.mark.slow),
        pytest.param(("-mno-avx512f", "-mno-avx2"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 7, 16])
def test_processors_with_narrower_vectors_get_the_same(
    narrow: tuple[str, ...], rows: int, to: Quantization
) -> None:
    check_integers(native.Kernels(load_library("-DBF16", *narrow)), rows, to)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        *((kind, rows) for kind in KINDS[1:] for rows in (1, 2, 7, 16)),
        *((kind, rows) for kind in PAIRED_KINDS for rows in (17, 40)),
    ],
)
def test_integers_are_read_alike_in_every_way(kind: str, rows: int, to: Quantization) -> None:
    kernels = other_kernels(kind) or native.load(torch.bfloat16)
    assert kernels is not None, "the tests need a C compiler"
    if rows > max(kernels.max_rows, native.MAX_ROWS):
        pytest.skip("the processor multiplies no pairs, and torch computes it")
    check_integers(kernels, rows, to)


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_among_experts_gets_what_it_gets_alone(kind: str, to: Quantization) -> None:
    dtype = getattr(torch, kind.split()[0])
    kernels = other_kernels(kind) or native.load(dtype)
    assert kernels is not None, "the tests need a C compiler"
    gate_up, down = stack(6, 2 * 32, 96, to=to), stack(6, 96, 32, to=to)
    x, shares = torch.randn(native.MAX_ROWS, 96).to(dtype), torch.rand(native.MAX_ROWS, 2)
    ids = torch.stack([torch.randperm(6)[:2] for _ in x])

    def run(rows: slice) -> Tensor:
        scales = gate_up[1], down[1]
        return kernels.routed_experts(x[rows], ids[rows], shares[rows], gate_up[0], down[0], scales)

    alone = torch.cat([run(slice(row, row + 1)) for row in range(len(x))])
    for some in (2, 7, native.MAX_ROWS):
        assert torch.equal(run(slice(some)), alone[:some])


def test_experts_refuse_vectors_of_another_length(to: Quantization) -> None:
    layer = quantization.QuantizedExperts(
        stack(4, 2 * 32, 96, to=to), stack(4, 96, 32, to=to), F.silu
    )
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        layer(torch.randn(1, 64), torch.tensor([[0, 1]]), torch.rand(1, 2))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_vector_in_company_gets_what_it_gets_alone(kind: str, to: Quantization) -> None:
    kernels = other_kernels(kind) or native.load(torch.bfloat16)
    assert kernels is not None, "the tests need a C compiler"
    x, (weight, scale) = torch.randn(8, 352).bfloat16(), stack(37, 352, to=to)
    alone = torch.cat([kernels.linear(row, weight, None, scale) for row in x.split(1)])
    for some in (2, 3, 5, 8):
        assert torch.equal(kernels.linear(x[:some], weight, None, scale), alone[:some])
