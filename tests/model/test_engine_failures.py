"""The engine when memory runs out or something fails: who pays, and who goes on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from prompts import IMAGE, Prompt
from stepping import Stepped, alone, pieces_of, read, text
from torch import Tensor

from model.cache import KVCache
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.out_of_memory import OutOfMemory
from model.reuse import PrefixCache

Model = Glm4vMoeForConditionalGeneration
NO_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried ..."


def test_a_request_that_cannot_begin_is_the_newest(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = text(40)
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    engine = Stepped(tiny_model)
    first = engine.submit(inputs, max_new_tokens=9)
    engine.turns(3)

    def fail(*_: Any) -> KVCache:
        raise RuntimeError(NO_MEMORY)

    monkeypatch.setattr(KVCache, "fork", fail)
    second = engine.submit(inputs, max_new_tokens=9)
    engine.finish()
    with pytest.raises(OutOfMemory):
        read(second)
    assert read(first) == expected


def test_memory_that_runs_out_while_a_culprit_is_looked_for_ends_one_request(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [text(5), text(8)]
    expected = alone(tiny_model, asked[1], max_new_tokens=9)
    engine = Stepped(tiny_model)
    requests = [engine.submit(inputs, max_new_tokens=9) for inputs in asked]
    engine.turns(3)
    decoder = tiny_model.model.language_model
    run, problems = decoder.forward, [ArithmeticError("cursed"), RuntimeError(NO_MEMORY)]

    def fail(**inputs: Any) -> Any:
        if problems:
            raise problems.pop(0)
        return run(**inputs)

    monkeypatch.setattr(decoder, "forward", fail)
    engine.finish()
    with pytest.raises(OutOfMemory):
        read(requests[0])
    assert read(requests[1]) == expected


@pytest.mark.parametrize("problem", [RuntimeError(NO_MEMORY), ArithmeticError("cursed")])
def test_an_answer_that_cannot_be_kept_ends_all_the_same(
    tiny_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
) -> None:
    def fail(*_: Any) -> None:
        raise problem

    monkeypatch.setattr(PrefixCache, "put", fail)
    asked = [text(5), text(8)]
    expected = [
        alone(tiny_model, inputs, max_new_tokens=n) for n, inputs in zip((4, 9), asked, strict=True)
    ]
    engine = Stepped(tiny_model)
    requests = [
        engine.submit(inputs, max_new_tokens=n) for n, inputs in zip((4, 9), asked, strict=True)
    ]
    engine.finish()
    assert [read(request) for request in requests] == expected


def test_memory_that_runs_out_at_the_last_step_of_a_prompt_changes_nothing(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt().text(3).image(4, 6).text(4)
    prompt.image_grids.append([1, 4, 16])
    inputs = prompt._put([IMAGE] * 16, 1).tensors()  # ends within an image, at an odd position
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    head = tiny_model.lm_head
    run, problems = head.forward, [RuntimeError(NO_MEMORY)]

    def fail(x: Tensor) -> Tensor:
        if problems:
            raise problems.pop()
        return run(x)

    monkeypatch.setattr(head, "forward", fail)
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, max_new_tokens=9)
    engine.finish()
    assert problems == []
    assert read(request) == expected
    # all of it was in the cache but its last token, which is no token of text
    again = engine.submit(inputs, max_new_tokens=9)
    engine.finish()
    assert read(again) == expected


def test_a_piece_that_failed_is_not_read_twice(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces_of(monkeypatch, 20)
    inputs = Prompt().image(4, 4).text(40).tensors()
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    decoder = tiny_model.model.language_model
    run, problems = decoder.forward, [RuntimeError(NO_MEMORY)]

    def fail(**inputs: Any) -> Any:
        out = run(**inputs)
        if problems and inputs["past_key_values"].length == 40:
            raise problems.pop()
        return out

    monkeypatch.setattr(decoder, "forward", fail)
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, max_new_tokens=9)
    engine.finish()
    assert problems == []
    assert read(request) == expected


def test_memory_that_runs_out_when_a_video_s_parts_are_joined_changes_nothing(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Prompt().image(4, 4).video(2, 4, 6).text(3).tensors()
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    monkeypatch.setattr("model.prompt.MAX_GROUP_PATCHES", 24)
    engine = Stepped(tiny_model)
    request = engine.submit(inputs, max_new_tokens=9)
    engine.turns(2)  # the image, and one frame
    cat, problems = torch.cat, [RuntimeError(NO_MEMORY)]

    def fail(parts: Any, *args: Any, **options: Any) -> Tensor:
        if problems and len(parts) == 2 and parts[0].shape == parts[1].shape == (6, 64):
            raise problems.pop()
        return cat(parts, *args, **options)

    monkeypatch.setattr(torch, "cat", fail)
    engine.finish()
    assert problems == []
    assert read(request) == expected


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(NO_MEMORY),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
    ],
)
def test_every_way_to_run_out_of_memory_is_known(
    tiny_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(tiny_model.model.language_model, "forward", fail)
    engine = Stepped(tiny_model)
    request = engine.submit(text(5), max_new_tokens=3)
    engine.finish()
    with pytest.raises(OutOfMemory):
        read(request)


def test_a_file_too_large_for_the_memory_ends_only_the_request_that_shows_it(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = text(8)
    expected = alone(tiny_model, later, max_new_tokens=9)

    def fail(*_: Any) -> None:
        raise RuntimeError(NO_MEMORY)

    monkeypatch.setattr(tiny_model.model, "get_image_features", fail)
    engine = Stepped(tiny_model)
    large = engine.submit(Prompt().image(4, 6).text(5).tensors(), max_new_tokens=9)
    small = engine.submit(later, max_new_tokens=9)
    engine.finish()
    with pytest.raises(OutOfMemory):
        read(large)
    assert read(small) == expected
