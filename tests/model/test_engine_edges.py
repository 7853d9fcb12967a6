"""The engine where things go wrong at the worst moment: readers, memory, and who pays for it."""

from __future__ import annotations

import gc
import queue
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from prompts import IMAGE, Prompt
from torch import Tensor

import model.engine
from model.cache import KVCache
from model.engine import Engine, OutOfMemory
from model.generate import stream_tokens
from model.glm4v_moe import Glm4vMoeForConditionalGeneration
from model.request import MAX_BACKLOG, Request, Token
from model.reuse import PrefixCache

Model = Glm4vMoeForConditionalGeneration
Inputs = dict[str, Tensor]
PATIENCE_S = 60.0
NO_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried ..."


class Stepped(Engine):
    """An engine whose turns are taken by the test."""

    def _run(self) -> None:
        pass

    @torch.inference_mode()
    def turns(self, count: int = 1) -> bool:
        """Take turns; whether the last one had anything to do."""
        return [self._take_turn() for _ in range(count)][-1]

    def finish(self) -> None:
        """Take turns until nothing is left to do."""
        while self.turns():
            pass


@pytest.fixture
def stepped(tiny_model: Model) -> Iterator[Callable[..., Stepped]]:
    """Return a function that makes an engine without a thread."""

    def make(**options: Any) -> Stepped:
        return Stepped(tiny_model, **options)

    yield make


def alone(tiny_model: Model, inputs: Inputs, **options: Any) -> list[int]:
    """Return the answer by the slow twin."""
    asked: dict[str, Any] = {**inputs, **options}
    return [int(step.token) for step in stream_tokens(tiny_model, **asked)]


def read(request: Request) -> list[int]:
    """Return all tokens that are still to come."""
    tokens = []
    while (token := request.next_token(PATIENCE_S)) is not None:
        tokens.append(token.id)
    return tokens


def text(count: int) -> Inputs:
    return Prompt().text(count).tensors()


def pieces_of(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    for name in ("FIRST_PIECE_TOKENS", "MAX_PIECE_TOKENS", "MIN_PIECE_TOKENS"):
        monkeypatch.setattr(model.engine, name, tokens)


class Filling(queue.SimpleQueue):
    """A queue that the engine fills in the moment before an item is taken."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if self.qsize() < MAX_BACKLOG:
            self.put(Token(1, 0.0, 0.0))
        return super().get(block, timeout)


def test_a_reader_that_makes_room_says_so_though_there_was_room_a_moment_before(
    tiny_model: Model, stepped: Callable[..., Stepped]
) -> None:
    request = stepped().submit(text(5), max_new_tokens=MAX_BACKLOG * 2)
    woken = []
    request._wake = lambda: woken.append(request.is_backlogged)
    request._out = Filling()
    for _ in range(MAX_BACKLOG - 1):
        request._out.put(Token(1, 0.0, 0.0))
    request.next_token()
    assert woken == [False]


def test_a_cancelled_request_ends_for_whoever_still_reads(
    stepped: Callable[..., Stepped],
) -> None:
    engine = stepped(max_running=1)
    running, waiting = (engine.submit(text(5), max_new_tokens=50) for _ in range(2))
    engine.turns(3)
    for request in (running, waiting):
        request.cancel()
    engine.finish()
    assert len(read(running)) == 3
    assert read(waiting) == []


def test_the_end_can_be_read_again(stepped: Callable[..., Stepped]) -> None:
    engine = stepped()
    request = engine.submit(text(5), max_new_tokens=2)
    engine.finish()
    assert len(read(request)) == 2
    assert request.next_token(0.0) is None


def test_prompts_that_are_read_at_the_same_time_take_turns(
    stepped: Callable[..., Stepped], monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces_of(monkeypatch, 10)
    engine = stepped()
    first = engine.submit(text(100), max_new_tokens=1)
    engine.turns(5)
    second = engine.submit(text(100), max_new_tokens=1)
    engine.turns(4)
    assert (first.read, second.read) == (70, 20)


def test_memory_promised_to_a_request_counts_before_it_is_taken(
    stepped: Callable[..., Stepped],
) -> None:
    engine = stepped()
    first = engine.submit(Prompt().text(3).image(4, 6).text(2).tensors(), max_new_tokens=5)
    engine._max_kv_bytes = first.expected_bytes(engine._model.config, torch.float32)
    engine.turns()
    assert engine.memory().running == 0  # its image is read
    late = engine.submit(text(5), max_new_tokens=5)
    engine.turns()
    assert late.place == 1


def test_a_request_that_cannot_begin_is_the_newest(
    tiny_model: Model, stepped: Callable[..., Stepped], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = text(40)
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    engine = stepped()
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
    tiny_model: Model, stepped: Callable[..., Stepped], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [text(5), text(8)]
    expected = alone(tiny_model, asked[0], max_new_tokens=9)
    engine = stepped()
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
        read(requests[1])
    assert read(requests[0]) == expected


@pytest.mark.parametrize("problem", [RuntimeError(NO_MEMORY), ArithmeticError("cursed")])
def test_an_answer_that_cannot_be_kept_ends_all_the_same(
    tiny_model: Model,
    stepped: Callable[..., Stepped],
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
    engine = stepped()
    requests = [
        engine.submit(inputs, max_new_tokens=n) for n, inputs in zip((4, 9), asked, strict=True)
    ]
    engine.finish()
    assert [read(request) for request in requests] == expected


def test_memory_that_runs_out_at_the_last_step_of_a_prompt_changes_nothing(
    tiny_model: Model, stepped: Callable[..., Stepped], monkeypatch: pytest.MonkeyPatch
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
    engine = stepped()
    request = engine.submit(inputs, max_new_tokens=9)
    engine.finish()
    assert problems == []
    assert read(request) == expected


def test_memory_that_runs_out_when_a_video_s_parts_are_joined_changes_nothing(
    tiny_model: Model, stepped: Callable[..., Stepped], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Prompt().image(4, 4).video(2, 4, 6).text(3).tensors()
    expected = alone(tiny_model, inputs, max_new_tokens=9)
    monkeypatch.setattr("model.prompt.MAX_GROUP_PATCHES", 24)
    engine = stepped()
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
    stepped: Callable[..., Stepped],
    tiny_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(tiny_model.model.language_model, "forward", fail)
    engine = stepped()
    request = engine.submit(text(5), max_new_tokens=3)
    engine.finish()
    with pytest.raises(OutOfMemory):
        read(request)


def test_inputs_that_the_engine_would_misread_are_refused(stepped: Callable[..., Stepped]) -> None:
    inputs = Prompt().text(3).image(4, 6).text(2).tensors()
    two = {"input_ids": text(4)["input_ids"].expand(2, -1)}
    with pytest.raises(ValueError, match="one conversation"):
        stepped().submit(two)
    del inputs["image_grid_thw"]
    with pytest.raises(ValueError, match="image_grid_thw"):
        stepped().submit(inputs)


@pytest.mark.parametrize("how", ["end", "cancel", "error"])
def test_what_a_request_needed_is_freed_while_its_reader_still_holds_it(
    tiny_model: Model,
    stepped: Callable[..., Stepped],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(model.engine.logger, "disabled", True)  # records hold tracebacks
    gc.disable()
    try:
        inputs = Prompt().text(3).image(4, 6).text(2).tensors()
        pixels = weakref.ref(inputs["pixel_values"])
        engine = stepped(max_prefix_bytes=0, max_vision_bytes=0)
        request = engine.submit(inputs, max_new_tokens=9)
        del inputs
        engine.turns(4)
        assert pixels() is None  # the tower has seen them
        cache = weakref.ref(request.cache)
        embeddings = weakref.ref(request.prompt.media[0].embeddings)
        if how == "cancel":
            request.cancel()
        if how == "error":

            def fail(**_: Any) -> None:
                raise ArithmeticError("cursed")

            monkeypatch.setattr(tiny_model.model.language_model, "forward", fail)
        engine.finish()
        assert cache() is None
        assert embeddings() is None
        assert request.prompt.length == 13
    finally:
        gc.enable()


def test_a_conversation_is_kept_without_the_room_that_its_answer_did_not_need(
    stepped: Callable[..., Stepped],
) -> None:
    engine = stepped()
    request = engine.submit(text(300), max_new_tokens=1000, eos_token_id=list(range(160)))
    room = request.expected_bytes(engine._model.config, torch.float32)
    engine.finish()
    assert engine.memory().prefixes == room * 300 // 512  # the context
